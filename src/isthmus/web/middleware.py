"""What every request passes: security headers on the way out, the caller and their scope on the way in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from isthmus.hub.http import limits, problems, scope
from isthmus.hub.http.actor import Caller
from isthmus.identity import people, tokens
from isthmus.identity.models import User
from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import Rejected
from isthmus.ledger.ids import source

Answer = Callable[[HttpRequest], HttpResponseBase]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PERMISSIONS_POLICY: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
_TRACEPARENT: Final = re.compile(r"^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")
_API: Final = "/api/"
_JSON_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape itself, not a backslash that is followed by `u0000`."""
_FACTOR_FREE: Final = ("/accounts/", "/static/")
"""Where somebody who still has to set up a second factor may go."""


class HeadersMiddleware:
    """Sets the strict policies: no inline script or style, nothing from elsewhere, no framing."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._answer(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS_POLICY)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if not request.path.startswith(settings.STATIC_URL):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response


class TextMiddleware:
    """Refuses a NUL in path, query, JSON or form: no text of ours holds one, and PostgreSQL would fail on it later."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not _holds_nul(request):
            return self._answer(request)
        if request.path.startswith(_API):
            what = Rejected(
                "The request holds a NUL character.", remedy="Leave the character with code 0 out of texts."
            )
            return problems.from_error(request, what)
        return HttpResponse("The request holds a NUL character.", status=400, content_type="text/plain")


def _holds_nul(request: HttpRequest) -> bool:
    if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        return True
    match request.content_type:
        case "application/json":
            return _JSON_NUL.search(request.body) is not None
        case "application/x-www-form-urlencoded":
            return b"%00" in request.body
        case _:
            return False


class CallerMiddleware:
    """Finds out who calls (token or session), opens the scope of their organisations, counts API calls."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        caller = _caller(request)
        request.isthmus = caller  # type: ignore[attr-defined]
        if caller.second_factor_missing and not request.path.startswith((_API, *_FACTOR_FREE)):
            return HttpResponseRedirect(_second_factor_page(request))
        with scope.opened(caller):
            if not request.path.startswith(_API):
                return self._answer(request)
            who = caller.actor.id if caller.actor is not None else request.META.get("REMOTE_ADDR", "")
            try:
                remaining = limits.limiter.take(who, source.now())
            except problems.TooManyRequests as full:
                return problems.from_error(request, full)
            response = self._answer(request)
            if isinstance(response, HttpResponse):
                remaining.stamp(response)
            return response


def _second_factor_page(request: HttpRequest) -> str:
    """Return where to go: set an authenticator up, or show a code of the one that exists."""
    from allauth.mfa.utils import is_mfa_enabled

    if is_mfa_enabled(request.user):
        return reverse("mfa_reauthenticate") + "?" + urlencode({"next": request.get_full_path()})
    return reverse("mfa_activate_totp")


def _caller(request: HttpRequest) -> Caller:
    now = source.now()
    trace = _trace(request)
    channel = "api" if request.path.startswith(_API) else "page"
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and request.path.startswith(_API):
        channel = "cli" if request.headers.get("User-Agent", "").startswith("isthmus-cli/") else "api"
        actor = tokens.authenticate(token.strip(), now)
        return Caller(actor=actor, origin=Origin(channel=channel), trace=trace, by_token=True)
    user = request.user
    if not isinstance(user, User) or not user.is_authenticated:
        return Caller(actor=None, origin=Origin(channel=channel), trace=trace)
    if not user.is_active:
        logout(request)
        return Caller(actor=None, origin=Origin(channel=channel), trace=trace)
    person, time_zone = people.actor_of(user, now)
    return Caller(
        actor=person,
        origin=Origin(channel=channel),
        trace=trace,
        second_factor_missing=_second_factor_missing(request, user, person),
        time_zone=time_zone,
    )


def _second_factor_missing(request: HttpRequest, user: User, actor: Actor) -> bool:
    """Return whether the role asks for a second factor that this session has not shown.

    allauth asks for the code at sign-in as soon as an authenticator exists and records it in the session;
    a session that began before the set-up elsewhere shows the code once more.
    """
    if not people.needs_second_factor(actor):
        return False
    from allauth.account.authentication import get_authentication_records

    return not any(each.get("method") == "mfa" for each in get_authentication_records(request, user))


def _trace(request: HttpRequest) -> str:
    """Return the W3C trace id that came with the request, or a new one."""
    found = _TRACEPARENT.match(request.headers.get("traceparent", ""))
    return found.group(1) if found and found.group(1) != "0" * 32 else source.new_trace()
