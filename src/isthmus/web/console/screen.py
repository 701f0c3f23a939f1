"""What every screen shares: who may open it, how an action runs, how a refusal looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from isthmus.hub.http import actor as callers
from isthmus.hub.http.problems import status_of
from isthmus.identity import permissions
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import IsthmusError, Problem
from isthmus.kernel.instant import MINUTE
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work

P = ParamSpec("P")
T = TypeVar("T")
UNDO_MINUTES: Final = 10
"""How long a page offers to take back what was last done in a session."""
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def screen(permission: str) -> Callable[[View[P]], View[P]]:
    """Let only readers with `permission` (somewhere) in; answer errors as a page in words."""

    def decorated(view: View[P]) -> View[P]:
        @wraps(view)
        def inner(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            actor = callers.caller(request).actor
            if actor is None:
                return redirect_to_login(request.get_full_path())
            try:
                callers.require(request, permission)
                return view(request, *args, **kwargs)
            except IsthmusError as error:
                return refused(request, error)

        return inner

    return decorated


def refused(request: HttpRequest, error: IsthmusError) -> HttpResponse:
    """Return the page that says what happened, why and what to do."""
    status, _ = status_of(error)
    context = {"error": error, "status": status, "title": "This did not work"}
    return render(request, "console/refused.html", context, status=status)


def act(
    request: HttpRequest,
    do: Callable[[Work], T],
    *,
    permission: str,
    organisation: str,
    done: str | Callable[[T], str],
) -> T | None:
    """Run an action as the page's actor in a Work of its own and say what came of it.

    A refusal becomes a message for the reader and None for the caller: nothing has happened then.
    """
    caller = callers.caller(request)
    actor = callers.of(request)
    try:
        permissions.require(actor, permission, organisation)
        result = perform(do, actor=actor, origin=caller.origin, trace=caller.trace)
    except IsthmusError as error:
        messages.error(request, said(error))
        return None
    messages.success(request, done if isinstance(done, str) else done(result))
    return result


def said(error: IsthmusError) -> str:
    """Return a refusal in words, with what is wrong with each field."""
    problems: Iterable[Problem] = getattr(error, "problems", ())
    return " ".join([str(error), *(_in_words(each) for each in problems)])


def _in_words(problem: Problem) -> str:
    # A pointer counts from 0, people from 1.
    words = (str(int(each) + 1) if each.isdigit() else each for each in problem.path.split("/") if each)
    place = " ".join(words).replace("_", " ")
    return f"{place}: {problem.message}. {problem.remedy}".strip()


def back(request: HttpRequest, fallback: str) -> HttpResponse:
    """Return to the page the form came from (field `next`, own host only), else to `fallback`."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(wanted if wanted and safe else fallback, status=303)


def recent(request: HttpRequest, key: str) -> dict[str, Any] | None:
    """Return what this session noted under `key` as done (with `at`), while it can be undone."""
    last = request.session.get(key)
    return dict(last) if last and last["at"] >= source.now() - UNDO_MINUTES * MINUTE else None


def page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, context)


def me(request: HttpRequest) -> Actor:
    return callers.of(request)


def found(record: T | None) -> T:
    """Return the record, or answer 404: what is not visible does not exist."""
    if record is None:
        raise Http404
    return record
