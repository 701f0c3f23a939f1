"""Every list: columns, order and filters stand in the URL, what means nothing there is reported, and files are safe."""

from __future__ import annotations

import csv
import io
import re
from copy import copy
from dataclasses import replace

import pytest
from django.http import QueryDict
from tests.web.two_organisations import founded

from isthmus.hub.http import paging
from isthmus.identity.roles import ROLES
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Rejected
from isthmus.ledger import scope
from isthmus.practices.incident import service as incidents
from isthmus.web.lists import choosing, download, showing
from isthmus.web.lists.asked import canonical, read
from isthmus.web.lists.tables import INCIDENTS, TABLES

READER = Actor(kind=ActorKind.PERSON, id="p", label="P", organisations=frozenset(), roles=frozenset())


def asked(text: str, **more):
    return read(INCIDENTS, READER, QueryDict(text), **more)


def keys(found) -> list[str]:
    return [each.key for each in found.columns]


def many(desk, count: int, **values):
    for number in range(count):
        given = {"title": f"Slow {number}", "impact": "3", "urgency": "3", **values}
        desk.book.perform(lambda work, given=given: incidents.create(work, desk.book.organisation, given))


def heads(answer) -> list[str]:
    text = re.search(r"<thead>.*?</thead>", answer.content.decode(), re.DOTALL).group()
    return [
        re.sub(r"<[^>]+>|[↑↓]", "", each).strip()
        for each in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', text)
    ]


def rows(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda each: each.key)
def test_every_list_is_declared_whole(table):
    names = [each.key for each in table.columns]
    assert len(set(names)) == len(names)
    assert "id" not in names, "a program reads the id of the row there"
    assert table.column(table.fixed) in table.usual
    assert all(need in table.loaders for each in table.columns for need in each.needs)
    assert len({each.heading for each in table.columns}) == len(names), "two heads that nobody can tell apart"
    assert not {each.name for each in table.filters} & {
        "columns",
        "order",
        "view",
        "cursor",
        "limit",
        "format",
    }


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda each: each.key)
def test_every_list_shows_any_of_its_columns_sorts_by_those_it_says_and_becomes_a_file(desk, table):
    client = desk.client("administrator")
    everything = ",".join(each.key for each in reversed(table.columns))
    query = f"columns={everything}{'&as=table' if table.key == 'clocks' else ''}"
    page = client.get(f"{table.path}?{query}")
    assert page.status_code == 200, page.content[:2000]
    if b"<thead>" in page.content.split(b"list-tools")[1]:
        shown = page.content.decode().split("list-tools")[1]
        assert all(f">{each.heading}" in shown for each in table.columns)
    taken = client.get(f"{table.path}?{query}&format=csv")
    assert taken["Content-Type"].startswith("text/csv")
    first = taken.content.decode().splitlines()[0]
    assert next(csv.reader([first])) == [each.heading for each in reversed(table.columns)]
    for column in table.sortable:
        for order in (column.key, f"-{column.key}"):
            answer = client.get(f"{table.path}?order={order}&limit=1")
            assert answer.status_code == 200, order
            assert b"flash-notice" not in answer.content


def test_the_reader_chooses_columns_and_their_order(desk):
    answer = desk.client("viewer").get("/incidents?columns=priority,number,opened_by,group")
    assert heads(answer) == ["Priority", "Number", "Opened by", "Group"]
    assert b'data-label="Group"' in answer.content, "on a phone each cell says its column"
    assert b'data-label="Title"' not in answer.content


def test_the_way_to_the_record_is_always_shown(desk):
    answer = desk.client("viewer").get("/incidents?columns=title")
    assert heads(answer) == ["Number", "Title"]
    assert f'href="/incidents/{desk.incident.id}"' in answer.content.decode()


def test_a_column_that_the_list_does_not_have_is_refused_and_the_others_are_named(desk):
    answer = desk.client("viewer").get("/incidents?columns=number,nonsense,title")
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "nonsense" in text
    assert "number, title, state" in text


def test_what_means_nothing_in_the_address_is_reported_and_not_applied(desk):
    text = (
        desk.client("viewer").get("/incidents?state=opne&priority=1,9&colour=red&order=mood").content.decode()
    )
    for said in ("state cannot be", "opne", "priority cannot be", "colour", "sorted by", "mood"):
        assert said.casefold() in text.casefold(), said
    assert "Checkout is slow" in text
    clean = desk.client("viewer").get("/incidents?state=open&priority=1,2,3&order=-opened").content.decode()
    assert "flash-notice" not in clean


def test_a_filter_that_no_field_shows_is_named_stays_while_others_change_and_can_be_taken_away(desk):
    ci, client = desk.cis["db1"], desk.client("viewer")
    page = client.get(f"/incidents?state=any&ci={ci}").content.decode()
    form = page.split('class="filters"')[1].split("</form>")[0]
    assert f'<input type="hidden" name="ci" value="{ci}">' in form
    assert re.search(
        r'Also filtered:.*?href="/incidents\?state=any" aria-label="Take the filter Ci away"', page, re.DOTALL
    )
    assert "Also filtered" not in client.get("/incidents?state=any&priority=1").content.decode()


def test_a_program_that_asks_for_what_means_nothing_is_refused(desk):
    answer = desk.client("viewer").get("/api/v1/lists/incidents?state=opne&colour=red")
    assert answer.status_code == 422
    assert {each["pointer"] for each in answer.json()["errors"]} == {"/query/state", "/query/colour"}


def test_heads_sort_and_say_how_the_list_is_sorted(desk):
    many(desk, 2, impact="1", urgency="1")
    client = desk.client("viewer")
    usual = client.get("/incidents").content.decode()
    assert re.search(r'aria-sort="descending"><a href="\?order=number">Number', usual)
    by = client.get("/incidents?order=priority&state=any").content.decode()
    assert re.search(r'aria-sort="ascending"><a href="\?state=any&amp;order=-priority">Priority', by)
    assert by.count("aria-sort") == 1
    assert by.index("Slow 1") < by.index("Checkout is slow")
    other = client.get("/incidents?order=-priority").content.decode()
    assert other.index("Checkout is slow") < other.index("Slow 1")
    assert client.get("/incidents?order=changed").status_code == 200, "names of earlier links still hold"
    assert b"flash-notice" not in client.get("/incidents?order=newest").content


@pytest.mark.parametrize("order", ["assignment_group", "-assignment_group", "resolved_at", "-resolved_at"])
def test_pages_by_a_field_that_some_rows_lack_leave_nobody_out(desk, order):
    many(desk, 3)
    many(desk, 3, assignment_group="dba")
    rows_of = type(desk.incident).objects.all()
    for each in rows_of.filter(assignment_group="dba"):
        desk.book.perform(
            lambda work, found=each: incidents.resolve(
                work, rows_of.get(id=found.id), code="solved", notes="Done."
            )
        )
    expected = {each.id for each in rows_of}
    seen, cursor = [], ""
    for _ in range(10):
        cut = paging.cut(rows_of, cursor=cursor, limit=2, order=order)
        seen += [each.id for each in cut.items]
        cursor = cut.next
        if not cursor:
            break
    assert len(seen) == len(expected)
    assert set(seen) == expected
    values = [getattr(rows_of.get(id=each), order.lstrip("-")) for each in seen]
    assert [each is None for each in values] == sorted(each is None for each in values), "no value comes last"


def test_the_form_of_columns_becomes_the_url_and_keeps_the_filters(desk):
    client = desk.client("viewer")
    answer = client.get("/incidents?state=any&column=number&column=group&column=title&move=up:title&cursor=x")
    assert answer.status_code == 302
    assert answer["Location"] == "/incidents?state=any&columns=number,title,group&arrange=1#columns"
    shown = client.get(answer["Location"].split("#")[0])
    assert b'<details id="columns" open>' in shown.content
    assert heads(shown) == ["Number", "Title", "Group"]
    assert client.get("/incidents?column=nonsense").status_code == 422


def test_moving_stops_at_the_ends():
    assert choosing.moved(["a", "b"], "up:a") == ["a", "b"]
    assert choosing.moved(["a", "b"], "down:a") == ["b", "a"]
    assert choosing.moved(["a", "b"], "down:b") == ["a", "b"]
    assert choosing.moved(["a", "b"], "up:c") == ["a", "b"]


def test_the_file_is_what_is_seen(desk):
    many(desk, 2, assignment_group="dba")
    client = desk.client("viewer")
    query = "group=dba&order=number&columns=title,number"
    page = client.get(f"/incidents?{query}").content.decode()
    assert f'href="/incidents?{query.replace("&", "&amp;")}&amp;format=csv"' in page
    assert "up to 5000 rows" in page
    taken = client.get(f"/incidents?{query}&format=csv")
    assert [each["Title"] for each in rows(taken)] == ["Slow 0", "Slow 1"]
    assert list(rows(taken)[0]) == ["Title", "Number"]
    assert taken["Content-Disposition"] == 'attachment; filename="incidents.csv"'
    told = client.get(f"/api/v1/lists/incidents?{query}&format=csv")
    assert told.content == taken.content


def test_a_list_longer_than_a_file_is_cut_in_sight_and_goes_on(desk, monkeypatch):
    many(desk, 6)
    monkeypatch.setattr(download.taken, "__kwdefaults__", {"cursor": "", "rows_max": 4})
    client = desk.client("viewer")
    first = client.get("/api/v1/lists/incidents?format=csv")
    assert (first["Isthmus-Rows"], len(rows(first))) == ("4", 4)
    assert 'filename="incidents-first-4.csv"' in first["Content-Disposition"]
    rest = client.get("/api/v1/lists/incidents", {"format": "csv", "cursor": first["Isthmus-Next"]})
    assert "Isthmus-Next" not in rest
    assert len(rows(first)) + len(rows(rest)) == 7
    assert not {each["Number"] for each in rows(first)} & {each["Number"] for each in rows(rest)}


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_spreadsheet_computes_a_cell(desk, begin):
    assert download.guarded(f"{begin}1+1") == f"'{begin}1+1"
    assert download.guarded(f"a{begin}1") == f"a{begin}1"
    many(desk, 1, assignment_group=f'{begin}HYPERLINK("http://x")'.strip())
    taken = desk.client("viewer").get("/incidents?columns=number,group&format=csv").content.decode()
    assert not [
        cell
        for row in csv.reader(io.StringIO(taken))
        for cell in row
        if cell.startswith(("=", "+", "-", "@"))
    ]


def test_a_negative_whole_number_stays_a_number_in_a_file():
    assert [download.guarded(each) for each in ("-300", "300", "0")] == ["-300", "300", "0"]
    for each in ("-3+4", "--300", "-", "+300", "-3.5", "-A1"):
        assert download.guarded(each) == f"'{each}"


def test_every_column_of_incidents_costs_the_same_for_one_and_for_many(desk, queries):
    client = desk.client("administrator")
    everything = ",".join(each.key for each in INCIDENTS.columns)

    def cost() -> int:
        counted = []
        for _ in range(4):
            with queries() as found:
                assert client.get(f"/incidents?columns={everything}").status_code == 200
            counted.append(sum("set_config" not in each["sql"] for each in found))
        return min(counted)

    many(desk, 1, assignee=desk.people["agent"], ci=desk.cis["db1"])
    few = cost()
    many(desk, 12, assignee=desk.people["agent"], ci=desk.cis["db1"])
    assert cost() == few


def test_the_cells_of_every_list_cost_the_same_for_one_row_and_for_many(desk, queries):
    world, empty = founded(desk), set()
    reader = replace(desk.book.actor(organisation=world.a.organisation), roles=frozenset(ROLES))
    with scope.within([world.a.organisation]):
        for table in TABLES.values():
            text = "&".join(f"{each.name}=any" for each in table.filters if "any" in each.keywords)
            everything = ",".join(each.key for each in table.columns)
            found = read(table, reader, QueryDict(f"{text}&columns={everything}"))
            held, counted = list(showing.fetched(found, "", 1).items), []
            if not held:
                empty.add(table.key)
                continue
            for count in (1, 1, 7):
                with queries() as asked_for:
                    showing.rows(found, [copy(held[0]) for _ in range(count)])
                counted.append(len(asked_for))
            assert counted[2] == counted[1], table.key
    assert empty == {"drafts"}, "the seeded alert was opened, not drafted"


def test_only_what_the_chosen_columns_need_is_asked_for(desk, queries):
    client = desk.client("viewer")
    client.get("/incidents?columns=number,in")
    with queries() as found:
        client.get("/incidents?columns=number,state")
    assert not [each for each in found if 'FROM "sync_link"' in each["sql"]]
    with queries() as found:
        client.get("/incidents?columns=number,in")
    assert [each for each in found if 'FROM "sync_link"' in each["sql"]], (
        "the twin: the column that needs them"
    )


def test_reading_the_journal_as_a_file_stands_in_the_journal(desk):
    client = desk.client("auditor")
    client.get("/audit?format=csv&columns=recorded,who")
    newest = client.get("/audit?kind=system_event").content.decode()
    assert "The journal was taken as a file." in newest


def test_a_view_keeps_filters_order_and_columns_and_nothing_else():
    text = "?columns=number,title&order=-changed&cursor=abc&limit=5&view=x&format=csv&priority=1,2&state=any"
    assert canonical(
        INCIDENTS, READER, text
    ) == "state=any&priority=1%2C2&order=-changed&columns=number,title".replace("%2C", ",")
    for wrong in ("state=opne", "colour=red", "order=mood", "columns=nonsense"):
        with pytest.raises(Rejected):
            canonical(INCIDENTS, READER, wrong)


def test_chosen_columns_that_are_gone_are_reported_and_the_rest_is_shown():
    found = asked("", kept=["number", "gone", "group"])
    assert keys(found) == ["number", "group"]
    assert "gone" in found.notices[0]
    assert keys(asked("columns=title", kept=["number", "gone"])) == ["number", "title"]
