"""Second factors: authenticator apps (TOTP), kept by allauth."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from isthmus.identity.models import User


def connect() -> None:
    """Let a session in which an authenticator app was just set up count as one that showed its code."""
    from allauth.mfa.signals import authenticator_added

    authenticator_added.connect(_shown, dispatch_uid="isthmus.identity.second_factor")


def set_up(user: User, secret: str) -> None:
    """Give a user an authenticator app with a known base-32 `secret` (start-up scripts, tests)."""
    from allauth.mfa.totp.internal.auth import TOTP

    TOTP.activate(user, secret)


def _shown(*, request: HttpRequest, user: User, authenticator: Any, **_: Any) -> None:
    from allauth.account.internal.flows.login import record_authentication

    if request.user == user and authenticator.type == "totp":
        record_authentication(request, user, method="mfa", type="totp")
