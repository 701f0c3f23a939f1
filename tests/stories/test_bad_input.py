"""Done-when 6: malformed payloads, blueprints and tables each get one clear error and change nothing; requests
with a wrong, missing, late, replayed or oversized signature are refused. The corpus stands in `bad_input/`, one
file per way to break, named for it."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stories.sections import ALERTS, everywhere, flow, webhook
from tests.stories.served import Reply, Served

from isthmus.blueprint import source, validate
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.signature import SCHEMES

CORPUS = Path(__file__).parent / "bad_input"
FILES_MIN = 40


def corpus(*folders: str) -> list[Any]:
    found = sorted(path for folder in folders for path in (CORPUS / folder).iterdir())
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in found]


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    bearer = {name: {"secret": f"env:STORY_{name.upper()}"} for name in ("prometheus", "inventory")}
    receivers = {
        "watch": webhook("watch", ALERTS),
        "prometheus": {"connector": "alertmanager", "config": {"token": bearer["prometheus"]}},
        "inventory": {"connector": "csv", "config": {"token": bearer["inventory"]}},
    }
    systems = ("snow", "jira")
    return serve(
        systems=systems, receivers=receivers, sections={"sync": flow(systems), "routes": everywhere(*systems)}
    )


DOORS = {
    "alertmanager": "prometheus",
    "servicenow": "snow",
    "jira": "jira",
    "webhook": "watch",
    "csv": "inventory",
}


def signed(world: Served, connector: str, raw: bytes) -> dict[str, str]:
    """Return the headers of an authentic request: what is wrong is the body, not the sender."""
    name = DOORS[connector]
    if connector == "servicenow":
        secret = world.partners.all["snow"].inside.secrets()["webhook_secret"]
        return SCHEMES["standard_webhooks"].sign(raw, secret, now(), f"bad-{random.getrandbits(64):x}")
    if connector == "jira":
        secret = world.partners.all["jira"].inside.secrets()["webhook_secret"]
        return {
            **SCHEMES["hub_sha256"].sign(raw, secret, now()),
            "X-Atlassian-Webhook-Identifier": f"{random.getrandbits(64):x}",
        }
    return {**world.bearer(name), "Content-Type": "text/csv" if connector == "csv" else "application/json"}


def now(offset: int = 0) -> Instant:
    return Instant(time.time_ns() // 1000 + offset)


def state(world: Served) -> dict[str, Any]:
    """What must be the same afterwards: every kind of record, the blueprint, and what partners hold."""
    kinds = (
        "/incidents",
        "/alerts",
        "/cis",
        "/relations",
        "/changes",
        "/links",
        "/conflicts",
        "/deliveries/parked",
    )
    found: dict[str, Any] = {kind: sorted(each["id"] for each in world.ada.all(kind)) for kind in kinds}
    found["generation"] = world.ada.get("/blueprint")["generation"]
    return found | {name: world.desks.count(name) for name in ("snow", "jira")}


def assert_clear(reply: Reply, *statuses: int) -> None:
    """One problem, in words, without our insides."""
    assert reply.status in statuses, reply
    assert reply.body["detail"]
    assert reply.body["type"].startswith("https://isthmus.dev/problems/")
    text = json.dumps(reply.body)
    assert "Traceback" not in text
    assert not re.search(r"\b(msgspec|django|psycopg|sqlite3|KeyError|TypeError)\b", text), text


@pytest.fixture(scope="module", autouse=True)
def unchanged(world: Served) -> Any:
    """Compare everything before the first and after the last of the corpus: nothing of it may have an effect."""
    before = state(world)
    yield
    world.quiet()
    assert state(world) == before


def test_the_corpus_is_large_enough() -> None:
    assert sum(1 for path in CORPUS.rglob("*") if path.is_file()) >= FILES_MIN


@pytest.mark.parametrize("path", corpus("alertmanager", "servicenow", "jira", "webhook", "csv"))
def test_a_malformed_message_is_refused_at_the_door(world: Served, path: Path) -> None:
    connector, raw = path.parent.name, path.read_bytes()
    reply = world.ingest(f"/{connector}/{DOORS[connector]}", raw, signed(world, connector, raw))
    assert_clear(reply, 422)
    assert reply.body["errors"] or reply.body["detail"]


@pytest.mark.parametrize("path", corpus("blueprint"))
def test_a_malformed_blueprint_is_refused_by_file_and_line(path: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(path.read_bytes())
    parsed, wrong = validate.check(source.read_directory(tmp_path))
    assert parsed is None
    assert len(wrong) in {1, 2}, wrong
    assert all(each.message and "mine.yaml" in each.path for each in wrong), wrong


def test_the_command_line_refuses_some_of_them_in_the_same_words(world: Served, tmp_path: Path) -> None:
    for path in world.random.sample(sorted((CORPUS / "blueprint").iterdir()), 3):
        folder = tmp_path / path.stem
        folder.mkdir()
        (folder / "mine.yaml").write_bytes(path.read_bytes())
        for command in ("validate", "apply"):
            done = world.operator(command, str(folder))
            said = done.stdout + done.stderr
            assert done.returncode == 1, said
            assert "mine.yaml" in said, said
            assert "Traceback" not in said


@pytest.mark.parametrize("path", corpus("api"))
def test_a_malformed_request_is_refused_with_its_place(world: Served, path: Path) -> None:
    raw = path.read_bytes()
    reply = world.http("POST", "/api/v1/incidents", raw, world.bearer("caller"))
    assert_clear(reply, 400, 422)


def good(world: Served) -> bytes:
    """Return a delivery of ServiceNow that would make an incident, were it let in."""
    cell = {
        "sys_id": world.word(),
        "sys_mod_count": "0",
        "sys_updated_on": "2026-11-20 20:00:00",
        "short_description": world.title(),
        "state": "1",
    }
    record = {name: {"value": value, "display_value": value} for name, value in cell.items()}
    return json.dumps(
        {"id": world.word(), "table": "incident", "operation": "insert", "record": record, "journal": []}
    ).encode()


def test_wrong_missing_late_and_oversized_signatures_are_refused(world: Served) -> None:
    scheme, secret = (
        SCHEMES["standard_webhooks"],
        world.partners.all["snow"].inside.secrets()["webhook_secret"],
    )
    raw = good(world)
    authentic = scheme.sign(raw, secret, now(), world.word())
    other_key = "d" * 40 + "=" * (-40 % 4)
    bad = {
        "missing": {},
        "wrong key": scheme.sign(raw, other_key, now(), world.word()),
        "of another body": scheme.sign(raw + b" ", secret, now(), world.word()),
        "cut": {**authentic, "webhook-signature": authentic["webhook-signature"][:-6]},
        "under another id": {**authentic, "webhook-id": world.word()},
        "under another time": {
            **authentic,
            "webhook-timestamp": str(int(authentic["webhook-timestamp"]) + 1),
        },
        "late": scheme.sign(raw, secret, now(-6 * MINUTE), world.word()),
        "from the future": scheme.sign(raw, secret, now(6 * MINUTE), world.word()),
        "time is no number": {**authentic, "webhook-timestamp": "noon"},
        "not base64": {**authentic, "webhook-signature": "v1,***"},
        "oversized": {**authentic, "webhook-signature": "v1," + "A" * 9_000},
        "a thousand of them": {**authentic, "webhook-signature": " ".join(["v1,AAAA"] * 1000)},
        "another scheme": {"Authorization": f"Bearer {secret}"},
    }
    for what, headers in bad.items():
        reply = world.ingest("/servicenow/snow", raw, headers)
        assert reply.status == 401, f"{what}: {reply}"
        assert_clear(reply, 401)
        assert secret not in json.dumps(reply.body)


def test_an_oversized_body_and_a_foreign_content_type_are_refused(world: Served) -> None:
    raw = b'{"id": "' + b"x" * 3_000_000 + b'"}'
    assert world.ingest("/webhook/watch", raw, world.bearer("watch")).status in {413, 0}
    assert_clear(
        world.ingest("/webhook/watch", b"<a/>", {**world.bearer("watch"), "Content-Type": "application/xml"}),
        415,
    )
    assert_clear(world.ingest("/webhook/nowhere", b"{}", world.bearer("watch")), 404)
    assert_clear(world.http("PUT", "/ingest/webhook/watch", b"{}", world.bearer("watch")), 405)


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + "x" * 9_000]
)
def test_wrong_tokens_are_refused(world: Served, header: str) -> None:
    assert (
        world.ingest(
            "/webhook/watch", json.dumps({"id": "a", "event": "b"}).encode(), {"Authorization": header}
        ).status
        == 401
    )
