"""Two sibling organisations, A and B, with one record of every kind that the kernel knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ConnectionState, Due, ParkedMessage
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS, ROLES
from isthmus.kernel.instant import DAY, HOUR
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import Field, FieldType, Reason
from isthmus.practices.configuration import snapshot
from isthmus.web import records

WHY = [Reason(rule="test.seed", text="Seeded.")]
OF_THE_INSTALLATION = {"organisation", "generation", "blueprint_approval"}
"""Kinds that belong to the root by nature; the blueprint in force names B's connection instead."""


@dataclass
class Side:
    """One organisation: `word` stands in every text of its records, `ids` names them by kind."""

    word: str
    organisation: str
    first: int = 1
    ids: dict[str, str] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)
    token: str = ""
    username: str = ""

    @property
    def connection(self) -> str:
        return f"{self.word}-system"

    def names(self) -> list[str]:
        """Everything that a path parameter may be."""
        return [*self.ids.values(), self.connection, f"{self.word}-key", *self.numbers]

    def client(self, desk: Any, *, by: str) -> Client:
        if by == "token":
            return desk.client(headers={"authorization": f"Bearer {self.token}"})
        client = desk.client()
        desk.sign_in(client, self.username)
        return client


@dataclass
class World:
    desk: Any
    a: Side
    b: Side

    def traces_of_b(self, text: str, *, asked: str = "") -> list[str]:
        """Return what of B stands in an answer and was not itself part of the question."""
        given = asked.lower()
        secret = [self.b.word, *self.b.ids.values(), self.b.organisation]
        held = text.lower()
        for each in given.split():
            held = held.replace(each, "")
        return [each for each in secret if each.lower() in held]


def value_of(each: Field, side: Side, kind: str, now: int) -> Any:
    if each.name == "number":
        return None
    if each.type is FieldType.CHOICE:
        return each.choices[0]
    if each.type is FieldType.TEXT:
        said = f"{side.word}-key" if each.name == "external_key" else f"{side.word} {kind} {each.name}"
        # PostgreSQL holds columns to their length; sealed ones have none.
        longest = getattr(records.models()[kind]._meta.get_field(each.name), "max_length", None)
        return said[:longest].strip()
    if each.type is FieldType.INTEGER:
        return 3
    if each.type is FieldType.BOOLEAN:
        return each.name in {"open", "public"}
    if each.type is FieldType.INSTANT:
        return now + (DAY if each.name.endswith(("_end", "until", "ends_at", "expires_at")) else -HOUR)
    if each.type is FieldType.SET:
        return [side.ids["ci"]] if each.name == "cis" else [f"{side.word} {each.name}"]
    if each.name == "receipts":
        return [
            {
                "attempt": 1,
                "channel": side.connection,
                "state": "failed",
                "cause": f"{side.word} cause",
                "at": now,
            }
        ]
    if each.type is FieldType.JSON:
        return (
            None
            if each.name in {"parts", "state_changes", "evidence"}
            else {"said": f"{side.word} {each.name}"}
        )
    named = {
        "record": "incident",
        "subject": "change",
        "shared_record": "incident",
        "source_ci": "ci",
        "target_ci": "ci",
    }
    target = named.get(each.name, each.name)
    if each.name in {"parent", "shared_with"}:
        return side.organisation if each.name == "shared_with" else ""
    return side.ids.get(target) or side.ids.get("person", "")


SPECIAL: dict[str, dict[str, Any]] = {
    "comment": {"record_kind": "incident"}, "attachment": {"record_kind": "incident"}, "link": {"record_kind": "incident"},
    "conflict": {"record_kind": "incident", "field": "title"}, "approval": {"subject_kind": "change"}, "share": {"shared_kind": "incident"},
    "silence": {"matchers": [], "mirrors": None}, "alert": {"told": None}, "gate_decision": {"reasons": [], "facts": {}, "callback": ""}, "role_grant": {"role": "viewer"},
    "change": {"impact_report": None}, "change_calendar": {"freezes": []}, "freeze": {"environments": [], "cis": []},
    "ci": {"ci_class": "server", "state": "live", "attributes": {}}, "incident": {"impact": "2", "urgency": "2", "priority": "2", "steps": [], "merged_into": None},
    "list_view": {"table": "incidents", "query": "state=any", "shared": True},
    "list_choice": {"table": "incidents", "columns": ["number", "title"], "view": ""},
    "incident_review": {"timeline": [], "actions": []}, "custody": {"base": {}, "copied": {}}, "incident_merge": {"moved": {}},
    "major_incident": {"triggers": {}, "people": {}},
    "problem": {"actions": []}, "known_error": {"condition": "", "link": "https://example.org/"},
    "service_account": {"scopes": ["incident:read"], "token_hash": ""}, "person": {"time_zone": "", "partner_names": {}},
}  # fmt: skip


def seed(desk: Any, side: Side) -> None:
    """One record of every kind, and the rows beside them, all through Work."""
    book = desk.book
    first = ["person", "ci", "incident", "change", "link", "freeze"]
    for kind in [*first, *sorted(KINDS.keys() - set(first) - OF_THE_INSTALLATION)]:
        shape = KINDS[kind]

        def make(work: Any, kind: str = kind, shape: Any = shape) -> Any:
            values = {each.name: value_of(each, side, kind, work.now) for each in shape.fields}
            values = {
                name: value for name, value in (values | SPECIAL.get(kind, {})).items() if value is not None
            }
            if kind == "service_account":
                values["token_hash"] = side.word.ljust(64, "0")
            if kind in {"link", "alert", "intake_offset", "comment", "attachment"}:
                values["connection"] = side.connection
            return work.create(records.models()[kind], organisation=side.organisation, values=values, why=WHY)

        if side.first == 2 and shape.prefix:
            book.perform(make)  # numbers are per organisation: B's must not be one of A's
        made = book.perform(make)
        side.ids[kind] = made.id
        if getattr(made, "number", ""):
            fresh = records.of(kind).get(id=made.id)
            side.numbers.append(fresh.number)
    word, where, incident = side.word, side.organisation, side.ids["incident"]

    def beside(work: Any) -> None:
        at = {"created_at": work.now, "updated_at": work.now}
        work.insert(
            Delivery, id=f"{word}-delivery".ljust(26, "0"), organisation=where, connection=side.connection, kind="once",
            subject=side.ids["link"], record_kind="incident", record=incident, verb="comment", state="dead", attempts=3,
            key=f"{word}-key", payload=b"", cause=f"{word} cause", remedy=f"{word} remedy", trace="0" * 32, **at,
        )  # fmt: skip
        work.insert(
            ParkedMessage, id=f"{word}-parked".ljust(26, "0"), organisation=where, connection=side.connection, position=1, place=0,
            message_id=f"{word}-message", kind="incident", subject=f"incident:{word}-key", cause=f"{word} cause",
            remedy=f"{word} remedy", problems=[], state="parked", received_at=work.now, parked_at=work.now, trace="0" * 32,
        )  # fmt: skip
        work.insert(
            ConnectionState,
            organisation=where,
            connection=side.connection,
            last_error=f"{word} refused",
            failures=2,
        )
        work.insert(
            Due, id=f"{word}-due".ljust(26, "0"), organisation=where, what="monitoring.stale", subject=f"{word}-due",
            lane=side.connection, due_at=work.now, last_error=f"{word} late",
        )  # fmt: skip

    book.perform(beside)
    side.ids["delivery"] = f"{word}-delivery".ljust(26, "0")
    side.ids["parked"] = f"{word}-parked".ljust(26, "0")
    side.username = f"{word}-head"
    desk.add_person(side.username, *ROLES, organisation=where)
    side.ids["head"] = desk.people[side.username]
    side.token = desk.token(*sorted(PERMISSIONS.keys() - NEVER_BY_TOKEN), organisation=where)


def founded(desk: Any) -> World:
    """Return both organisations, each with a connection, a person of every role and one record of every kind."""
    from isthmus.blueprint import running, service
    from isthmus.blueprint.source import Source

    book = desk.book
    sides = [
        Side(word, book.add_organisation(f"{word}-house"), at)
        for at, word in enumerate(("amber", "basalt"), 1)
    ]
    connections = {
        each.connection: {
            "connector": "alertmanager", "organisation": f"{each.word}-house",
            "config": {"token": {"secret": f"env:{each.word.upper()}_TOKEN"}},
        }
        for each in sides
    }  # fmt: skip
    book.perform(lambda work: service.apply(work, Source(sections={"connections": connections})))
    running.forget()  # else what was read a moment ago still counts for a second
    for each in sides:
        seed(desk, each)
    snapshot.forget()
    return World(desk, *sides)
