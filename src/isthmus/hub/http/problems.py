"""Errors as `application/problem+json` (RFC 9457): one shape for every resource.

`{"type", "title", "status", "detail", "remedy", "errors": [{"pointer", "message", "remedy"}], "trace"}`;
`pointer` is a JSON Pointer into the request (`/body/title`, `/query/limit`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from django.core.exceptions import ObjectDoesNotExist
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from isthmus.hub.http.actor import SecondFactorNeeded, Unauthenticated
from isthmus.kernel import errors

_LOG = logging.getLogger("isthmus.http")
_TYPES: Final = "https://isthmus.dev/problems/"


class PreconditionFailed(errors.Conflict):
    """The version named in If-Match is not the current one (412)."""


class TooManyRequests(errors.Retryable):
    """The caller's bucket is empty (429); `after_seconds` says when it holds a token again."""


_STATUS: Final[tuple[tuple[type[Exception], int, str], ...]] = (
    (Unauthenticated, 401, "unauthenticated"),
    (SecondFactorNeeded, 401, "second-factor-needed"),
    (errors.Forbidden, 403, "forbidden"),
    (errors.NotFound, 404, "not-found"),
    (PreconditionFailed, 412, "precondition-failed"),
    (errors.Conflict, 409, "conflict"),
    (errors.Rejected, 422, "rejected"),
    (TooManyRequests, 429, "too-many-requests"),
    (errors.Retryable, 503, "retry-later"),
    (errors.NeedsOperator, 503, "needs-operator"),
)
"""Which error becomes which status; the first match counts, and anything else is a 500."""

_TITLES: Final = {
    400: "The request cannot be read", 401: "Sign in first", 403: "Not allowed", 404: "Not found",
    405: "Not possible here", 409: "Changed meanwhile", 412: "Changed meanwhile", 413: "Too large",
    415: "Wrong content type", 422: "Not accepted", 428: "Version needed", 429: "Too many requests",
    500: "The fault is ours", 503: "Not possible right now",
}  # fmt: skip


def problem(
    request: HttpRequest,
    status: int,
    slug: str,
    detail: str,
    *,
    remedy: str = "",
    problems: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the answer for one problem; `slug` names its type for machines."""
    caller = getattr(request, "isthmus", None)
    body: dict[str, Any] = {
        "type": _TYPES + slug,
        "title": _TITLES.get(status, "Not possible"),
        "status": status,
        "detail": detail,
        "remedy": remedy,
        "errors": list(problems),
        "instance": request.path,
        "trace": getattr(caller, "trace", ""),
    }
    answer = HttpResponse(
        msgspec.json.encode(body), status=status, content_type="application/problem+json", headers=headers
    )
    if status == 401:
        answer["WWW-Authenticate"] = 'Bearer realm="isthmus"'
    return answer


def status_of(error: Exception) -> tuple[int, str]:
    """Return (HTTP status, problem slug) for an error."""
    for kind, status, slug in _STATUS:
        if isinstance(error, kind):
            return status, slug
    return 500, "bug"


def of_item(error: errors.IsthmusError) -> dict[str, Any]:
    """Return what one item of a bulk answer says when it was refused."""
    status, slug = status_of(error)
    return {"status": status, "problem": slug, "detail": error.text, "remedy": error.remedy}


def from_error(request: HttpRequest, error: Exception) -> HttpResponse:
    """Return the problem that an error stands for; a bug keeps its cause in the log, not in the answer."""
    status, slug = status_of(error)
    if status == 500:
        _LOG.error("unexpected error answering %s", request.path, exc_info=error)
        return problem(
            request,
            500,
            slug,
            "Something went wrong on our side.",
            remedy="Give the trace id to an operator.",
        )
    found = [
        {"pointer": each.path, "message": each.message, "remedy": each.remedy}
        for each in getattr(error, "problems", ())
    ]
    headers = {}
    if isinstance(error, errors.Retryable):
        headers["Retry-After"] = str(max(1, round(error.after_seconds or 1)))
    text = getattr(error, "text", str(error))
    return problem(
        request, status, slug, text, remedy=getattr(error, "remedy", ""), problems=found, headers=headers
    )


def _pointer(place: Sequence[object]) -> str:
    """Ninja names the parameter after its place (`body`, `payload`, …); the name is ours and not the sender's."""
    parts = [str(each).replace("~", "~0").replace("/", "~1") for each in place]
    if len(parts) > 1 and parts[0] in {"body", "form"}:
        parts = [parts[0], *parts[2:]]
    return "/" + "/".join(parts)


def register(api: NinjaAPI) -> None:
    """Make every error of `api` answer as a problem."""

    def ours(request: HttpRequest, error: Any) -> HttpResponse:
        return from_error(request, error)

    def invalid(request: HttpRequest, error: Any) -> HttpResponse:
        found = [
            {"pointer": _pointer(each.get("loc", ())), "message": str(each.get("msg", "")), "remedy": ""}
            for each in getattr(error, "errors", [])
        ]
        return problem(
            request, 422, "rejected", "The request has values that are not accepted.",
            remedy="Correct the values named in errors; the OpenAPI document lists what is possible.", problems=found,
        )  # fmt: skip

    def plain(request: HttpRequest, error: Any) -> HttpResponse:
        status = getattr(error, "status_code", 400)
        return problem(
            request, status, {401: "unauthenticated", 403: "forbidden"}.get(status, "request"), str(error)
        )

    def missing(request: HttpRequest, _error: Any) -> HttpResponse:
        return problem(request, 404, "not-found", "There is no such thing, or none that you may see.")

    api.add_exception_handler(errors.IsthmusError, ours)
    api.add_exception_handler(ValidationError, invalid)
    api.add_exception_handler(AuthenticationError, lambda request, _: from_error(request, _anonymous()))
    api.add_exception_handler(HttpError, plain)
    api.add_exception_handler(Http404, missing)
    api.add_exception_handler(ObjectDoesNotExist, missing)
    api.add_exception_handler(Exception, ours)


def _anonymous() -> Unauthenticated:
    return Unauthenticated(
        "You are not signed in, or the token is not valid any more.",
        remedy="Sign in, or send 'Authorization: Bearer <token>' with a current token.",
    )
