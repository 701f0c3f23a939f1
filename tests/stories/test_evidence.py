"""M1, M2 and Done-when 4: the book proves itself, by the command line and by a verifier that needs nothing of the
product; and a partner that says `approved` opens nothing unless it is an authority for exactly this content."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stories.sections import everywhere, flow
from tests.stories.served import STORE, Served

SYSTEMS = ("snow", "jira")
SOUND, TOUCHED = 0, 1


def stamp(minutes: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    owner = "Change manager"
    sync = flow(SYSTEMS) | {
        "change": {"owner": owner, "system_of_record": "hub", "connections": {"snow": {}}}
    }
    routes = [*everywhere(*SYSTEMS), {"id": "changes", "kind": "change", "to": ["snow"]}]
    return serve(systems=SYSTEMS, sections={"sync": sync, "routes": routes, "change": {}})


def raised_change(world: Served) -> dict[str, Any]:
    ci = world.word()
    world.ada.post("/cis", {"name": ci, "ci_class": "application", "environment": "production"})
    artefact = "sha256:" + hashlib.sha256(ci.encode()).hexdigest()
    found = world.ada.post(
        "/changes",
        {
            "title": world.title(), "type": "normal", "cis": [ci], "environment": "production", "artefact_hash": artefact,
            "window_start": stamp(-5), "window_end": stamp(60), "implementation_plan": "Roll out.", "backout_plan": "Roll back.",
        },
    )  # fmt: skip
    for action in ("submit", "assess", "request-approval"):
        world.ada.post(f"/changes/{found['id']}/{action}")
    return {**found, "ci": ci}


def gate(world: Served, change: dict[str, Any]) -> int:
    words = [
        "--change",
        change["number"],
        "--environment",
        "production",
        "--artefact",
        change["artefact_hash"],
        "--ci",
        change["ci"],
    ]
    return world.cli("gate", "check", *words).returncode


@pytest.fixture(scope="module")
def lived(world: Served) -> dict[str, Any]:
    """A few incidents and changes with a history, at rest."""
    incidents = [world.raised() for _ in range(3)]
    for each in incidents:
        keys = world.ticketed(each["id"], SYSTEMS)
        world.desks.edit("snow", keys["snow"], title=world.title())
        world.ada.post(f"/incidents/{each['id']}/comments", {"body": world.word(), "public": True})
    change = raised_change(world)
    world.quiet()
    return {"incident": incidents[0], "keys": world.keys(incidents[0]["id"]), "change": change}


def statement(world: Served, sql: str, *values: Any) -> int:
    """Do what somebody with the store's password could do; return how many rows it touched."""
    if STORE == "postgres":
        import psycopg

        with psycopg.connect(os.environ["ISTHMUS_DATABASE_URL"], autocommit=True) as link:
            return link.execute(sql.replace("?", "%s"), values).rowcount
    link = sqlite3.connect(world.hub.data_dir / "book.sqlite", timeout=20)
    with link:
        touched = link.execute(sql, values).rowcount
    link.close()
    return touched


def test_the_untouched_book_is_sound_by_both_verifiers(
    world: Served, lived: dict[str, Any], pack: Path
) -> None:
    del lived
    done = world.operator("audit", "verify")
    assert done.returncode == SOUND, done.stdout
    told = standalone(pack)
    assert told.returncode == SOUND, told.stdout


def test_the_testers_own_script_finds_the_chain_whole(
    world: Served, lived: dict[str, Any], pack: Path
) -> None:
    """Recomputed here from the format that the export describes: link[i] = SHA-256(link[i-1] || body[i])."""
    del world, lived
    entries = {row["seq"]: base64.b64decode(row["body"]["b64"]) for row in table(pack, "ledger_entry")}
    seals = sorted(table(pack, "ledger_seal"), key=lambda each: (each["organisation"], each["first"]))
    link: dict[str, bytes] = {}
    walked = 0
    for seal in seals:
        seqs, links = base64.b64decode(seal["seqs"]["b64"]), base64.b64decode(seal["links"]["b64"])
        for place in range(seal["count"]):
            seq = int.from_bytes(seqs[8 * place : 8 * place + 8], "big")
            before = link.get(seal["organisation"], bytes(32))
            link[seal["organisation"]] = hashlib.sha256(before + entries[seq]).digest()
            assert link[seal["organisation"]] == links[32 * place : 32 * place + 32], seq
            walked += 1
    assert walked > 20


def test_every_automated_call_is_on_record_with_its_answer(world: Served, lived: dict[str, Any]) -> None:
    """The entries about a link name the partner's version that each write led to."""
    link = next(
        each
        for each in world.ada.all("/links", record=lived["incident"]["id"])
        if each["connection"] == "snow"
    )
    entries = world.ada.all("/journal", record=link["id"])
    writes = [
        each
        for each in world.calls("snow", writes=True)
        if lived["keys"]["snow"] in each.path and each.status < 300
    ]
    assert len(entries) > len(writes)
    assert all(each["actor"] for each in entries)
    assert {each["connection"] for each in entries if each["channel"] == "hub"} == {"snow"}


def test_reading_the_journal_needs_the_role(world: Served) -> None:
    for who in ("vera", "grace"):
        assert world.people[who].call("GET", "/journal").status == 403
        assert world.people[who].call("POST", "/audit/verify", {}).status == 403
        assert world.people[who].call("GET", "/audit/export").status == 403
    assert world.ada.call("GET", "/journal").status == 200


# Done-when 4: somebody with the store in hand -----------------------------------------------------------


@pytest.fixture(scope="module")
def pack(world: Served, lived: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of the lived book."""
    del lived
    target = tmp_path_factory.mktemp("export") / "evidence.zip"
    world.until("everything to be sealed", lambda: world.operator("audit", "verify").returncode == SOUND)
    done = world.operator("audit", "export", str(target))
    assert done.returncode == 0, done.stderr
    return target


def table(path: Path, name: str) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(f"tables/{name}.jsonl").decode().splitlines()
    columns = json.loads(lines[0])
    return [dict(zip(columns, json.loads(line), strict=True)) for line in lines[1:]]


def rewritten(
    path: Path, target: Path, **tables: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> Path:
    """Return a copy of an export in which some tables were tampered with."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for each in archive.namelist():
            raw = archive.read(each)
            name = each.removeprefix("tables/").removesuffix(".jsonl")
            if name in tables:
                columns = json.loads(raw.decode().splitlines()[0])
                rows = tables[name](table(path, name))
                raw = (
                    "\n".join(
                        json.dumps(line) for line in [columns, *([row[c] for c in columns] for row in rows)]
                    ).encode()
                    + b"\n"
                )
            copy.writestr(each, raw)
    return target


def standalone(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier that lies in the export, with a bare Python that knows nothing of the product."""
    command = [sys.executable, "-I", "-S", str(path), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=path.parent)


def flip(raw: dict[str, str], place: int) -> dict[str, str]:
    data = bytearray(base64.b64decode(raw["b64"]))
    data[place % len(data)] ^= 1
    return {"b64": base64.b64encode(bytes(data)).decode()}


Rows = list[dict[str, Any]]


def _edit_a_byte(rows: Rows, at: int) -> Rows:
    rows[at]["body"] = flip(rows[at]["body"], 40 + at)
    return rows


def _envelope(rows: Rows, at: int) -> Rows:
    rows[at]["actor"] = "somebody-else"
    return rows


def _delete(rows: Rows, at: int) -> Rows:
    return rows[:at] + rows[at + 1 :]


def _swap(rows: Rows, at: int) -> Rows:
    rows[at]["body"], rows[at - 1]["body"] = rows[at - 1]["body"], rows[at]["body"]
    return rows


def _insert(rows: Rows, at: int) -> Rows:
    return [*rows, {**rows[at], "seq": rows[-1]["seq"] + 1, "version": rows[at]["version"] + 1000}]


@pytest.mark.parametrize(
    "how",
    [_edit_a_byte, _envelope, _delete, _swap, _insert],
    ids=["byte", "envelope", "delete", "swap", "insert"],
)
def test_a_touched_entry_is_named_in_the_export(
    world: Served, lived: dict[str, Any], pack: Path, tmp_path: Path, how: Any
) -> None:
    del lived
    rows = table(pack, "ledger_entry")
    at = world.random.randrange(2, len(rows) - 2)
    copy = rewritten(pack, tmp_path / "touched.zip", ledger_entry=lambda found: how(found, at))
    told = standalone(copy)
    assert told.returncode == TOUCHED, told.stdout + told.stderr
    assert (
        rows[at]["record"] in told.stdout
        or f"seq {rows[at]['seq']}" in told.stdout
        or str(rows[at]["seq"]) in told.stdout
    ), told.stdout


def test_a_cut_tail_is_found_against_the_witness_even_with_the_checkpoints_cut_too(
    world: Served, lived: dict[str, Any], pack: Path, tmp_path: Path
) -> None:
    del lived
    checkpoints = table(pack, "ledger_checkpoint")
    kept = checkpoints[: max(1, len(checkpoints) // 2)]
    covered = _heads(kept[-1])

    def sealed(rows: Rows) -> Rows:
        return [
            each for each in rows if each["first"] + each["count"] - 1 <= covered.get(each["organisation"], 0)
        ]

    seals = sealed(table(pack, "ledger_seal"))
    seqs = {
        int.from_bytes(base64.b64decode(each["seqs"]["b64"])[8 * i : 8 * i + 8], "big")
        for each in seals
        for i in range(each["count"])
    }
    copy = rewritten(
        pack, tmp_path / "cut.zip",
        ledger_checkpoint=lambda _: kept, ledger_seal=sealed,
        ledger_entry=lambda rows: [each for each in rows if each["seq"] in seqs],
    )  # fmt: skip
    witness = world.hub.data_dir / "witness" / "checkpoints.jsonl"
    told = standalone(copy, "--witness", str(witness))
    assert told.returncode == TOUCHED
    assert "witness" in told.stdout, told.stdout


def _heads(checkpoint: dict[str, Any]) -> dict[str, int]:
    """Return organisation → last position from a checkpoint's body, whatever its exact members are called."""
    body = json.loads(base64.b64decode(checkpoint["body"]["b64"]))
    heads = body.get("heads", {})
    return {
        name: int(value["position"] if isinstance(value, dict) else value[0])
        for name, value in dict(heads).items()
    }


TOUCHES = {
    "projection": (
        "UPDATE change_change SET authorisation = 'approved', state = 'scheduled' WHERE id = ?",
        "change",
    ),
    "link": ("UPDATE sync_link SET external_key = 'forged' WHERE record = ?", "incident"),
    "incident": ("UPDATE incident_incident SET state = 'closed' WHERE id = ?", "incident"),
    "offset": ("UPDATE hub_intake_offset SET position = position + 7", ""),
    "checkpoint": ("UPDATE ledger_checkpoint SET at = at + 1 WHERE number = 1", ""),
    "entry": ("UPDATE ledger_entry SET channel = 'page' WHERE record = ? AND version = 1", "incident"),
}


@pytest.fixture
def undisturbed(world: Served, tmp_path: Path) -> Iterator[None]:
    """Stop the hub for the test, and put the book back afterwards."""
    if STORE == "postgres":
        pytest.skip("the files of the embedded store are copied here; the export's checks run on both stores")
    world.hub.stop()
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in world.hub.data_dir.glob("book.sqlite*"):
        shutil.copy(path, kept)
    yield
    world.hub.stop()
    for path in world.hub.data_dir.glob("book.sqlite*"):
        path.unlink()
    for path in kept.iterdir():
        shutil.copy(path, world.hub.data_dir)
    world.hub.start()
    world.fresh()


@pytest.mark.usefixtures("undisturbed")
def test_touches_in_the_store_are_found_and_named(world: Served, lived: dict[str, Any]) -> None:
    book = world.hub.data_dir / "book.sqlite"
    for what, (sql, target) in TOUCHES.items():
        copy = book.with_name(f"copy-{what}.sqlite")
        _copied(book, copy)
        edited = sqlite3.connect(copy)
        with edited:
            touched = edited.execute(sql, (lived[target]["id"],) if target else ()).rowcount
        edited.close()
        assert touched >= 1, what
        told = world.operator("audit", "verify", str(copy))
        copy.unlink()
        assert told.returncode == TOUCHED, f"{what}: {told.stdout}"
        if target and what != "link":
            assert lived[target]["id"] in told.stdout, f"{what}: {told.stdout}"


def _copied(book: Path, copy: Path) -> None:
    source, target = sqlite3.connect(book), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


def test_the_gate_does_not_open_on_an_edited_row(world: Served) -> None:
    change = raised_change(world)
    assert gate(world, change) == 1
    sql = "UPDATE change_change SET authorisation = 'approved', state = 'scheduled' WHERE id = ?"
    assert statement(world, sql, change["id"]) == 1
    assert gate(world, change) == 1
    told = world.operator("audit", "verify")
    assert told.returncode == TOUCHED
    assert "change_change" in told.stdout or change["id"] in told.stdout
    statement(
        world,
        "UPDATE change_change SET authorisation = 'requested', state = 'authorisation' WHERE id = ?",
        change["id"],
    )
    assert world.operator("audit", "verify").returncode == SOUND


# A partner that says `approved` ---------------------------------------------------------------------------


def approve_there(world: Served, change: dict[str, Any]) -> str:
    """Have somebody approve the change in ServiceNow; return its sys_id."""
    key = world.until(
        "the change in ServiceNow",
        lambda: next(
            (e["external_key"] for e in world.ada.all("/links", record=change["id"]) if e["external_key"]), ""
        ),
    )
    world.quiet()
    snow: Any = world.partners.all["snow"].inside
    world.partners.inside(
        lambda: snow.instance.update(
            "change_request", key, {"approval": "approved", "state": "-2"}, snow.human
        )
    )
    return str(key)


def test_a_partner_that_says_approved_opens_nothing_by_itself(world: Served) -> None:
    change = raised_change(world)
    approve_there(world, change)
    world.until(
        "the message",
        lambda: [
            e for e in world.ada.all("/journal", connection="snow") if e["kind"] in {"approval", "link"}
        ],
    )
    world.quiet(seconds=4)
    assert world.ada.get(f"/changes/{change['id']}")["authorisation"] == "requested"
    assert gate(world, change) == 1


# M2 --------------------------------------------------------------------------------------------------------


def test_every_id_of_a_story_tells_the_same_story(world: Served, lived: dict[str, Any]) -> None:
    incident, keys = lived["incident"], lived["keys"]
    links = world.ada.all("/links", record=incident["id"])
    number = next(each["external_label"] for each in links if each["connection"] == "jira")
    stories = [
        world.ada.get(f"/traces/{each}")
        for each in (incident["id"], incident["number"], keys["snow"], number)
    ]
    entries = [[each["record"], each["version"]] for each in stories[0]["entries"]]
    assert len(entries) >= 5
    for other in stories[1:]:
        assert [[each["record"], each["version"]] for each in other["entries"]] == entries
    assert {each["connection"] for each in stories[0]["external"]} == set(SYSTEMS)
    times = [each["recorded_at"] for each in stories[0]["entries"]]
    assert times == sorted(times)
    assert world.ada.call("GET", f"/traces/{world.word(5)}").status == 404


def test_the_story_of_a_change_is_found_by_its_artefact_with_the_gates_answers(world: Served) -> None:
    change = raised_change(world)
    world.grace.post(f"/changes/{change['id']}/approve", {"comment": "Rehearsed."})
    assert gate(world, change) == 0
    story = world.ada.get(f"/traces/{change['artefact_hash']}")
    kinds = {each["kind"] for each in story["records"]}
    assert {"change", "approval", "gate_decision"} <= kinds
    assert any(world.person_ids["grace"] in json.dumps(each["actor"]) for each in story["entries"])


def test_what_is_not_known_of_a_partner_is_marked_as_a_gap(world: Served) -> None:
    world.ada.post("/systems/jira/pause", {"reason": "cut off"})
    incident = world.raised()
    world.ticketed(incident["id"], ("snow",))
    gaps = world.ada.get(f"/traces/{incident['number']}")["gaps"]
    assert any("jira" in each["text"] for each in gaps)
    world.ada.post("/systems/jira/resume")
    world.ticketed(incident["id"], SYSTEMS)
    world.until("no gap", lambda: not world.ada.get(f"/traces/{incident['number']}")["gaps"])
