"""Every route × every role, taken from the published document, against docs/reference/permissions.md.

Nothing here says which permission a route asks for: it is found by asking as each role, and confirmed with
tokens that hold exactly that scope, or all but it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from isthmus.hub.http import limits
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS, ROLES
from isthmus.web import records
from isthmus.web.api import api
from isthmus.web.console.urls import urlpatterns

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"
FOR_ANYBODY = {("get", "/api/v1/me"), ("get", "/api/v1/gate/requests/{token}")}
"""Who asks about themselves, and who holds a gate token: being signed in is enough."""
NOUNS = {
    "custody": {"incident"}, "waits": {"incident"}, "reviews": {"incident"}, "alerts": {"alert", "incident"}, "events": {"alert"}, "silences": {"alert"}, "sources": {"alert"}, "incidents": {"incident"}, "cis": {"ci"},
    "relations": {"ci"}, "impact": {"ci"}, "graph": {"ci"}, "cmdb-gaps": {"ci"}, "changes": {"change", "approval"},
    "freezes": {"change"}, "change-calendar": {"change"}, "gate": {"gate", "change"}, "approvals": {"approval"},
    "systems": {"system"}, "deliveries": {"delivery"}, "links": {"link"}, "conflicts": {"conflict"}, "traces": {"trace"},
    "journal": {"audit"}, "audit": {"audit"}, "blueprint": {"configuration", "approval"}, "tokens": {"token"}, "people": {"people"},
    "problems": {"problem"}, "known-errors": {"problem"}, "sla": {"sla"}, "backtests": {"configuration"}, "drafts": {"incident"}, "accuracy": {"alert"},
    "views": {"view"}, "lists": {"view"}, "on-call": {"oncall"}, "escalations": {"oncall"}, "notifications": {"oncall"},
}  # fmt: skip
"""First word of a path → nouns of the permissions that may guard it."""
ACTIONS = {
    "submit": "change:write", "assess": "change:write", "request-approval": "change:write", "approve": "approval:decide",
    "refuse": "approval:decide", "start": "change:manage", "implement": "change:manage", "review": "change:manage",
    "close": "change:manage", "cancel": "change:write",
}  # fmt: skip
"""What `POST /changes/{reference}/{action}` asks for, as its page says it."""


@cache
def published() -> dict[str, Any]:
    """Return the OpenAPI document as a client reads it."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))
    return found


def documented() -> dict[str, frozenset[str]]:
    """Return permission → roles that hold it, as the page says."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    roles = rows[0][2:-1]
    return {
        row[0].strip("`"): frozenset(
            role for role, cell in zip(roles, row[2:], strict=False) if cell == "yes"
        )
        for row in rows[2:]
    }


def never_by_token() -> set[str]:
    return set(re.findall(r"^\| `([\w:]+)` .*\| never \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def routes() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation), a path with actions once for each action."""
    document = published()
    found = []
    for path, way in document["paths"].items():
        for method, operation in way.items():
            actions = ACTIONS if "{action}" in path else ("",)
            found += [(method, path.replace("{action}", each), operation) for each in actions]
    return found


def body_of(operation: dict[str, Any]) -> Any:
    """Return the smallest body that the schema takes, so that the permission is what decides."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    parts = published()["components"]["schemas"]

    def small(schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return small(parts[schema["$ref"].rsplit("/", 1)[1]])
        if "anyOf" in schema:
            return small(schema["anyOf"][0])
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if kind == "object":
            return {name: small(schema["properties"][name]) for name in schema.get("required", ())}
        return {"array": [], "integer": 1, "number": 1, "boolean": False, "string": "nothing"}[kind]

    return small(content["schema"])


def own(desk: Any) -> dict[str, str]:
    """Return an existing id for each noun that has one, so that 404 never hides a missing check."""
    clock = records.of("sla_clock").filter(record=desk.incident.id).first()
    return {
        "incidents": desk.incident.id,
        "cis": desk.cis["db1"],
        "people": desk.people["nobody"],
        "sla": clock.id,
    }


def ask(client: Any, desk: Any, method: str, path: str, operation: dict[str, Any]) -> int:
    limits.limiter.__init__()
    noun = path.split("/")[3]
    known = own(desk).get(noun) or own_record(desk, noun)
    url = re.sub(r"\{\w+\}", lambda found: "1" if found.group() == "{sequence}" else known, path)
    query = "&".join(
        f"{each['name']}=2026-01-01T00:00:00Z"
        for each in operation.get("parameters", ())
        if each["in"] == "query" and each.get("required")
    )
    url = f"{url}?{query}"
    if method == "get":
        answer = client.get(url)
    else:
        answer = getattr(client, method)(url, json.dumps(body_of(operation)), content_type="application/json")
    assert answer.status_code < 500, (method, url, answer.content)
    return int(answer.status_code)


def own_record(desk: Any, noun: str) -> str:
    return str(desk.others.get(noun, "0" * 26))


@pytest.fixture
def furnished(desk: Any) -> Any:
    """A desk with a record behind every noun that has ids."""
    from isthmus.hub.lanes.models import Delivery
    from isthmus.kernel.record import Reason
    from isthmus.web import records

    book, why = desk.book, [Reason(rule="test.seed", text="Seeded.")]
    desk.others = {}
    wanted: dict[str, tuple[str, dict[str, Any]]] = {
        "alerts": ("alert", {"identity": "a", "state": "firing", "decision": "drafted"}),
        "silences": ("silence", {"state": "active"}),
        "accuracy": ("accuracy_sample", {"alert": "a", "verdict": "open"}),
        "relations": ("ci_relation", {"source_ci": desk.cis["shop"], "target_ci": desk.cis["db1"], "type": "runs_on", "state": "live"}),
        "changes": ("change", {"title": "t", "state": "new", "type": "normal"}),
        "problems": ("problem", {"title": "t", "state": "new"}),
        "known-errors": ("known_error", {"title": "t", "state": "draft"}),
        "freezes": ("freeze", {"name": "f", "effect": "freeze", "state": "active"}),
        "links": ("link", {"record_kind": "incident", "record": desk.incident.id, "connection": "x", "state": "active"}),
        "conflicts": ("conflict", {"record_kind": "incident", "record": desk.incident.id, "field": "title", "state": "open"}),
        "escalations": ("escalation", {"key": "k", "open": True, "subject_kind": "incident", "subject": desk.incident.id, "state": "running"}),
        "notifications": ("notification", {"key": "n", "state": "sent", "receipts": []}),
        "on-call": ("rota_override", {"rota": "r", "state": "active"}),
        "tokens": ("service_account", {"name": "n", "token_hash": "1" * 64, "state": "active"}),
    }  # fmt: skip

    def make(work: Any) -> None:
        for noun, (kind, values) in wanted.items():
            made = work.create(records.models()[kind], organisation=book.organisation, values=values, why=why)
            desk.others[noun] = made.id
        approval = {
            "subject_kind": "change",
            "subject": desk.others["changes"],
            "content_hash": "h",
            "state": "awaiting",
        }
        made = work.create(
            records.models()["approval"], organisation=book.organisation, values=approval, why=why
        )
        desk.others["approvals"] = made.id
        desk.others["deliveries"] = "0" * 25 + "1"
        work.insert(
            Delivery, id=desk.others["deliveries"], organisation=book.organisation, connection="x", kind="once", subject="s",
            record_kind="incident", record=desk.incident.id, verb="comment", state="dead", key="k", payload=b"",
            created_at=work.now, updated_at=work.now,
        )  # fmt: skip

    book.perform(make)
    return desk


def test_every_route_lets_in_exactly_the_roles_that_the_page_names(furnished):
    page, desk, wrong = documented(), furnished, []
    clients = {role: desk.client(role) for role in ROLES}
    for method, path, operation in routes():
        if (method, path) in FOR_ANYBODY:
            continue
        allowed = frozenset(
            role for role in ROLES if ask(clients[role], desk, method, path, operation) != 403
        )
        nouns = NOUNS.get(path.split("/")[3], set())
        named = ACTIONS.get(path.rsplit("/", 1)[1]) if "/changes/" in path else None
        fitting = [each for each, roles in page.items() if roles == allowed and each.split(":")[0] in nouns]
        if not fitting or (named and named not in fitting):
            wrong.append((method, path, sorted(allowed)))
    assert wrong == []


def test_a_token_with_every_scope_but_one_is_refused_where_that_one_counts(furnished):
    """For each route some single scope opens it, and without it nothing does; what no token may hold stays shut."""
    desk, wrong = furnished, []
    page = documented()
    usable = sorted(PERMISSIONS.keys() - NEVER_BY_TOKEN)
    assert never_by_token() == NEVER_BY_TOKEN
    bearer = {
        name: desk.client(headers={"authorization": f"Bearer {desk.token(*scopes)}"})
        for each in usable
        for name, scopes in ((each, [each]), (f"-{each}", [other for other in usable if other != each]))
    }
    for method, path, operation in routes():
        if (method, path) in FOR_ANYBODY:
            continue
        nouns = NOUNS.get(path.split("/")[3], set())
        candidates = [each for each in usable if each.split(":")[0] in nouns]
        opens = [each for each in candidates if ask(bearer[each], desk, method, path, operation) != 403]
        without = [each for each in opens if ask(bearer[f"-{each}"], desk, method, path, operation) != 403]
        never = {each for each in page if each in NEVER_BY_TOKEN and each.split(":")[0] in nouns}
        if len(opens) > 1 or without or (not opens and not never):
            wrong.append((method, path, opens, without))
    assert wrong == []


def test_whoever_is_not_signed_in_gets_401_from_every_route_and_a_redirect_from_every_page(furnished):
    client = furnished.client()
    for method, path, operation in routes():
        assert ask(client, furnished, method, path, operation) == 401, (method, path)
    for each in urlpatterns:
        url = re.sub(r"<int:\w+>", "1", f"/{each.pattern}")
        url = re.sub(r"<\w+:\w+>", "something", url)
        for answer in (client.get(url), client.post(url)):
            if url == "/live-ticket":
                assert answer.status_code == 401
            elif answer.status_code == 405:
                continue
            else:
                assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/accounts/login/"), (
                    url
                )


def test_somebody_without_a_role_is_refused_everywhere(furnished):
    client = furnished.client("nobody")
    for method, path, operation in routes():
        if (method, path) not in FOR_ANYBODY:
            # Nobody's scope is empty, so a record that is asked for by its id is not even there.
            refusals = {403, 404} if "{" in path else {403}
            assert ask(client, furnished, method, path, operation) in refusals, (method, path)


def test_the_page_and_the_code_know_the_same_roles_and_permissions():
    assert documented() == {
        each: frozenset(role for role, held in ROLES.items() if each in held) for each in PERMISSIONS
    }
