"""Every path of the web: pages of the console, sign-in, API, static files are beside (whitenoise)."""

from __future__ import annotations

from allauth.account import views as account
from django.urls import include, path

from isthmus.web.api import api, unknown
from isthmus.web.console import signed_acknowledgement

_ACCOUNTS = [
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("signup/", account.signup, name="account_signup"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", account.password_set, name="account_set_password"),
    path("2fa/", include("allauth.mfa.urls")),
]

urlpatterns = [
    path("accounts/", include(_ACCOUNTS)),
    path("api/v1/", api.urls),
    path("api/<path:rest>", unknown),
    # Signed for one person: the one page that asks nobody to sign in.
    path("on-call/acknowledge/<str:token>", signed_acknowledgement.acknowledge),
    path("", include("isthmus.web.console.urls")),
]

handler404 = "isthmus.web.console.failures.not_found"
handler500 = "isthmus.web.console.failures.broken"
