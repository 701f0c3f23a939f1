"""The HTTP API under /api/v1: assembly of the practices' and the hub's resources and of our own.

A program authenticates with a token, a page with its session (and then the CSRF token is checked, as for
any form). Which organisations are visible follows from the actor; errors are problem+json.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Router
from ninja.constants import NOT_SET
from ninja.parser import Parser
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from isthmus import __version__
from isthmus.hub.http import actor as callers
from isthmus.hub.http import problems
from isthmus.kernel.errors import Forbidden

MOUNTED: Final[tuple[str, ...]] = (
    "isthmus.practices.monitoring.api",
    "isthmus.practices.monitoring.accuracy_api",
    "isthmus.practices.monitoring.backtest.api",
    "isthmus.practices.incident.api",
    "isthmus.practices.incident.attachments_api",
    "isthmus.practices.incident.custody_api",
    "isthmus.practices.incident.major_api",
    "isthmus.practices.incident.waits_api",
    "isthmus.practices.problem.api",
    "isthmus.practices.problem.known_errors_api",
    "isthmus.practices.configuration.api",
    "isthmus.practices.change.api",
    "isthmus.practices.approval.api",
    "isthmus.practices.service_level.api",
    "isthmus.practices.on_call.api",
    "isthmus.practices.on_call.escalations_api",
    "isthmus.web.resources.systems",
    "isthmus.web.resources.deliveries",
    "isthmus.web.resources.links",
    "isthmus.web.resources.conflicts",
    "isthmus.web.resources.traces",
    "isthmus.web.resources.journal",
    "isthmus.web.resources.blueprints",
    "isthmus.web.resources.tokens",
    "isthmus.web.resources.people",
    "isthmus.web.resources.lists",
    "isthmus.web.resources.views",
)
"""Modules that hold a `router`; their paths are whole (`/incidents/{id}`)."""


class SignedIn(AuthBase):
    """Either a service token or a session with its CSRF token."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Any:
        actor = callers.of(request)
        if not callers.caller(request).by_token and check_csrf(request) is not None:
            raise Forbidden(
                "The CSRF token is missing or wrong.", remedy="Send the cookie's value as X-CSRFToken."
            )
        return actor


class ObjectParser(Parser):
    """Takes JSON objects only: of a text or a list, its methods and items would be read as fields."""

    def parse_body(self, request: HttpRequest) -> Any:
        found = super().parse_body(request)
        if found is not None and not isinstance(found, dict):
            raise ValueError("the body is a JSON object")
        return found


# The interactive viewer would need scripts from elsewhere; the document itself is published.
api = NinjaAPI(
    title="Isthmus",
    version=__version__,
    description="The open ITSM integration hub: one canonical, audited record of every alert, incident, problem, change and CI.",
    auth=SignedIn(),
    parser=ObjectParser(),
    docs_url=None,
    urls_namespace="api",
)
problems.register(api)


def mount(target: NinjaAPI) -> list[str]:
    """Add the router of every module of `MOUNTED` that is installed; return their names."""
    found = []
    for name in MOUNTED:
        if find_spec(name) is None:
            continue
        router: Router = import_module(name).router
        target.add_router("", router, auth=NOT_SET)
        found.append(name)
    return found


mount(api)


def unknown(request: HttpRequest, rest: str) -> HttpResponse:
    """Answer for paths under /api/ that no resource has."""
    detail = f"There is no resource at /api/{rest}."
    return problems.problem(request, 404, "not-found", detail, remedy="Read /api/v1/openapi.json.")
