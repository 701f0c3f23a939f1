"""`isthmus people`: who may do what, and what they are called at other systems."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, console, emit_json, fail, table

PEOPLE_MAX = 20_000
app = typer.Typer(help="People, their roles, and their names at other systems.", no_args_is_help=True)


@app.command("list")
def list_people(as_json: bool = JSON) -> None:
    """Show people with what they are called at other systems."""
    found = Hub(as_json=as_json).pages("/people", limit=PEOPLE_MAX)
    if as_json:
        emit_json(found)
        return
    for each in found:
        names = each.get("partner_names") or {}
        each["called"] = ", ".join(f"{name} at {where}" for where, name in sorted(names.items()))
    columns = [
        ("id", "Id"),
        ("username", "User name"),
        ("name", "Name"),
        ("state", "State"),
        ("called", "Called at partners"),
    ]
    table("People", columns, found, empty="Nobody yet.")


@app.command("grant")
def grant(
    person: str = typer.Argument(help="User name or id."),
    role: str = typer.Argument(help="The role; `isthmus people roles` lists them."),
    as_json: bool = JSON,
) -> None:
    """Grant a role in the person's organisation and everything below it."""
    _post(person, "grants", {"role": role}, f"{person} holds the role {role}.", as_json=as_json)


@app.command("revoke")
def revoke(
    person: str = typer.Argument(help="User name or id."),
    role: str = typer.Argument(help="The role."),
    as_json: bool = JSON,
) -> None:
    """Take a role away; it stops working within two seconds."""
    _post(person, "grants/revoke", {"role": role}, f"{person} has lost the role {role}.", as_json=as_json)


@app.command("name")
def name(
    person: str = typer.Argument(help="User name or id."),
    connection: str = typer.Argument(help="The connection's name."),
    called: str = typer.Argument(help="What the system calls them: ServiceNow user name, Jira account id."),
    as_json: bool = JSON,
) -> None:
    """Say what somebody is called at a system; what they decide there counts where the blueprint trusts it."""
    body = {"connection": connection, "name": called}
    _post(person, "partner-names", body, f"{person} is {called} at {connection}.", as_json=as_json)


@app.command("unname")
def unname(
    person: str = typer.Argument(help="User name or id."),
    connection: str = typer.Argument(help="The connection's name."),
    as_json: bool = JSON,
) -> None:
    """Take somebody's name at a system away; what they decide there counts no more."""
    body = {"connection": connection}
    _post(person, "partner-names/remove", body, f"{person} has no name at {connection}.", as_json=as_json)


@app.command("roles")
def roles(as_json: bool = JSON) -> None:
    """List the roles with what each may do."""
    from isthmus.identity.roles import ROLES

    rows = [{"role": name, "permissions": ", ".join(sorted(held))} for name, held in sorted(ROLES.items())]
    if as_json:
        emit_json(rows)
    else:
        table("Roles", [("role", "Role"), ("permissions", "May")], rows, empty="")


def _post(person: str, action: str, body: Any, said: str, *, as_json: bool) -> None:
    hub = Hub(as_json=as_json)
    found = hub.call("POST", f"/people/{_id(hub, person, as_json=as_json)}/{action}", body)
    if as_json:
        emit_json(found)
    else:
        console.print(said, markup=False)


def _id(hub: Hub, person: str, *, as_json: bool) -> str:
    """Return the id of a person named by user name or id; a name that several organisations use is refused."""
    found = hub.call("GET", "/people", query={"username": person})["items"]
    if len(found) > 1:
        remedy = "`isthmus people list` shows their ids."
        fail(f"Several people are called {person!r}.", remedy=remedy, as_json=as_json)
    return str(found[0]["id"]) if found else person
