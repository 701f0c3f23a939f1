"""`isthmus problems`: raise them, find their cause, say what is done about it, and end them."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli import acting
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table

problems = typer.Typer(
    help="Problems: causes of incidents, and what is done about them.", no_args_is_help=True
)
_PROBLEM = typer.Argument(help="The problem's number or id.")
_MOVES = {
    "assess": (),
    "find-cause": ("cause_code", "root_cause"),
    "resolve": ("resolution",),
    "close": (),
    "reopen": ("reason",),
    "cancel": ("reason",),
}


@problems.command("list")
def problems_list(
    state: str = typer.Option(
        "", help="new, assessed, root_cause_known, resolved, closed, cancelled; empty: the open ones."
    ),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show problems, the newest first."""
    query = {"state": state, "open": "" if state else "true"}
    found = Hub(as_json=as_json).pages("/problems", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [("number", "Number"), ("priority", "P"), ("state", "State"), ("title", "Title"), ("assignment_group", "Group")]  # fmt: skip
    table("Problems", columns, found, empty="No problem is open.")


@problems.command("show")
def problems_show(problem: str = _PROBLEM, as_json: bool = JSON) -> None:
    """Show one problem: its cause, its actions, its incidents."""
    hub = Hub(as_json=as_json)
    found = hub.call("GET", f"/problems/{problem}")
    named = hub.call("GET", f"/problems/{problem}/incidents")["items"]
    if as_json:
        emit_json({**found, "incidents": named})
        return
    console.print(f"{found['number']} {found['title']} ({found['state']})", markup=False, soft_wrap=True)
    if found["root_cause"]:
        console.print(f"Cause ({found['cause_code']}): {found['root_cause']}", markup=False, soft_wrap=True)
    console.print(f"Possible now: {', '.join(found['moves']) or 'nothing'}", markup=False)
    columns = [("text", "Action"), ("owner", "Who"), ("due", "By"), ("done", "Done"), ("id", "Id")]
    table("What is done about it", columns, found["actions"], empty="Nothing yet.")
    columns = [("number", "Incident"), ("state", "State"), ("title", "Title")]
    table("Incidents", columns, named, empty="No incident names it.")


@problems.command("raise")
def problems_raise(
    title: str = typer.Option(
        "", "--title", help="What goes wrong; taken from the incident if one is named."
    ),
    incident: str = typer.Option("", "--incident", help="Raise it out of this incident (number or id)."),
    description: str = typer.Option("", "--description", help="What is known about it."),
    priority: str = typer.Option("", "--priority", help="1 (highest) to 4."),
    service: str = typer.Option("", "--service", help="The service that it hits, by name or key."),
    ci: list[str] = typer.Option([], "--ci", help="An item that it is on; may be repeated."),
    group: str = typer.Option("", "--group", help="The group that analyses it."),
    as_json: bool = JSON,
) -> None:
    """Raise a problem."""
    if not title and not incident:
        fail("Give --title or --incident.", code=Exit.USAGE, as_json=as_json)
    body = {"title": title, "incident": incident, "description": description, "priority": priority,
            "service": service, "cis": ci, "assignment_group": group}  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in body.items() if value}
    found = Hub(as_json=as_json).call("POST", "/problems", given)
    acting.say(found, f"{found['number']} is raised.", as_json=as_json)


@problems.command("edit")
def problems_edit(
    problem: str = _PROBLEM,
    title: str = typer.Option(None, "--title", help="What goes wrong."),
    description: str = typer.Option(None, "--description", help="What is known about it."),
    priority: str = typer.Option(None, "--priority", help="1 (highest) to 4."),
    service: str = typer.Option(None, "--service", help="The service that it hits, by name or key."),
    ci: list[str] = typer.Option([], "--ci", help="The items that it is on, all of them; '' for none."),
    group: str = typer.Option(None, "--group", help="The group that analyses it."),
    owner: str = typer.Option(None, "--owner", help="Who owns it (a person's id)."),
    cause_code: str = typer.Option(None, "--cause-code", help="Of which sort the cause is."),
    root_cause: str = typer.Option(None, "--root-cause", help="What causes it."),
    as_json: bool = JSON,
) -> None:
    """Change what is said of a problem: only what is given."""
    body = {"title": title, "description": description, "priority": priority, "service": service,
            "cis": acting.whole(ci), "assignment_group": group, "owner": owner, "cause_code": cause_code, "root_cause": root_cause}  # fmt: skip
    given = acting.changes(body, as_json=as_json)
    found = Hub(as_json=as_json).call("PATCH", f"/problems/{problem}", given)
    acting.say(found, f"{found['number']} is changed.", as_json=as_json)


@problems.command("move")
def problems_move(
    problem: str = _PROBLEM,
    move: str = typer.Argument(help="assess, find-cause, resolve, close, reopen or cancel."),
    cause_code: str = typer.Option("", "--cause-code", help="Of which sort the cause is (find-cause)."),
    root_cause: str = typer.Option("", "--root-cause", help="What causes it (find-cause)."),
    resolution: str = typer.Option("", "--resolution", help="How the cause was removed (resolve)."),
    reason: str = typer.Option("", "--reason", help="Why, in a sentence (reopen, cancel)."),
    as_json: bool = JSON,
) -> None:
    """Take a problem a step further. It closes with a cause and at least one action only."""
    if move not in _MOVES:
        fail(f"A move is one of {', '.join(_MOVES)}.", code=Exit.USAGE, as_json=as_json)
    given = {
        "cause_code": cause_code, "root_cause": root_cause, "resolution": resolution, "reason": reason,
    }  # fmt: skip
    missing = [name for name in _MOVES[move] if not given[name]]
    if missing:
        words = ", ".join(f"--{each.replace('_', '-')}" for each in missing)
        fail(f"{move} needs {words}.", code=Exit.USAGE, as_json=as_json)
    acting.post(f"/problems/{problem}/moves/{move}", given, f"{move}: done.", as_json=as_json)


@problems.command("action")
def problems_action(
    problem: str = _PROBLEM,
    text: str = typer.Option("", "--text", help="What is to be done about the cause."),
    owner: str = typer.Option("", "--owner", help="Who does it."),
    due: str = typer.Option("", "--due", help="By when, such as 2026-12-24."),
    done: str = typer.Option("", "--done", help="Instead: the id of the action that is done."),
    not_done: str = typer.Option("", "--not-done", help="Instead: the id of the action that is still to do."),
    as_json: bool = JSON,
) -> None:
    """Add something to be done about the cause, or settle it."""
    settled = done or not_done
    if settled:
        path, said = f"/problems/{problem}/actions/{settled}", "Noted."
        acting.post(path, {"done": bool(done)}, said, as_json=as_json)
        return
    if not text or not owner:
        fail("Give --text and --owner, or --done with an id.", code=Exit.USAGE, as_json=as_json)
    body = {"text": text, "owner": owner, "due": due}
    acting.post(f"/problems/{problem}/actions", body, "The action is added.", as_json=as_json)


@problems.command("link")
def problems_link(
    problem: str = _PROBLEM,
    incident: str = typer.Argument(help="The incident's number or id."),
    remove: bool = typer.Option(False, "--remove", help="Say that the problem is not behind it."),
    as_json: bool = JSON,
) -> None:
    """Have an incident name a problem as its cause, or no longer."""
    if not remove:
        body = {"incident": incident}
        acting.post(f"/problems/{problem}/incidents", body, "The incident names it.", as_json=as_json)
        return
    path = f"/problems/{problem}/incidents/{incident}"
    acting.send("DELETE", path, None, "The incident names it no more.", as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Register this file's command group."""
    app.add_typer(problems, name="problems")
