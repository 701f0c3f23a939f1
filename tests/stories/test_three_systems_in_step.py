"""C1: one incident in three ticket systems at once, edited everywhere, and each value and file travels once."""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tests.stories.sections import everywhere, flow
from tests.stories.served import Served

from isthmus.connectors.jira.adf import from_adf

SYSTEMS = ("snow", "jira", "tracker")
# canonical → how each system says it (the tester's own table, not the connectors')
STATE = {
    "in_progress": {"snow": "2", "jira": "Work in progress", "tracker": "in-progress"},
    "on_hold": {"snow": "3", "jira": "Pending", "tracker": "deferred"},
}


@pytest.fixture(scope="module")
def world(serve: Callable[..., Served]) -> Served:
    rules = [
        {"id": "incident.title", "field": "title", "policy": "latest", "skew_seconds": 0},
        {"id": "incident.state", "field": "resolution", "policy": "latest", "skew_seconds": 0},
    ]
    return serve(systems=SYSTEMS, sections={"sync": flow(SYSTEMS, *rules), "routes": everywhere(*SYSTEMS)})


def titles(world: Served, keys: dict[str, str]) -> dict[str, str]:
    return {name: world.desks.ticket(name, keys[name]).title for name in keys}


def test_a_ticket_opened_in_one_system_exists_in_the_others_once(world: Served) -> None:
    title = world.title()
    snow: Any = world.partners.all["snow"].inside
    before = {name: world.desks.count(name) for name in SYSTEMS}
    row = world.partners.inside(
        lambda: snow.instance.insert("incident", {"short_description": title}, snow.human)
    )
    found = world.until(
        "the incident", lambda: [each for each in world.ada.all("/incidents") if each["title"] == title]
    )
    keys = world.ticketed(found[0]["id"], SYSTEMS)
    assert keys["snow"] == row["sys_id"]
    assert set(titles(world, keys).values()) == {title}
    world.quiet()
    assert {name: world.desks.count(name) - before[name] for name in SYSTEMS} == dict.fromkeys(SYSTEMS, 1)


def test_random_edits_everywhere_with_a_kill_converge_and_echo_nowhere(world: Served) -> None:
    """Each (incident, field) has one system in which people edit it, so the tester knows the end: the last edit."""
    incidents = [world.raised()["id"] for _ in range(4)]
    keys = {each: world.ticketed(each, SYSTEMS) for each in incidents}
    home = {each: world.random.choice(SYSTEMS) for each in incidents}
    teller = {
        each: world.random.choice(("snow", "jira")) for each in incidents
    }  # Roundup's people edit no message
    world.quiet()
    before = {name: len(world.calls(name, writes=True)) for name in SYSTEMS}
    expected: dict[tuple[str, str], str] = {}
    said: dict[str, list[str]] = {each: [] for each in incidents}
    edits = 36
    kill_at = world.random.randrange(8, 28)
    for step in range(edits):
        incident = world.random.choice(incidents)
        match world.random.choice(("title", "description", "comment")):
            case "title":
                expected[incident, "title"] = text = world.title()
                world.desks.edit(home[incident], keys[incident][home[incident]], title=text)
            case "description":
                expected[incident, "description"] = text = f"Seen by {world.word()}\nsince {world.word()}"
                world.desks.edit(teller[incident], keys[incident][teller[incident]], description=text)
            case _:
                where = world.random.choice(SYSTEMS)
                said[incident].append(f"note {world.word()}")
                world.desks.comment(where, keys[incident][where], said[incident][-1])
        if step == kill_at:
            world.hub.kill()
    world.hub.start()
    world.fresh()

    def apart() -> list[Any]:
        """Return what is not as last written: where, what stands there, where it was written, and what was."""
        return [
            (incident, name, what, stands, home[incident] if what == "title" else teller[incident], text)
            for (incident, what), text in expected.items()
            for name in SYSTEMS
            if (stands := field_of(world, name, keys[incident][name], what)) != text
        ]

    world.until("every field everywhere as last written", lambda: not apart(), instead=apart)
    world.until(
        "every comment everywhere",
        lambda: all(
            any(text in held for held in world.desks.ticket(name, keys[i][name]).comments)
            for i in incidents for name in SYSTEMS for text in said[i]
        ),
    )  # fmt: skip
    world.quiet()
    for incident in incidents:
        for name in SYSTEMS:
            held = world.desks.ticket(name, keys[incident][name]).comments
            for text in said[incident]:
                assert sum(text in each for each in held) == 1, f"{text!r} stands {held} in {name}"
    for name in SYSTEMS:
        bodies = Counter(
            (each.path, each.body)
            for each in world.calls(name, writes=True)[before[name] :]
            if 0 < each.status < 300 and b"transition" not in each.body
        )
        repeated = {pair: count for pair, count in bodies.items() if count > 1}
        assert not repeated, f"{name} was written the same value twice: {repeated}"


def field_of(world: Served, name: str, key: str, field: str) -> str:
    """Return a field as its own system holds it."""
    if field == "title":
        return world.desks.ticket(name, key).title
    inside: Any = world.partners.all[name].inside
    match name:
        case "snow":
            return str(world.partners.inside(lambda: inside.shelf("incident").get(key)["description"]))
        case "jira":
            return (
                from_adf(world.partners.inside(lambda: inside.project.issue(key)["fields"]["description"]))
                or ""
            )
        case _:
            first = inside._person().get(f"issue/{key}")["attributes"]["messages"]
            number = min((each["id"] for each in first), key=int)
            return str(inside._person().get(f"msg/{number}?@verbose=3")["attributes"]["content"])


def test_a_file_of_each_system_and_of_ours_has_the_same_hash_in_all_of_them(world: Served) -> None:
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.quiet()
    contents = {
        "ours.bin": world.random.randbytes(70_000),
        "snow.bin": world.random.randbytes(9_000),
        "jira.bin": world.random.randbytes(30_000),
        "tracker.txt": b", ".join(
            [world.word().encode()] * 200
        ),  # Roundup itself cuts blanks off a text's end
    }
    expected = {name: [hashlib.sha256(content).hexdigest()] for name, content in contents.items()}
    sent = world.http(
        "POST",
        f"/api/v1/incidents/{incident['id']}/attachments?filename=ours.bin",
        contents["ours.bin"],
        {**world.bearer("caller"), "Content-Type": "application/octet-stream"},
    )
    assert (sent.status, [sent.body["sha256"]]) == (201, expected["ours.bin"])
    for name in ("snow", "jira"):
        inside: Any = world.partners.all[name].inside
        world.partners.inside(
            lambda inside=inside, name=name: inside.human_attach(
                "incident", keys[name], f"{name}.bin", contents[f"{name}.bin"]
            )
        )
    person = world.partners.all["tracker"].inside._person()
    text = contents["tracker.txt"].decode()
    added = person.create("file", name="tracker.txt", type="text/plain", content=text)
    person.edit(keys["tracker"], files=[added])

    world.until(
        "every file everywhere",
        lambda: all(held(world, name, keys[name]).keys() >= expected.keys() for name in SYSTEMS),
    )
    world.quiet(seconds=4)  # longer than the slowest poll: nothing comes back as a second file
    assert {name: held(world, name, keys[name]) for name in SYSTEMS} == dict.fromkeys(SYSTEMS, expected)
    ours = world.ada.get(f"/incidents/{incident['id']}/attachments")["items"]
    assert {each["filename"]: [each["sha256"]] for each in ours} == expected


def held(world: Served, name: str, key: str) -> dict[str, list[str]]:
    """Return file name → hashes of the contents as a system holds them, computed by the tester."""
    inside: Any = world.partners.all[name].inside
    if name != "tracker":
        found = world.partners.inside(lambda: inside.files(key))
        return {file: [hashlib.sha256(each).hexdigest() for each in held] for file, held in found.items()}
    person = inside._person()
    hashes: dict[str, list[str]] = {}
    for each in person.get(f"issue/{key}")["attributes"]["files"]:
        file = person.get(f"file/{each['id']}")["attributes"]["name"]
        hashes.setdefault(file, []).append(hashlib.sha256(_content(person, each["id"])).hexdigest())
    return hashes


def _content(person: Any, file: str) -> bytes:
    signed = base64.b64encode(f"{person.name}:{person.password}".encode()).decode()
    request = urllib.request.Request(
        f"{person.url}/rest/data/file/{file}/binary_content",
        headers={"Authorization": f"Basic {signed}", "X-Requested-With": "rest", "Accept": "*/*", "Referer": person.url + "/", "Origin": person.url},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def test_a_value_is_never_written_back_to_where_it_came_from(world: Served) -> None:
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.quiet()
    before = {name: len(world.calls(name, writes=True)) for name in SYSTEMS}
    title = world.title()
    world.desks.edit("jira", keys["jira"], title=title)
    world.until("the title everywhere", lambda: set(titles(world, keys).values()) == {title})
    world.quiet()
    wrote = {name: [each.body for each in world.calls(name, writes=True)[before[name] :]] for name in SYSTEMS}
    assert wrote["jira"] == [], "an echo"
    assert sum(title.encode() in body for body in wrote["snow"]) == 1
    assert sum(title.encode() in body for body in wrote["tracker"]) == 1


def test_states_follow_the_status_map_there_and_back(world: Served) -> None:
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.quiet()
    for state, where in (("in_progress", "snow"), ("on_hold", "jira"), ("in_progress", "tracker")):
        world.desks.edit(where, keys[where], state=STATE[state][where])
        world.until(
            f"{state} set in {where} everywhere",
            lambda s=state: all(
                world.desks.ticket(name, keys[name]).state == STATE[s][name] for name in SYSTEMS
            ),
        )


def test_resolving_and_reopening_travel(world: Served) -> None:
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    world.ada.post(
        f"/incidents/{incident['id']}/resolve",
        {"code": "Solution provided", "notes": f"Restarted {world.word()}."},
    )
    resolved = {"snow": "6", "jira": "Resolved", "tracker": "resolved"}
    world.until(
        "resolved everywhere",
        lambda: all(world.desks.ticket(name, keys[name]).state == resolved[name] for name in SYSTEMS),
    )
    world.ada.post(f"/incidents/{incident['id']}/reopen")
    opened = STATE["in_progress"]
    world.until(
        "reopened everywhere",
        lambda: all(world.desks.ticket(name, keys[name]).state == opened[name] for name in SYSTEMS),
    )


def test_the_inventory_shows_three_spokes_and_no_pairs(world: Served) -> None:
    systems = world.ada.get("/systems")["items"]
    assert sorted(each["name"] for each in systems) == sorted(SYSTEMS)
    incident = world.raised()
    world.ticketed(incident["id"], SYSTEMS)
    links = world.ada.all("/links", record=incident["id"])
    assert sorted(each["connection"] for each in links) == sorted(SYSTEMS)


def test_after_unlinking_edits_no_longer_travel_and_the_others_still_do(world: Served) -> None:
    incident = world.raised()
    keys = world.ticketed(incident["id"], SYSTEMS)
    link = next(
        each for each in world.ada.all("/links", record=incident["id"]) if each["connection"] == "jira"
    )
    held = titles(world, keys)["jira"]
    world.ada.post(f"/links/{link['id']}/unlink", {"reason": "The site is given up."})
    title, private = world.title(), world.title()
    world.desks.edit("snow", keys["snow"], title=title)
    world.until(
        "the title in the tracker", lambda: world.desks.ticket("tracker", keys["tracker"]).title == title
    )
    world.quiet()
    assert world.desks.ticket("jira", keys["jira"]).title == held
    world.desks.edit("jira", keys["jira"], title=private)
    world.quiet(seconds=4)  # longer than the slowest poll
    assert world.desks.ticket("snow", keys["snow"]).title == title
    assert private not in json.dumps(world.ada.get(f"/incidents/{incident['id']}"))
