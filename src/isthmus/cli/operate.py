"""`isthmus systems | deliveries | conflicts | links`: looking after what moves between systems."""

from __future__ import annotations

import base64
from pathlib import Path

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import Exit, console, emit_json, fail, table

JSON = typer.Option(False, "--json", help="Print JSON for machines.")
systems = typer.Typer(help="Connections to external systems.", no_args_is_help=True)
deliveries = typer.Typer(help="What is waiting, stuck or dead, and what mends it.", no_args_is_help=True)
conflicts = typer.Typer(help="Fields on which two systems disagree.", no_args_is_help=True)
links = typer.Typer(help="Records and their tickets in other systems.", no_args_is_help=True)


@systems.command("list")
def systems_list(as_json: bool = JSON) -> None:
    """Show every connection: lag, backlog, breaker, last success, last error with its remedy."""
    found = Hub(as_json=as_json).pages("/systems", limit=1000)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("name", "Connection"),
        ("connector", "Connector"),
        ("status", "Status"),
        ("breaker", "Breaker"),
        ("backlog", "Backlog"),
        ("last_success_at", "Last success"),
        ("last_error", "Last error"),
        ("last_error_remedy", "Remedy"),
    ]
    table(
        "Systems",
        columns,
        found,
        empty="No connection yet: describe one under `connections:` in the blueprint.",
    )


@systems.command("pause")
def systems_pause(
    name: str = typer.Argument(help="The connection's name."),
    reason: str = typer.Option(..., "--reason", help="Why, for the journal and the console."),
    as_json: bool = JSON,
) -> None:
    """Hold calls to a connection; intake and merging go on, work waits durably."""
    _post(f"/systems/{name}/pause", {"reason": reason}, f"{name} is paused.", as_json=as_json)


@systems.command("resume")
def systems_resume(name: str = typer.Argument(help="The connection's name."), as_json: bool = JSON) -> None:
    """Let calls to a connection go on, oldest first."""
    _post(f"/systems/{name}/resume", None, f"{name} is running.", as_json=as_json)


@systems.command("confirm-gone")
def systems_confirm_gone(
    name: str = typer.Argument(help="The connection's name."),
    reason: str = typer.Option(..., "--reason", help="How you know that its objects were deleted."),
    as_json: bool = JSON,
) -> None:
    """Confirm that objects which vanished at once were deleted there; `resume` looks for them again instead."""
    said = f"What is gone at {name} counts as deleted for an hour."
    _post(f"/systems/{name}/confirm-gone", {"reason": reason}, said, as_json=as_json)


@systems.command("probe")
def systems_probe(name: str = typer.Argument(help="The connection's name."), as_json: bool = JSON) -> None:
    """Ask a system now whether it answers and what our account may do there; journalled."""
    found = Hub(as_json=as_json).call("POST", f"/systems/{name}/probe")
    if as_json:
        emit_json(found)
    else:
        console.print(found["detail"], found["remedy"], markup=False, soft_wrap=True)
    if not found["ok"]:
        raise typer.Exit(int(Exit.FAILED))


@systems.command("try")
def systems_try(
    name: str = typer.Argument(help="The connection's name."),
    sample: Path = typer.Argument(help="A file with one message, as its sender sends it."),
    header: list[str] = typer.Option([], "--header", help="A header of it, such as 'ce-type: x'."),
    as_json: bool = JSON,
) -> None:
    """Show what a connection sees in a sample message: a dry run, nothing is stored."""
    headers = {
        key.strip().lower(): value.strip() for key, _, value in (each.partition(":") for each in header)
    }
    try:
        raw = sample.read_bytes()
    except OSError as cause:
        raise typer.BadParameter(f"{sample} cannot be read.") from cause
    body = {"body": base64.b64encode(raw).decode(), "base64": True, "headers": headers}
    found = Hub(as_json=as_json).call("POST", f"/systems/{name}/try", body)
    if as_json:
        emit_json(found)
        return
    for each in found["items"]:
        external = each["external"]
        console.print(f"{each['kind']} {external['key']}", each["fault"], markup=False, soft_wrap=True)
        rows = [{"field": field, "value": value} for field, value in sorted(each["values"].items())]
        rows += [
            {"field": f"unknown: {field}", "value": value} for field, value in sorted(each["unknown"].items())
        ]
        table("", [("field", "Field"), ("value", "Value")], rows, empty="It says nothing of any field.")
    if not found["items"]:
        console.print("It is understood, and nothing in it concerns us.")


@deliveries.command("list")
def deliveries_list(
    state: str = typer.Option("", help="due, sending, waiting, done, dropped (given up), dead; empty: all."),
    connection: str = typer.Option("", help="Only this connection."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show deliveries with cause and remedy."""
    found = Hub(as_json=as_json).pages(
        "/deliveries", query={"state": state, "connection": connection}, limit=limit
    )
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"),
        ("connection", "To"),
        ("verb", "What"),
        ("record", "Record"),
        ("state", "State"),
        ("attempts", "Tries"),
        ("cause", "Cause"),
        ("remedy", "Remedy"),
    ]
    table("Deliveries", columns, found, empty="Nothing is waiting.")


@deliveries.command("retry")
def deliveries_retry(
    ids: list[str] = typer.Argument(None, help="Deliveries to try again."),
    all_dead: bool = typer.Option(False, "--all-dead", help="Every dead letter (of --connection, if given)."),
    connection: str = typer.Option("", help="With --all-dead: only this connection."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be retried."),
    as_json: bool = JSON,
) -> None:
    """Try dead letters again, one or many; order per record is kept."""
    if not ids and not all_dead:
        fail("Say which deliveries, or --all-dead.", code=Exit.USAGE, as_json=as_json)
    hub = Hub(as_json=as_json)
    chosen = [*(ids or []), *(_dead(hub, connection) if all_dead else [])]
    if dry_run:
        found = {"items": [{"id": each, "status": 202, "dry_run": True} for each in chosen]}
    else:
        found = hub.call("POST", "/deliveries/retry", {"ids": chosen})
    items = found.get("items", [])
    retried = sum(1 for each in items if each.get("status") == 202)
    if as_json:
        emit_json(found)
    else:
        console.print(f"{retried} of {len(items)} {'would be' if dry_run else 'are being'} retried.")
    if retried < len(items):
        raise typer.Exit(int(Exit.FAILED))


@deliveries.command("discard")
def deliveries_discard(
    ids: list[str] = typer.Argument(None, help="Dead letters to give up."),
    reason: str = typer.Option(..., "--reason", help="Why they are not needed, for the journal."),
    all_dead: bool = typer.Option(False, "--all-dead", help="Every dead letter (of --connection, if given)."),
    connection: str = typer.Option("", help="With --all-dead: only this connection."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be given up."),
    as_json: bool = JSON,
) -> None:
    """Give dead letters up for good, one or many: what they would have done stays undone."""
    if not ids and not all_dead:
        fail("Say which deliveries, or --all-dead.", code=Exit.USAGE, as_json=as_json)
    hub = Hub(as_json=as_json)
    chosen = [*(ids or []), *(_dead(hub, connection) if all_dead else [])]
    if dry_run:
        found = {"items": [{"id": each, "status": 200, "dry_run": True} for each in chosen]}
    else:
        found = hub.call("POST", "/deliveries/discard", {"ids": chosen, "reason": reason})
    items = found.get("items", [])
    given_up = sum(1 for each in items if each.get("status") == 200)
    if as_json:
        emit_json(found)
    else:
        console.print(f"{given_up} of {len(items)} {'would be' if dry_run else 'are'} given up.")
    if given_up < len(items):
        raise typer.Exit(int(Exit.FAILED))


@deliveries.command("parked")
def deliveries_parked(
    connection: str = typer.Option("", help="Only this connection."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show messages that could not be taken, with cause and remedy."""
    found = Hub(as_json=as_json).pages("/deliveries/parked", query={"connection": connection}, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"),
        ("connection", "From"),
        ("subject", "About"),
        ("attempts", "Tries"),
        ("cause", "Cause"),
        ("remedy", "Remedy"),
    ]
    table("Parked messages", columns, found, empty="Every message could be taken.")


@deliveries.command("redrive")
def deliveries_redrive(
    message: str = typer.Argument(help="The parked message's id."), as_json: bool = JSON
) -> None:
    """Take a parked message up again, and those that wait behind it."""
    _post(f"/deliveries/parked/{message}/redrive", None, "It is taken up again now.", as_json=as_json)


@deliveries.command("message")
def deliveries_message(
    message: str = typer.Argument(help="The parked message's id."), as_json: bool = JSON
) -> None:
    """Show a parked message as it came, and what may be given to complete it."""
    found = Hub(as_json=as_json).call("GET", f"/deliveries/parked/{message}/message")
    if as_json:
        emit_json(found)
        return
    print(found["text"])
    columns = [("name", "Field"), ("missing", "Missing"), ("choices", "Choices")]
    table("What may be given", columns, found["fields"], empty="It cannot be completed.")


@deliveries.command("complete")
def deliveries_complete(
    message: str = typer.Argument(help="The parked message's id."),
    value: list[str] = typer.Option(..., "--value", help="A field and its value, such as impact=2."),
    as_json: bool = JSON,
) -> None:
    """Give what a parked message does not say, and have it taken up again."""
    values = dict(each.partition("=")[::2] for each in value)
    _post(
        f"/deliveries/parked/{message}/complete",
        {"values": values},
        "It is taken up now with what you gave.",
        as_json=as_json,
    )


@deliveries.command("dismiss")
def deliveries_dismiss(
    message: str = typer.Argument(help="The parked message's id."),
    reason: str = typer.Option(..., "--reason", help="Why it is not needed."),
    as_json: bool = JSON,
) -> None:
    """Give a parked message up for good; what waited behind it can go on."""
    _post(
        f"/deliveries/parked/{message}/dismiss",
        {"reason": reason},
        "The message is given up.",
        as_json=as_json,
    )


@conflicts.command("list")
def conflicts_list(
    state: str = typer.Option("open", help="open or decided."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show conflicts: base, ours and theirs side by side."""
    found = Hub(as_json=as_json).pages("/conflicts", query={"state": state}, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"),
        ("record", "Record"),
        ("field", "Field"),
        ("base", "Base"),
        ("ours", "Ours"),
        ("theirs", "Theirs"),
        ("rule", "Rule"),
        ("winner", "Winner"),
    ]
    table("Conflicts", columns, found, empty="No conflict waits for a decision.")


@conflicts.command("decide")
def conflicts_decide(
    conflict: str = typer.Argument(help="The conflict's id."),
    winner: str = typer.Argument(help="ours, theirs or other."),
    value: str = typer.Option("", help="The value, if the winner is `other`."),
    as_json: bool = JSON,
) -> None:
    """Decide which value is right; it then goes to every system."""
    if winner not in {"ours", "theirs", "other"}:
        fail("The winner is ours, theirs or other.", code=Exit.USAGE, as_json=as_json)
    _post(
        f"/conflicts/{conflict}/decision",
        {"winner": winner, "value": value or None},
        "Decided.",
        as_json=as_json,
    )


@conflicts.command("restore")
def conflicts_restore(
    conflict: str = typer.Argument(help="The conflict's id."), as_json: bool = JSON
) -> None:
    """Bring the losing value back, in every system."""
    _post(f"/conflicts/{conflict}/restore", None, "The losing value is back.", as_json=as_json)


@links.command("list")
def links_list(
    record: str = typer.Option("", help="Only links of this record (id)."),
    connection: str = typer.Option("", help="Only this connection."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show which record stands where."""
    found = Hub(as_json=as_json).pages(
        "/links", query={"record": record, "connection": connection}, limit=limit
    )
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"),
        ("record_kind", "Kind"),
        ("record", "Record"),
        ("connection", "Connection"),
        ("external_label", "There"),
        ("state", "State"),
    ]
    table("Links", columns, found, empty="Nothing is linked.")


@links.command("add")
def links_add(
    record: str = typer.Argument(help="The record's id."),
    connection: str = typer.Argument(help="The connection's name."),
    kind: str = typer.Option("incident", help="incident or change."),
    key: str = typer.Option("", help="Key of a ticket that exists there; empty: a new one is made."),
    reason: str = typer.Option("", "--reason", help="Why, for the journal."),
    as_json: bool = JSON,
) -> None:
    """Link a record to a system."""
    body = {
        "record_kind": kind,
        "record": record,
        "connection": connection,
        "external_key": key,
        "reason": reason,
    }
    _post("/links", body, f"Linked to {connection}.", as_json=as_json)


@links.command("remove")
def links_remove(
    link: str = typer.Argument(help="The link's id."),
    reason: str = typer.Option(..., "--reason", help="Why they part, for the journal."),
    as_json: bool = JSON,
) -> None:
    """Stop following; both objects stay as they are."""
    _post(f"/links/{link}/unlink", {"reason": reason}, "It no longer follows.", as_json=as_json)


@links.command("compare")
def links_compare(link: str = typer.Argument(help="The link's id."), as_json: bool = JSON) -> None:
    """Read the other side again now."""
    _post(f"/links/{link}/compare", None, "It is read again now.", as_json=as_json)


def _dead(hub: Hub, connection: str) -> list[str]:
    dead = hub.pages("/deliveries", query={"state": "dead", "connection": connection}, limit=500)
    return [each["id"] for each in dead]


def _post(path: str, body: object, said: str, *, as_json: bool) -> None:
    found = Hub(as_json=as_json).call("POST", path, body)
    if as_json:
        emit_json(found)
    else:
        console.print(said)


def add_to(app: typer.Typer) -> None:
    """Register this file's command groups."""
    app.add_typer(systems, name="systems")
    app.add_typer(deliveries, name="deliveries")
    app.add_typer(conflicts, name="conflicts")
    app.add_typer(links, name="links")
