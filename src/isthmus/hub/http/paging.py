"""Cursor paging: pages stay stable while rows arrive, and in the order of ids or of an indexed field the tenth page
costs what the first costs; another order sorts what the filter leaves.

A cursor names the last row seen (order value and id), so nothing is counted and nothing is skipped over. Rows
without a value in the order's field come last, whichever way it goes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse

from isthmus.kernel.errors import Problem, Rejected

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 500

M = TypeVar("M", bound=Model)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Slice(Generic[T]):
    """One page of rows; `next` is the cursor of the following page ("" at the end)."""

    items: Sequence[T]
    next: str = ""


def encode(value: int | str | None, row_id: int | str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([value, row_id])).decode().rstrip("=")


def decode(cursor: str) -> tuple[int | str | None, int | str]:
    """Return (order value, id) of a cursor; a made-up cursor is refused."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        value, row_id = msgspec.json.decode(raw, type=tuple[int | str | None, int | str])
    except (binascii.Error, msgspec.MsgspecError, ValueError) as cause:
        raise Rejected(
            "The cursor is not one of ours.",
            remedy="Follow the Link header of the previous page, or leave the cursor out.",
            problems=(Problem(path="/query/cursor", message="not a cursor"),),
        ) from cause
    return value, row_id


def limited(limit: int | str | None) -> int:
    """Return the page size: 1 to `LIMIT_MAX`, default `LIMIT_DEFAULT`."""
    if limit in {None, ""}:
        return LIMIT_DEFAULT
    try:
        size = int(str(limit))
    except ValueError:
        size = 0
    if not 1 <= size <= LIMIT_MAX:
        raise Rejected(
            f"A page holds 1 to {LIMIT_MAX} items.",
            problems=(Problem(path="/query/limit", message=f"must be 1 to {LIMIT_MAX}"),),
        )
    return size


def cut(
    rows: QuerySet[M], *, cursor: str = "", limit: int | str | None = None, order: str = "-id"
) -> Slice[M]:
    """Return one page of `rows` ordered by `order` (`-` for descending) and then by id."""
    size = limited(limit)
    descending = order.startswith("-")
    key = order.lstrip("-")
    beyond = "lt" if descending else "gt"
    nullable = key != "id" and _nullable(rows.model, key)
    if cursor:
        value, row_id = decode(cursor)
        try:
            rows = rows.filter(_after(key, value, row_id, beyond, nullable=nullable))
        except (ValueError, TypeError) as cause:
            raise Rejected("The cursor belongs to another list.", remedy="Start again without it.") from cause
    sign = "-" if descending else ""
    first: Any = order
    if nullable:
        first = F(key).desc(nulls_last=True) if descending else F(key).asc(nulls_last=True)
    ordering = [order] if key == "id" else [first, f"{sign}id"]
    found = list(rows.order_by(*ordering)[: size + 1])
    more = len(found) > size
    found = found[:size]
    last = found[-1] if more else None
    return Slice(items=found, next=encode(getattr(last, key), last.pk) if last is not None else "")


def _nullable(model: type[Model], key: str) -> bool:
    return bool(getattr(model._meta.get_field(key), "null", False))  # noqa: SLF001 - Django's documented API


def _after(key: str, value: int | str | None, row_id: int | str, beyond: str, *, nullable: bool) -> Q:
    """Return the condition for the rows that follow the one with this value and id."""
    if key == "id":
        return Q(**{f"id__{beyond}": row_id})
    if value is None:
        if not nullable:
            raise ValueError(key)
        return Q(**{f"{key}__isnull": True, f"id__{beyond}": row_id})
    found = Q(**{f"{key}__{beyond}": value}) | Q(**{key: value, f"id__{beyond}": row_id})
    return found | Q(**{f"{key}__isnull": True}) if nullable else found


def link_next(request: HttpRequest, response: HttpResponse, cursor: str) -> None:
    """Set the `Link: <…>; rel="next"` header (RFC 8288) if there is a next page."""
    if cursor:
        query = {**request.GET.dict(), "cursor": cursor}
        response["Link"] = f'<{request.build_absolute_uri(request.path)}?{urlencode(query)}>; rel="next"'


def listed(
    request: HttpRequest,
    response: HttpResponse,
    rows: QuerySet[M],
    *,
    out: Callable[[M], T],
    cursor: str = "",
    limit: int | str | None = None,
    order: str = "-id",
) -> dict[str, Any]:
    """Return `{"items": [...], "next": "<cursor>"}` for a resource and set the Link header."""
    found = cut(rows, cursor=cursor, limit=limit, order=order)
    link_next(request, response, found.next)
    return {"items": [out(each) for each in found.items], "next": found.next}
