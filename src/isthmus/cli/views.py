"""`isthmus views`: filters of lists that are kept under a name, and the rows that they show."""

from __future__ import annotations

import sys
import urllib.parse
from collections.abc import Mapping
from typing import Any

import typer

from isthmus.cli import acting
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, emit_json, errors, fail, table

ROWS_DEFAULT = 100
app = typer.Typer(help="Lists with chosen columns, and the views kept of them.", no_args_is_help=True)
TABLE = typer.Argument(help="The list; `isthmus views lists` names them.")
NAME = typer.Argument(help="The view's name or id.")
OF = typer.Option("", "--list", help="Which list, where several views have this name.")


@app.command("lists")
def lists(as_json: bool = JSON) -> None:
    """Show the lists with their columns and filters."""
    found = Hub(as_json=as_json).call("GET", "/lists")["items"]
    if as_json:
        emit_json(found)
        return
    for each in found:
        each["named"] = [column["key"] for column in each["columns"]]
        each["narrowed"] = [one["name"] for one in each["filters"]]
    columns = [("table", "List"), ("named", "Columns"), ("narrowed", "Filters")]
    table("Lists", columns, found, empty="None that you may read.")


@app.command("list")
def list_views(
    of: str = typer.Option("", "--list", help="Views of this list only."),
    deleted: bool = typer.Option(False, "--deleted", help="Those that can be brought back."),
    as_json: bool = JSON,
) -> None:
    """Show your views and those shared with you."""
    asked = {"table": of, "deleted": "true" if deleted else ""}
    found = Hub(as_json=as_json).call("GET", "/views", query=asked)["items"]
    if as_json:
        emit_json(found)
        return
    columns = [("id", "Id"), ("table", "List"), ("name", "Name"), ("shared", "Shared"), ("query", "Shows")]
    table("Views", columns, found, empty="None yet: `isthmus views keep` makes one.")


@app.command("rows")
def rows(
    of: str = TABLE,
    view: str = typer.Option("", "--view", help="A view's name or id; what else is given counts more."),
    filters: list[str] = typer.Option([], "--filter", help="name=value; may be given several times."),
    columns: str = typer.Option("", "--columns", help="Columns in their order, with commas."),
    order: str = typer.Option("", "--order", help="A column; - before it the other way round."),
    limit: int = typer.Option(ROWS_DEFAULT, "--limit", min=1, help="Rows at most."),
    as_csv: bool = typer.Option(False, "--csv", help="Print a CSV file: all rows, up to the hub's bound."),
    as_json: bool = JSON,
) -> None:
    """Show the rows of a list, as the console does."""
    hub = Hub(as_json=as_json)
    query = {**_pairs(filters, as_json=as_json), "view": view, "columns": columns, "order": order}
    if as_csv:
        answer = hub.answer("GET", f"/lists/{_quoted(of)}", query={**query, "format": "csv"})
        sys.stdout.write(answer.body.decode())
        _cut(answer.headers)
        return
    found = hub.pages(f"/lists/{_quoted(of)}", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    shown = list(found[0])[1:] if found else []
    table(
        of.capitalize(),
        [(each, each.replace("_", " ").capitalize()) for each in shown],
        found,
        empty="No row.",
    )


@app.command("keep")
def keep(
    of: str = TABLE,
    name: str = typer.Argument(help="What it is to be called."),
    query: str = typer.Argument(
        "", help="What stands in the console's address: 'state=open&columns=number,title'."
    ),
    shared: bool = typer.Option(False, "--shared", help="Everybody in the organisation may use it."),
    first: bool = typer.Option(False, "--first", help="The list opens with it for you."),
    organisation: str = typer.Option("", help="Where it is shared, if several are possible (id)."),
    as_json: bool = JSON,
) -> None:
    """Keep a filter under a name."""
    body = {
        "table": of,
        "name": name,
        "query": query,
        "shared": shared,
        "first": first,
        "organisation": organisation,
    }
    made = Hub(as_json=as_json).call("POST", "/views", body)
    acting.say(made, f"{made['name']} is kept: {made['href']}", as_json=as_json)


@app.command("change")
def change(
    name: str = NAME,
    new_name: str = typer.Option("", "--name", help="A new name."),
    query: str | None = typer.Option(None, "--query", help="What it shows from now on."),
    shared: bool | None = typer.Option(
        None, "--share/--unshare", help="For the organisation, or for you alone."
    ),
    of: str = OF,
    as_json: bool = JSON,
) -> None:
    """Rename a view, replace its filter, share it or take it back."""
    given = {"name": new_name or None, "query": query, "shared": shared}
    body = acting.changes(given, as_json=as_json)
    hub = Hub(as_json=as_json)
    made = hub.call("PATCH", f"/views/{_id(hub, name, of, as_json=as_json)}", body)
    acting.say(made, f"{made['name']} is changed.", as_json=as_json)


@app.command("delete")
def delete(name: str = NAME, of: str = OF, as_json: bool = JSON) -> None:
    """Delete a view, a shared one for everybody; `isthmus views restore` brings it back."""
    hub = Hub(as_json=as_json)
    made = hub.call("DELETE", f"/views/{_id(hub, name, of, as_json=as_json)}")
    whom = " for everybody" if made["shared"] else ""
    acting.say(
        made,
        f"{made['name']} is deleted{whom}. `isthmus views restore {made['id']}` brings it back.",
        as_json=as_json,
    )


@app.command("restore")
def restore(name: str = NAME, of: str = OF, as_json: bool = JSON) -> None:
    """Bring a deleted view back."""
    hub = Hub(as_json=as_json)
    made = hub.call("POST", f"/views/{_id(hub, name, of, as_json=as_json, deleted=True)}/restore", {})
    acting.say(made, f"{made['name']} is back.", as_json=as_json)


@app.command("choose")
def choose(
    of: str = TABLE,
    columns: str | None = typer.Option(
        None, "--columns", help="Columns in their order, with commas; '' for the usual."
    ),
    first: str | None = typer.Option(None, "--first", help="The view that the list opens with; '' for none."),
    as_json: bool = JSON,
) -> None:
    """Say how you like a list; without options, show it."""
    hub, path = Hub(as_json=as_json), f"/lists/{_quoted(of)}/choice"
    body: dict[str, Any] = {}
    if columns is not None:
        body["columns"] = [each.strip() for each in columns.split(",") if each.strip()]
    if first is not None:
        body["view"] = _id(hub, first, of, as_json=as_json) if first else ""
    found = hub.call("PUT", path, body) if body else hub.call("GET", path)
    said = f"Columns: {', '.join(found['columns']) or 'the usual'}. Opens with: {found['view'] or 'no view'}."
    acting.say(found, said, as_json=as_json)


def _cut(headers: Mapping[str, str]) -> None:
    """Say beside the file that it is not the whole list, where the hub says so."""
    told = {name.lower(): value for name, value in headers.items()}
    if told.get("isthmus-next"):
        text = f"The list is longer: these are its first {told.get('isthmus-rows', '')} rows. Narrow it by --filter."
        errors.print(text, markup=False, soft_wrap=True)


def _pairs(given: list[str], *, as_json: bool) -> dict[str, str]:
    wrong = [each for each in given if "=" not in each]
    if wrong:
        fail(
            f"{wrong[0]!r} is no filter.", remedy="Write it as name=value.", code=Exit.USAGE, as_json=as_json
        )
    return {name: value for name, _, value in (each.partition("=") for each in given)}


def _id(hub: Hub, name: str, of: str, *, as_json: bool, deleted: bool = False) -> str:
    """Return the id of a view named by name or id; a name that several views have is refused."""
    asked = {"table": of, "deleted": "true" if deleted else ""}
    held = hub.call("GET", "/views", query=asked)["items"]
    found = [each for each in held if name in {each["id"], each["name"]}]
    if len(found) != 1:
        text = f"Several views are called {name!r}." if found else f"There is no view {name!r}."
        fail(text, remedy="`isthmus views list` shows their ids.", as_json=as_json)
    return str(found[0]["id"])


def _quoted(of: str) -> str:
    return urllib.parse.quote(of, safe="")
