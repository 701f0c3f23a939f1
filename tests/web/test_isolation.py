"""Two sibling organisations with one record of every kind: whatever is asked as A, nothing of B appears.

Routes come from the OpenAPI document and the URL resolver, kinds from the kernel: what is added later is
walked without a change here.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from isthmus.hub import live
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.models import ConnectionState, Due, ParkedMessage
from isthmus.hub.tail import Change, Tail
from isthmus.identity import people
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS, ROLES
from isthmus.kernel.instant import DAY, HOUR
from isthmus.kernel.kinds import KINDS
from isthmus.kernel.record import Field, FieldType, Reason
from isthmus.ledger import scope, search
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration import snapshot
from isthmus.web import records
from isthmus.web.api import api
from isthmus.web.console.urls import urlpatterns

WHY = [Reason(rule="test.seed", text="Seeded.")]
OF_THE_INSTALLATION = {"organisation", "generation", "blueprint_approval"}
"""Kinds that belong to the root by nature; the blueprint in force names B's connection instead."""
UNSEEN = {"share", "intake_offset"}
"""Kinds whose records no route shows in words, besides the journal."""
_PARAMETER = re.compile(r"[{<](?:(?:str|int|path|slug|uuid):)?(\w+)[}>]")


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
    "incident_review": {"timeline": [], "actions": []}, "custody": {"base": {}, "copied": {}}, "incident_merge": {"moved": {}},
    "major_incident": {"triggers": {}, "people": {}},
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


@pytest.fixture
def world(desk: Any) -> World:
    from isthmus.blueprint import service
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
    for each in sides:
        seed(desk, each)
    snapshot.forget()
    return World(desk, *sides)


# What there is to walk -----------------------------------------------------------------------------------


@cache
def published() -> dict[str, Any]:
    """Return the OpenAPI document as a client reads it."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))
    return found


def api_routes() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) of everything that the published document names."""
    document = published()
    return [
        (method, path, operation)
        for path, way in document["paths"].items()
        for method, operation in way.items()
    ]


def console_routes() -> list[str]:
    return [f"/{each.pattern}" for each in urlpatterns]


def kind_meant(path: str) -> str | None:
    """Return the kind that a route is about ("" for a connection), None where it may be anything."""
    words = [each for each in path.removeprefix("/api/v1").split("/") if each and not _PARAMETER.search(each)]
    noun = next((each for each in ("parked", "freezes", "grants") if each in words[1:2]), words[0])
    special = {"cis": "ci", "relations": "ci_relation", "people": "person", "tokens": "service_account", "systems": "",
               "map": "ci", "parked": "parked", "grants": "role_grant"}  # fmt: skip
    plain = noun.removesuffix("ies") + "y" if noun.endswith("ies") else noun.removesuffix("s")
    kind = special.get(noun, plain)
    return kind if kind in KINDS or kind in {"", "delivery", "parked"} else None


def meant(path: str, side: Side) -> list[str]:
    """Return what a path parameter may name: everything, unless the route's noun says of which kind."""
    kind = kind_meant(path)
    if kind is None:
        return side.names()
    parts = (
        [side.ids[each] for each in ("attachment", "suspect", "comment")]
        if len(_PARAMETER.findall(path)) > 1
        else []
    )
    return [side.ids.get(kind, side.connection), side.connection, *side.numbers, *parts]


def filled(path: str, ours: Side, theirs: Side) -> Iterator[tuple[str, str]]:
    """Return (path, what was put in): every name of `theirs` in each place, `ours` beside it where two are asked."""
    places = _PARAMETER.findall(path)
    if not places:
        yield path, ""
        return
    first = meant(path, theirs)
    if len(places) == 1:
        choices = [(each,) for each in first]
    else:
        near = [ours.ids["incident"], ours.ids["change"]]
        choices = [*itertools.product(near, first), (theirs.ids["incident"], theirs.ids["suspect"]),
                   (theirs.ids["incident"], theirs.ids["attachment"]),
                   *((theirs.ids["change"], each) for each in ("submit", "approve", "cancel"))]  # fmt: skip
    for chosen in choices:
        values = iter([*chosen, *[first[0]] * len(places)])
        if "<int:" in path or "{sequence}" in path:
            values = iter("1" * len(places))
        yield _PARAMETER.sub(lambda _, values=values: next(values), path), " ".join(chosen)


def asked_for(operation: dict[str, Any], side: Side) -> Iterator[dict[str, str]]:
    """Return query strings: none, and each text parameter with whatever of `side` could be meant."""
    required = {
        each["name"]: "2026-01-01T00:00:00Z"
        if each["name"] in {"since", "until", "at"}
        else f"{side.word} ci name"
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each.get("required")
    }
    yield required
    for each in operation.get("parameters", ()):
        name = each["name"]
        if each["in"] != "query" or name in {"limit", "cursor", "hops"}:
            continue
        meant = side.ids.get({"record": "incident", "source_ci": "ci", "target_ci": "ci"}.get(name, name))
        known = {
            "organisation": side.organisation,
            "connection": side.connection,
            "external_key": f"{side.word}-key",
        }
        yield required | {name: known.get(name) or meant or f"{side.word} ci name"}


def sample(schema: dict[str, Any], parts: dict[str, Any], side: Side) -> Any:
    """Return a body that the schema takes, with ids of `side` wherever a field's name says so."""
    if "$ref" in schema:
        return sample(parts[schema["$ref"].rsplit("/", 1)[1]], parts, side)
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], parts, side)
    if "enum" in schema:
        return schema["enum"][-1]
    if "const" in schema:
        return schema["const"]
    if schema.get("type") == "object" or "properties" in schema:
        return {name: _named(name, each, parts, side) for name, each in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [sample(schema.get("items", {}), parts, side)]
    return {"integer": 1, "number": 1, "boolean": True, "string": "some text"}.get(schema.get("type", ""), {})


def _named(name: str, schema: dict[str, Any], parts: dict[str, Any], side: Side) -> Any:
    plain = {
        "organisation": "", "ci": side.ids["ci"], "service": side.ids["ci"], "parent": side.ids["incident"],
        "incident": side.ids["incident"], "change": side.ids["change"], "assignee": side.ids["person"],
        "caller": side.ids["person"], "source_ci": side.ids["ci"], "target_ci": side.ids["ci"], "cis": [side.ids["ci"]],
        "record": side.ids["incident"], "record_kind": "incident", "connection": side.connection, "ids": [side.ids["delivery"]],
        "external_key": f"{side.word}-key", "callback": side.connection, "starts_at": "2026-12-01T00:00:00Z",
        "window_start": "2026-12-01T00:00:00Z", "window_end": "2026-12-01T02:00:00Z", "ends_at": "2026-12-02T00:00:00Z",
        "after": "2026-12-01T00:00:00Z", "until": "2026-12-09T00:00:00Z", "action": "comment", "type": "normal", "model": "",
        "priority": "2", "impact": "2", "urgency": "2", "sections": {}, "verdict": "confirmed", "winner": "ours",
        "decision": "approved", "hints": {"host": f"{side.word} ci name"}, "environment": "production",
        "wait_seconds": 30, "values": {"body": "hello"}, "expected": None, "role": "viewer", "scopes": ["incident:read"],
    }  # fmt: skip
    return plain[name] if name in plain else sample(schema, parts, side)


def body_of(operation: dict[str, Any], side: Side) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    parts = published()["components"]["schemas"]
    return {} if content is None else sample(content["schema"], parts, side)


def text_of(answer: Any) -> str:
    raw = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{raw.decode('utf-8', 'replace')} {dict(answer.headers)}"


def unlimited() -> None:
    from isthmus.hub.http import limits

    limits.limiter.__init__()


def state_of(side: Side) -> dict[str, list[Any]]:
    """Return every row of every table that names the organisation."""
    found = {}
    for model in apps.get_models():
        if any(each.name == "organisation" for each in model._meta.fields):
            rows = model._base_manager.filter(organisation=side.organisation).order_by("pk")
            found[model._meta.label] = [
                {
                    name: bytes(value) if isinstance(value, memoryview) else value
                    for name, value in row.items()
                }
                for row in rows.values()
            ]
    return found


def walk_api(world: World, asker: Side, about: Side, *, by: str) -> Iterator[tuple[str, str, Any]]:
    """Ask every GET route of the API as `asker` about things of `about`; give (question, what was put in, answer)."""
    client = asker.client(world.desk, by=by)
    for method, path, operation in api_routes():
        if method != "get":
            continue
        for url, put in filled(path, asker, about):
            for query in asked_for(operation, about):
                unlimited()
                answer = client.get(url, query)
                yield f"{url}?{query}", f"{put} {' '.join(query.values())}", answer


def walk_console(world: World, asker: Side, about: Side) -> Iterator[tuple[str, str, Any]]:
    client = asker.client(world.desk, by="person")
    asks: list[dict[str, str]] = [{}, {"q": about.word}, {"q": about.ids["incident"]}, {"q": f"{about.word}-key"},
                                  {"organisation": about.organisation, "connection": about.connection, "record": about.ids["incident"]}]  # fmt: skip
    for path in console_routes():
        for url, put in filled(path, asker, about):
            for query in asks if not put else asks[:1]:
                answer = client.get(url, query)
                yield f"{url}?{query}", f"{put} {' '.join(query.values())}", answer


# What holds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["person", "token"])
def test_no_route_of_the_api_shows_anything_of_the_other_organisation(world, by):
    leaks, answered = [], 0
    with scope.within(()):
        for question, put, answer in walk_api(world, world.a, world.b, by=by):
            answered += 1
            assert answer.status_code < 500, question
            if found := world.traces_of_b(text_of(answer), asked=put):
                leaks.append((question, found))
    assert leaks == []
    assert answered > 150


def test_no_page_of_the_console_shows_anything_of_the_other_organisation(world):
    leaks, answered = [], 0
    with scope.within(()):
        for question, put, answer in walk_console(world, world.a, world.b):
            answered += 1
            assert answer.status_code < 500, question
            if found := world.traces_of_b(text_of(answer), asked=put):
                leaks.append((question, found))
    assert leaks == []
    assert answered > 150


def test_who_may_read_a_kind_here_and_only_other_kinds_there_sees_that_kind_of_here_only(world):
    """Every role in A, a viewer in B: people, tokens, the journal and the blueprint of B are not theirs to read."""
    both = world.desk.add_person("amber-both", *ROLES, organisation=world.a.organisation)
    world.desk.book.perform(
        lambda work: people.grant(work, holder=both, role="viewer", organisation=world.b.organisation)
    )
    people.forget()
    client = world.desk.client()
    world.desk.sign_in(client, "amber-both")
    unread = ["/people", "/tokens", "/audit", "/api/v1/people", "/api/v1/tokens", "/api/v1/journal"]
    assert not {"people:read", "token:read", "audit:read"} & ROLES["viewer"]
    read = ["/incidents", "/changes", "/alerts", "/api/v1/incidents", "/api/v1/changes", "/api/v1/alerts"]
    with scope.within(()):
        answers = {url: client.get(url) for url in [*unread, *read]}
        story = client.get(f"/api/v1/traces/{world.b.ids['person']}")
    assert {each.status_code for each in answers.values()} == {200}
    shown = [url for url, answer in answers.items() if world.traces_of_b(text_of(answer))]
    assert shown == read, "the twin: what a viewer may read there is shown"
    assert all(world.a.word in text_of(answers[url]) for url in unread)
    assert story.status_code == 404


def test_the_same_walk_as_the_owner_does_see_it_all(world):
    """The twin: were the markers not there to be seen, the tests above would prove nothing."""
    seen, pages, refused = set(), set(), set()
    for question, _, answer in walk_api(world, world.b, world.b, by="person"):
        text = text_of(answer)
        seen.update(
            kind
            for kind in KINDS
            if f"{world.b.word} {kind} " in text or f'"{world.b.ids.get(kind)}"' in text
        )
        if answer.status_code == 200:
            pages.add(question.split("?")[0].split("/")[3])
        elif answer.status_code == 403:
            refused.add(question.split("?")[0])
    assert KINDS.keys() - OF_THE_INSTALLATION - UNSEEN <= seen
    assert {
        "incidents",
        "alerts",
        "cis",
        "changes",
        "links",
        "conflicts",
        "deliveries",
        "journal",
        "people",
        "tokens",
        "traces",
    } <= pages
    # Rules belong to the installation, and trying them to whoever may read its configuration.
    assert any(each.startswith("/api/v1/backtests") for each in refused)
    refused = {each for each in refused if not each.startswith("/api/v1/backtests")}
    assert refused == {"/api/v1/audit/export", "/api/v1/blueprint", "/api/v1/blueprint/generations",
                       "/api/v1/blueprint/generations/1"}  # fmt: skip
    told = [
        question
        for question, _, answer in walk_console(world, world.b, world.b)
        if world.b.word in text_of(answer)
    ]
    assert len({each.split("?")[0].split("/")[1] for each in told}) >= 12


@pytest.mark.parametrize("by", ["person", "token"])
def test_no_write_reaches_a_record_of_the_other_organisation(world, by):
    client = world.a.client(world.desk, by=by)
    before, reached = state_of(world.b), []
    for method, path, operation in api_routes():
        if method == "get" or not _PARAMETER.search(path) or "{sequence}" in path:
            continue
        body = json.dumps(body_of(operation, world.a))
        made_up = _PARAMETER.sub("0" * 26, path)
        unknown = getattr(client, method)(made_up, body, content_type="application/json").status_code
        assert unknown >= 400, path
        for url, put in filled(path, world.a, world.b):
            unlimited()
            answer = getattr(client, method)(url, body, content_type="application/json")
            # Not to be told apart from something that does not exist at all.
            if answer.status_code not in {403, 404, unknown} or world.traces_of_b(text_of(answer), asked=put):
                reached.append((method, url, answer.status_code, answer.content[:200]))
    assert reached == []
    assert state_of(world.b) == before


def test_no_form_of_the_console_reaches_a_record_of_the_other_organisation(world):
    client = world.a.client(world.desk, by="person")
    before, shown = state_of(world.b), []
    for path in console_routes():
        if not _PARAMETER.search(path) or "<int:" in path:
            continue
        for url, put in filled(path, world.a, world.b):
            answer = client.post(
                url, {"reason": "because", "body": "hello", "why": "because", "title": "hello"}, follow=True
            )
            assert answer.status_code < 500, url
            if found := world.traces_of_b(text_of(answer), asked=put):
                shown.append((url, found))
    assert state_of(world.b) == before
    assert shown == []


@pytest.mark.parametrize("by", ["person", "token"])
def test_what_a_body_names_of_the_other_organisation_is_not_disclosed(world, by):
    """References in bodies: refused, or kept as words that lead nowhere; either way nothing is shown or changed."""
    client = world.a.client(world.desk, by=by)
    before, leaks = state_of(world.b), []
    # What A has named itself may be said back to A: the ids, never what they stand for.
    given = _words({"ids": list(world.b.ids.values()), "key": f"{world.b.word}-key", "system": world.b.connection,
                    "host": f"{world.b.word} ci name", "numbers": world.b.numbers})  # fmt: skip
    for method, path, operation in api_routes():
        if method == "get" or path.startswith("/api/v1/blueprint/"):
            continue
        whole = body_of(operation, world.b)
        bodies = [whole] if not isinstance(whole, dict) else [whole, *_each_apart(operation, world, whole)]
        for url in {each for each, _ in filled(path, world.a, world.a)}:
            if not _fits(url, path, world.a):
                continue
            for body in bodies:
                unlimited()
                answer = getattr(client, method)(url, json.dumps(body), content_type="application/json")
                assert answer.status_code < 500, (method, url, body, answer.content)
                if found := world.traces_of_b(text_of(answer), asked=given):
                    leaks.append((method, url, found))
    for walk in (walk_api(world, world.a, world.a, by=by), walk_console(world, world.a, world.a)):
        for question, _, answer in walk:
            if found := world.traces_of_b(text_of(answer), asked=given):
                leaks.append((question, found))
    assert leaks == []
    assert state_of(world.b) == before


def _each_apart(operation: dict[str, Any], world: World, whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    ours = body_of(operation, world.a)
    for name, value in whole.items():
        if value != ours[name]:
            yield ours | {name: value}


def _fits(url: str, path: str, side: Side) -> bool:
    """A body is tried on records of the kind that its route is about; anything else is not found anyway."""
    if not _PARAMETER.search(path):
        return True
    kind = kind_meant(path)
    return kind is None or (side.ids[kind] if kind else side.connection) in url


def _words(body: Any) -> str:
    return " ".join(re.findall(r"[\w-]+", json.dumps(body)))


def test_a_live_stream_tells_of_the_own_organisation_only(world):
    from django.core import signing

    client = world.a.client(world.desk, by="person")
    said = signing.loads(client.get("/live-ticket").json()["ticket"], salt=live._SALT)
    assert said["organisations"] == [world.a.organisation]
    tail = Tail()
    import asyncio

    async def watched() -> list[Change]:
        with tail.watch(frozenset(said["organisations"])) as watcher:
            tail._fan_out(
                [
                    Change(1, "incident", side.ids["incident"], side.organisation, 1)
                    for side in (world.a, world.b)
                ]
            )
            return watcher.drain()

    assert [each.organisation for each in asyncio.run(watched())] == [world.a.organisation]


def test_words_of_sealed_texts_find_the_own_records_only(world):
    from isthmus.ledger import sealer

    sealer.seal_once(world.desk.book.clock.now())
    search.index_once()
    for asker, sees in ((world.a, False), (world.b, True)):
        page = asker.client(world.desk, by="person").get("/find", {"q": "basalt"}, follow=True)
        assert (world.b.ids["incident"] in page.content.decode()) is sees


def test_the_map_of_one_organisation_has_nothing_of_the_other(world):
    with scope.within({world.a.organisation}):
        graph = configuration.snapshot_of(world.a.organisation)
    assert world.a.ids["ci"] in graph.cis
    assert world.b.ids["ci"] not in graph.cis
