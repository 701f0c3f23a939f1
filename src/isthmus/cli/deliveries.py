"""`isthmus deliveries`: what is waiting, stuck or dead, and what mends it."""

from __future__ import annotations

import typer

from isthmus.cli.acting import post
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table

deliveries = typer.Typer(help="What is waiting, stuck or dead, and what mends it.", no_args_is_help=True)


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
    post(f"/deliveries/parked/{message}/redrive", None, "It is taken up again now.", as_json=as_json)


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
    post(
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
    post(
        f"/deliveries/parked/{message}/dismiss",
        {"reason": reason},
        "The message is given up.",
        as_json=as_json,
    )


def _dead(hub: Hub, connection: str) -> list[str]:
    dead = hub.pages("/deliveries", query={"state": "dead", "connection": connection}, limit=500)
    return [each["id"] for each in dead]


def add_to(app: typer.Typer) -> None:
    """Register this file's command group."""
    app.add_typer(deliveries, name="deliveries")
