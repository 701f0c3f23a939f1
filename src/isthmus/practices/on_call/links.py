"""Links in messages: to the subject's page, and a signed one with which its reader acknowledges without signing in.

A signed link names one notification to one person, ends after `VALID_DAYS`, and acknowledges nothing by being
opened: mail scanners open every link. The page behind it has a button.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core import signing

from isthmus.kernel.errors import Forbidden

VALID_DAYS: Final = 3
PATH: Final = "/on-call/acknowledge/"
_SALT: Final = "isthmus.on_call.acknowledge"


def absolute(path: str) -> str:
    """Return the address of a page; "" where the installation does not say where its console is."""
    base: str = settings.ISTHMUS.base_url
    return f"{base.rstrip('/')}{path}" if base else ""


def acknowledge(notification: str) -> str:
    """Return the signed link with which the person of a notification acknowledges."""
    return absolute(PATH + signing.dumps(notification, salt=_SALT, compress=False))


def opened(token: str) -> str:
    """Return the notification that a signed link names; `Forbidden` if it is forged or too old."""
    try:
        found = signing.loads(token, salt=_SALT, max_age=VALID_DAYS * 86_400)
    except signing.BadSignature as cause:
        raise invalid() from cause
    return str(found)


def invalid() -> Forbidden:
    """Return what is said of every link that does not count, whatever the reason."""
    return Forbidden(
        "This link is not valid (any more).", remedy="Sign in and acknowledge on the page of the incident."
    )
