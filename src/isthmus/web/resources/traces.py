"""The whole story of any id."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from isthmus.hub.http import actor as callers
from isthmus.web import tracing
from isthmus.web.console import traces as view

router = Router(tags=["traces"])


@router.get("/traces/{wanted}", summary="The story around a record, number, partner key, commit or trace id")
def one(request: HttpRequest, wanted: str) -> dict[str, Any]:
    actor = callers.require(request, "trace:read")
    return view.as_json(tracing.story(wanted, actor))
