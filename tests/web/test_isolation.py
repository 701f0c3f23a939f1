"""Two sibling organisations with one record of every kind: whatever is asked as A, nothing of B appears.

Routes come from the OpenAPI document and the URL resolver, kinds from the kernel: what is added later is
walked without a change here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.web.two_organisations import OF_THE_INSTALLATION, Side, World, founded
from tests.web.walking import (
    PARAMETER,
    api_routes,
    body_of,
    console_routes,
    filled,
    kind_meant,
    state_of,
    text_of,
    unlimited,
    walk_api,
    walk_console,
)

from isthmus.hub import live
from isthmus.hub.tail import Change, Tail
from isthmus.identity import people
from isthmus.identity.roles import ROLES
from isthmus.kernel.kinds import KINDS
from isthmus.ledger import scope, search
from isthmus.practices.configuration import service as configuration
from isthmus.web.lists.tables import TABLES

UNSEEN = {"share", "intake_offset", "list_choice"}
"""Kinds whose records no route shows in words, besides the journal, or to the one person only whose they are."""


@pytest.fixture
def world(desk: Any) -> World:
    return founded(desk)


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
        if method == "get" or not PARAMETER.search(path) or "{sequence}" in path:
            continue
        body = json.dumps(body_of(operation, world.a))
        made_up = PARAMETER.sub("0" * 26, path)
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
        if not PARAMETER.search(path) or "<int:" in path:
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
    if not PARAMETER.search(path):
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


def test_every_column_and_file_of_every_list_holds_the_own_records_only(world):
    """All columns, also those that nobody is shown unasked, for both: A's say nothing of B, and B's say something."""
    silent = set()
    for table in TABLES.values():
        query = {"columns": ",".join(each.key for each in table.columns), "format": "csv"}
        query |= {"state": "any"} if any("any" in each.keywords for each in table.filters) else {}
        for side in (world.a, world.b):
            client = side.client(world.desk, by="token")
            answer = client.get(f"/api/v1/lists/{table.key}", query)
            assert answer.status_code == 200, (table.key, answer.content)
            if side is world.a:
                assert not world.traces_of_b(text_of(answer)), table.key
            elif not world.traces_of_b(text_of(answer)):
                silent.add(table.key)
    assert not silent - {"drafts"}, "drafts: the seeded alert was opened, not drafted"


def test_views_of_the_other_organisation_are_neither_listed_nor_applied(world):
    view = world.b.ids["list_view"]
    for by in ("person", "token"):
        client = world.a.client(world.desk, by=by)
        assert view not in text_of(client.get("/api/v1/views"))
        assert client.get(f"/api/v1/views/{view}").status_code == 404
        assert client.get("/api/v1/lists/incidents", {"view": view}).status_code == 404
        put = client.put(
            "/api/v1/lists/incidents/choice", json.dumps({"view": view}), content_type="application/json"
        )
        assert put.status_code == 404
    owner = world.b.client(world.desk, by="person")
    assert view in text_of(owner.get("/api/v1/views")), "the twin: who belongs there sees it"
    assert owner.get("/api/v1/lists/incidents", {"view": view}).status_code == 200


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
