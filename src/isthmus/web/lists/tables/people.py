"""People with their roles, and the tokens of programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from isthmus.identity import partner_names
from isthmus.kernel.actor import Actor
from isthmus.web import records
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.cell import (
    EMPTY,
    Beside,
    Cell,
    aside,
    instant,
    lines,
    number,
    state,
    together,
    words,
)
from isthmus.web.lists.showing import stored
from isthmus.web.lists.table import Column, Filter, Slice, Table
from isthmus.web.lists.tables.loading import labels, organisation, organisations, person, readable

PERSON_STATES: Final = ("active", "left")
TOKEN_STATES: Final = ("active", "revoked")


def _people(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("person").all()
    for name in ("state", "username"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    return stored(rows, asked, cursor, limit)


def grants_of(rows: Sequence[Any], reader: Actor) -> dict[str, list[Any]]:
    """Return person → what they are granted; one query."""
    found: dict[str, list[Any]] = {}
    if readable("role_grant", reader):
        held = records.of("role_grant").filter(holder__in=[each.id for each in rows], state="granted")
        for each in held.order_by("role"):
            found.setdefault(each.holder, []).append(each)
    return found


def _roles(row: Any, beside: Beside) -> Cell:
    held = beside.loaded["grants"].get(row.id, ())
    return words(", ".join(each.role.replace("_", " ").capitalize() for each in held) or "none")


def _called(row: Any, _: Beside) -> Cell:
    held = sorted(partner_names.of(row).items())
    return lines(words(f"{name} at {where}") for where, name in held) if held else words("nowhere")


PEOPLE: Final = Table(
    key="people",
    title="People",
    path="/people",
    permission="people:read",
    fixed="name",
    fetch=_people,
    filters=(Filter(name="state", choices=PERSON_STATES, linked=True), Filter(name="username", linked=True)),
    loaders={"grants": grants_of, "organisations": organisations},
    columns=(
        Column(key="name", heading="Name", cell=lambda row, _: words(row.name)),
        Column(key="username", heading="User name", order="username", cell=lambda row, _: words(row.username)),
        Column(key="state", heading="State", order="state", cell=lambda row, _: state(row.state)),
        Column(key="roles", heading="Roles", look="wrap", needs=("grants",), cell=_roles),
        Column(key="called", heading="Called at partners", look="wrap", cell=_called),
        Column(key="email", heading="Mail address", shown=False, look="wrap", cell=lambda row, _: words(row.email)),
        Column(key="zone", heading="Time zone", shown=False, order="time_zone", cell=lambda row, _: words(row.time_zone)),
        Column(key="added", heading="Added", shown=False, order="id", newest=True,
               cell=lambda row, beside: instant(row.created_at, beside)),
        organisation,
    ),
)  # fmt: skip


def _tokens(asked: Asked, cursor: str, limit: int) -> Slice:
    rows = records.of("service_account").all()
    for name in ("state", "owner"):
        if value := asked.get(name):
            rows = rows.filter(**{name: value})
    return stored(rows, asked, cursor, limit)


def _state(row: Any, beside: Beside) -> Cell:
    over = row.state == "active" and row.expires_at is not None and row.expires_at <= beside.now
    return state("expired" if over else row.state)


TOKENS: Final = Table(
    key="tokens",
    title="Tokens",
    path="/tokens",
    permission="token:read",
    fixed="name",
    fetch=_tokens,
    filters=(Filter(name="state", choices=TOKEN_STATES, linked=True), Filter(name="owner", linked=True)),
    loaders={"people": labels("owner"), "organisations": organisations},
    columns=(
        Column(key="name", heading="Name",
               cell=lambda row, _: together(words(row.name), aside(f"{row.token_hint}…") if row.token_hint else None)),
        Column(key="state", heading="State", order="state", cell=_state),
        Column(key="scopes", heading="Scopes", look="small wrap",
               cell=lambda row, _: words(", ".join(row.scopes or ()))),
        Column(key="owner", heading="Owner", needs=("people",), cell=lambda row, beside: person(row.owner, beside)),
        Column(key="expires", heading="Expires", order="expires_at",
               cell=lambda row, beside: instant(row.expires_at, beside) if row.expires_at else EMPTY),
        Column(key="issued", heading="Issued", shown=False, order="id", newest=True,
               cell=lambda row, beside: instant(row.created_at, beside)),
        Column(key="count", heading="Number of scopes", shown=False, number=True,
               cell=lambda row, _: number(len(row.scopes or ()))),
        organisation,
    ),
)  # fmt: skip
