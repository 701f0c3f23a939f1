"""Who I am here, and what I may do."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from isthmus.identity import permissions
from isthmus.identity.roles import PERMISSIONS, ROLES
from isthmus.web import records
from isthmus.web.console.screen import me, page, screen


@screen("overview:read")
def index(request: HttpRequest) -> HttpResponse:
    """The reader's roles per organisation, and each permission with the role that gives it."""
    actor = me(request)
    names = records.titles("organisation", actor.organisations, "name")
    grants = sorted((names.get(where, where), role) for role, where in actor.grants or ())
    held = permissions.held(actor)
    context = {
        "title": "What I may do",
        "grants": grants,
        "rows": [
            (text, name, name in held, sorted(role for role in ROLES if name in ROLES[role]))
            for name, text in PERMISSIONS.items()
        ],
    }
    return page(request, "console/me.html", context)
