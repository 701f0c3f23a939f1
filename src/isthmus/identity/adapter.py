"""How allauth behaves here: nobody signs up by themselves, and no e-mail address is needed to sign in."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from isthmus.identity.models import User


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by administrators."""

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        return False

    def populate_username(self, _request: HttpRequest, _user: User) -> None:
        """User names are given, never derived."""


class MFAAdapter(DefaultMFAAdapter):
    """Names the installation in authenticator apps; the label is the user name."""

    def get_totp_label(self, user: User) -> str:
        return user.username

    def get_totp_issuer(self) -> str:
        return "Isthmus"
