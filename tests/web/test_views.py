"""Views: kept privately or for the organisation, applied by a link, renamed, replaced, deleted and brought back."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from isthmus.cli import client as cli_client
from isthmus.cli.main import app
from isthmus.identity import list_views
from isthmus.identity.models import ListView
from isthmus.ledger import reading, scope
from isthmus.practices.incident import service as incidents
from isthmus.web.lists import download


def keep(client, name="Urgent", query="state=any&priority=1", **more):
    body = {"table": "incidents", "name": name, "query": query, **more}
    return client.post("/api/v1/views", json.dumps(body), content_type="application/json")


def send(client, method, path, body=None, **more):
    return client.generic(
        method.upper(), path, json.dumps(body or {}), content_type="application/json", **more
    )


def names(client, table="incidents"):
    return [each["name"] for each in client.get(f"/api/v1/views?table={table}").json()["items"]]


def test_a_filter_is_kept_listed_above_its_list_and_applied_by_a_link(desk):
    client = desk.client("viewer")
    made = client.post(
        "/lists/incidents/views", {"name": " My  urgent ", "query": "priority=1,2&columns=number,group"}
    )
    assert made.status_code == 303
    view = ListView.objects.get()
    assert (view.name, view.query, view.shared) == ("My urgent", "priority=1,2&columns=number,group", False)
    assert made["Location"] == f"/incidents?priority=1,2&columns=number,group&view={view.id}"
    page = client.get(made["Location"]).content.decode()
    assert f'href="{made["Location"].replace("&", "&amp;")}" aria-current="true">My urgent' in page
    assert "You keep 1 of 50 views" in page
    assert client.get(f"/incidents?view={view.id}")["Location"] == made["Location"], "the address says it all"
    assert "My urgent" not in client.get("/changes").content.decode()
    assert reading.history(view.id)[0].actor == desk.people["viewer"]


def test_a_private_view_is_its_owners_alone(desk):
    mine = keep(desk.client("agent")).json()
    other = desk.client("administrator")
    assert names(other) == []
    for method, path in (
        ("get", ""), ("patch", ""), ("delete", ""), ("post", "/restore"),
    ):  # fmt: skip
        assert send(other, method, f"/api/v1/views/{mine['id']}{path}").status_code == 404, (method, path)
    for deed in ("change", "first", "delete", "restore"):
        assert other.post(f"/views/{mine['id']}/{deed}", {"name": "Taken"}).status_code == 404, deed
    assert ListView.objects.get().version == 1
    assert names(desk.client("agent")) == ["Urgent"]
    assert desk.client("viewer").get(f"/trace/{mine['id']}").status_code == 404


def test_only_who_may_share_shares_and_changes_what_is_shared(desk):
    agent, viewer = desk.client("agent"), desk.client("viewer")
    refused = keep(viewer, shared=True)
    assert refused.status_code == 403
    assert "view:share" in refused.json()["detail"]
    shared = keep(agent, shared=True).json()
    assert names(viewer) == ["Urgent"]
    assert send(viewer, "patch", f"/api/v1/views/{shared['id']}", {"name": "Mine"}).status_code == 403
    assert send(viewer, "delete", f"/api/v1/views/{shared['id']}").status_code == 403
    page = viewer.get(f"/incidents?view={shared['id']}", follow=True).content.decode()
    assert "Delete the view" not in page
    manager = desk.client("change_manager")
    assert send(manager, "patch", f"/api/v1/views/{shared['id']}", {"name": "Most urgent"}).status_code == 200
    assert names(viewer) == ["Most urgent"]
    assert send(manager, "patch", f"/api/v1/views/{shared['id']}", {"shared": False}).status_code == 403
    assert send(agent, "patch", f"/api/v1/views/{shared['id']}", {"shared": False}).status_code == 200
    assert names(viewer) == []


def test_another_organisation_sees_neither_private_nor_shared_views(desk):
    other = desk.book.add_organisation("Other")
    desk.add_person("stranger", "administrator", organisation=other)
    shared = keep(desk.client("agent"), shared=True).json()
    stranger = desk.client("stranger")
    assert names(stranger) == []
    assert stranger.get(f"/api/v1/views/{shared['id']}").status_code == 404
    assert send(stranger, "delete", f"/api/v1/views/{shared['id']}").status_code == 404
    page = stranger.get(f"/incidents?view={shared['id']}").content.decode()
    assert "not here any more, or not yours to see" in page
    assert "Urgent" not in page
    theirs = keep(stranger, shared=True)
    assert theirs.status_code == 201, "a name is taken in its own organisation only"
    with scope.everywhere("the test looks"):
        assert ListView.objects.get(id=theirs.json()["id"]).organisation == other


def test_names_are_one_views_among_ones_own_and_among_shared_ones(desk):
    agent = desk.client("agent")
    assert keep(agent).status_code == 201
    again = keep(agent, name="URGENT")
    assert again.status_code == 409
    assert "replace" in again.json()["remedy"]
    assert keep(agent, shared=True).status_code == 201
    assert keep(desk.client("change_manager"), shared=True).status_code == 409
    assert keep(desk.client("change_manager")).status_code == 201
    assert keep(agent, table="changes", query="").status_code == 201


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "x" * 61},
        {"query": "state=opne"},
        {"query": "columns=nonsense"},
        {"table": "none"},
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_place(desk, given):
    answer = keep(desk.client("agent"), **{"table": "incidents", **given})
    assert answer.status_code in {404, 422}
    assert not ListView.objects.exists()


def test_a_person_keeps_only_so_many(desk, monkeypatch):
    monkeypatch.setattr(list_views, "OWN_MAX", 2)
    agent = desk.client("agent")
    assert [keep(agent, name=f"v{number}").status_code for number in range(3)] == [201, 201, 422]
    assert keep(desk.client("viewer")).status_code == 201


def test_renaming_replacing_and_what_differs(desk):
    client = desk.client("agent")
    view = keep(client).json()
    page = client.get(f"/incidents?state=any&priority=2&view={view['id']}").content.decode()
    assert "what is shown now differs from it" in page
    given = {"do": "replace", "query": "state=any&priority=2"}
    assert client.post(f"/views/{view['id']}/change", given).status_code == 303
    assert ListView.objects.get().query == "state=any&priority=2"
    page = client.get(f"/incidents?state=any&priority=2&view={view['id']}").content.decode()
    assert "differs" not in page
    client.post(f"/views/{view['id']}/change", {"do": "rename", "name": "Second"})
    assert names(client) == ["Second"]
    stale = send(
        client,
        "patch",
        f"/api/v1/views/{view['id']}",
        {"name": "Third"},
        headers={"if-match": f'"{view["id"]}-1"'},
    )
    assert stale.status_code == 412


def test_deleting_says_whom_it_concerned_and_can_be_undone(desk):
    agent, viewer = desk.client("agent"), desk.client("viewer")
    view = keep(agent, shared=True).json()
    send(viewer, "put", "/api/v1/lists/incidents/choice", {"view": view["id"]})
    assert viewer.get("/incidents")["Location"] == f"/incidents?state=any&priority=1&view={view['id']}"
    answer = agent.post(f"/views/{view['id']}/delete", follow=True)
    text = answer.content.decode()
    assert "is deleted for everybody" in text
    assert "1 list opened with it" in text
    assert f'action="/views/{view["id"]}/restore"' in text
    assert names(viewer) == []
    assert viewer.get("/incidents").status_code == 200, "its list opens as usual"
    assert [each["id"] for each in agent.get("/api/v1/views?deleted=true").json()["items"]] == [view["id"]]
    agent.post(f"/views/{view['id']}/restore")
    assert names(viewer) == ["Urgent"]
    assert viewer.get("/incidents").status_code == 302
    assert b"/restore" not in agent.get("/incidents").content


def test_a_list_opens_with_its_first_view_and_its_plain_self_stays_in_reach(desk):
    client = desk.client("viewer")
    client.post("/lists/incidents/views", {"name": "First", "query": "state=any", "first": "on"})
    opened = client.get("/incidents")
    assert opened.status_code == 302
    page = client.get(opened["Location"]).content.decode()
    assert 'href="/incidents?view=none">All' in page
    assert client.get("/incidents?view=none").status_code == 200
    assert desk.client("agent").get("/incidents").status_code == 200, "another's list is theirs"
    client.post(f"/views/{ListView.objects.get().id}/first", {"first": "no"})
    assert client.get("/incidents").status_code == 200


def test_columns_are_kept_for_a_person_and_a_list(desk):
    client = desk.client("viewer")
    client.post("/lists/incidents/columns", {"columns": "group,number"})
    page = client.get("/incidents").content.decode()
    assert 'data-label="Group"' in page
    assert 'data-label="Title"' not in page
    assert 'data-label="Title"' in client.get("/incidents?columns=number,title").content.decode(), (
        "the URL counts more"
    )
    assert 'data-label="Title"' in desk.client("agent").get("/incidents").content.decode()
    assert client.post("/lists/incidents/columns", {"columns": "nonsense"}).status_code == 422
    assert client.get("/api/v1/lists/incidents/choice").json()["columns"] == ["group", "number"]
    client.post("/lists/incidents/columns", {"columns": ""})
    assert 'data-label="Title"' in client.get("/incidents").content.decode()


def test_a_view_keeps_the_columns_that_its_owner_sees_for_good(desk):
    client = desk.client("viewer")

    def offered(path: str) -> list[str]:
        page = client.get(path, follow=True).content.decode()
        return re.findall(r'name="query" value="([^"]*)"', page)

    view = keep(client, query="state=any").json()
    assert offered("/incidents?state=open&view=none") == ["state=open"], (
        "the usual columns stay the usual ones"
    )
    client.post("/lists/incidents/columns", {"columns": "number,group"})
    assert offered("/incidents?state=open&view=none") == ["state=open&amp;columns=number,group"]
    assert offered(f"/incidents?state=open&view={view['id']}") == ["state=open&amp;columns=number,group"] * 2
    assert offered("/incidents?columns=number&view=none") == ["columns=number"]


def test_the_rows_of_a_view_for_a_program(desk):
    client = desk.client("agent")
    view = keep(client, query="state=any&columns=number,title,priority").json()
    for named in (view["id"], "urgent"):
        found = client.get("/api/v1/lists/incidents", {"view": named}).json()
        assert found["columns"] == ["number", "title", "priority"]
        assert found["items"][0] | {"id": ""} == {
            "id": "", "number": desk.incident.number, "title": "Checkout is slow", "priority": desk.incident.priority,
        }  # fmt: skip
    assert client.get("/api/v1/lists/incidents?view=urgent&state=closed").json()["items"] == []
    assert client.get("/api/v1/lists/incidents?view=none-such").status_code == 404
    assert desk.client("viewer").get("/api/v1/lists/incidents?view=urgent").status_code == 404


def test_a_list_needs_its_own_permission_too(desk):
    bearer = {"authorization": f"Bearer {desk.token('view:read', 'view:write', 'change:read')}"}
    client = desk.client(headers=bearer)
    assert client.get("/api/v1/lists/changes").status_code == 200
    assert client.get("/api/v1/lists/incidents").status_code == 403
    assert {each["table"] for each in client.get("/api/v1/lists").json()["items"]} == {"changes", "gate"}
    assert keep(client).status_code == 403
    assert keep(client, table="changes", query="").status_code == 201


def test_what_a_row_leads_to_is_named_to_those_only_who_may_read_it(desk):
    bearer = {"authorization": f"Bearer {desk.token('view:read', 'incident:read')}"}
    found = desk.client(headers=bearer).get("/api/v1/lists/incidents?columns=number,affects").json()["items"]
    assert [each["affects"] for each in found] == ["?"]
    seen = desk.client("viewer").get("/api/v1/lists/incidents?columns=number,affects").json()["items"]
    assert [each["affects"] for each in seen] == ["db1 shop"]


def test_of_more_views_than_are_listed_the_newest_can_be_brought_back(desk, monkeypatch):
    client = desk.client("viewer")
    for name in ("First", "Second", "Third"):
        made = keep(client, name).json()
        send(client, "delete", f"/api/v1/views/{made['id']}")
    monkeypatch.setattr(list_views, "LISTED_MAX", 2)
    held = client.get("/api/v1/views?deleted=true").json()["items"]
    assert [each["name"] for each in held] == ["Second", "Third"]


class Inside:
    """The command line's transport into this very process, as one token."""

    def __init__(self, desk):
        scopes = ("view:read", "view:write", "view:share", "incident:read", "ci:read")
        self.client = desk.client(headers={"authorization": f"Bearer {desk.token(*scopes)}"})

    def send(self, method, path, body, headers):
        given = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = getattr(self.client, method.lower())(path, **given)
        raw = answer.content
        decoded = json.loads(raw or b"null") if "json" in answer["Content-Type"] else raw
        return cli_client.Answer(
            status=answer.status_code, body=decoded, headers=dict(answer.headers.items())
        )


def test_the_commands_say_what_the_pages_say(desk, monkeypatch):
    transport = Inside(desk)
    monkeypatch.setattr(cli_client.Hub, "_choose", staticmethod(lambda: transport))

    def isthmus(*arguments):
        return CliRunner().invoke(app, ["views", *arguments])

    assert "incidents" in isthmus("lists").stdout
    kept = isthmus(
        "keep", "incidents", "Open ones", "state=open&columns=number,affects", "--shared", "--json"
    )
    assert json.loads(kept.stdout)["shared"], kept.stdout
    assert [each["name"] for each in json.loads(isthmus("list", "--json").stdout)] == ["Open ones"]
    (row,) = json.loads(isthmus("rows", "incidents", "--view", "Open ones", "--json").stdout)
    assert (row["number"], row["affects"]) == (desk.incident.number, "db1 shop")
    assert "Number" in isthmus("rows", "incidents").stdout
    taken = isthmus("rows", "incidents", "--view", "Open ones", "--csv").stdout.splitlines()
    assert taken == ["Number,Affects", f"{desk.incident.number},db1 shop"]
    assert "longer" not in isthmus("rows", "incidents", "--csv").stderr
    monkeypatch.setattr(download.taken, "__kwdefaults__", {"cursor": "", "rows_max": 1})
    values = {"title": "Slow", "impact": "3", "urgency": "3"}
    desk.book.perform(lambda work: incidents.create(work, desk.book.organisation, values))
    cut = isthmus("rows", "incidents", "--csv")
    assert "these are its first 1 rows" in cut.stderr
    assert len(cut.stdout.splitlines()) == 2
    assert json.loads(isthmus("rows", "incidents", "--filter", "state=closed", "--json").stdout) == []
    assert isthmus("rows", "incidents", "--filter", "state=opne").exit_code == 1
    assert isthmus("rows", "incidents", "--filter", "closed").exit_code == 2
    assert isthmus("change", "Open ones").exit_code == 2
    assert isthmus("change", "Open ones", "--name", "Open", "--unshare").exit_code == 0
    assert names(desk.client("viewer")) == []
    assert isthmus("choose", "incidents", "--columns", "number,group", "--first", "Open").exit_code == 0
    assert json.loads(isthmus("choose", "incidents", "--json").stdout)["columns"] == ["number", "group"]
    assert isthmus("delete", "Open").exit_code == 0
    assert isthmus("delete", "Open").exit_code == 1
    assert isthmus("restore", "Open").exit_code == 0
