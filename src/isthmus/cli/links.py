"""`isthmus links | conflicts`: tickets in other systems, and fields on which two of them disagree."""

from __future__ import annotations

import typer

from isthmus.cli.acting import post
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, emit_json, fail, table

conflicts = typer.Typer(help="Fields on which two systems disagree.", no_args_is_help=True)


links = typer.Typer(help="Records and their tickets in other systems.", no_args_is_help=True)


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
    post(
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
    post(f"/conflicts/{conflict}/restore", None, "The losing value is back.", as_json=as_json)


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
    post("/links", body, f"Linked to {connection}.", as_json=as_json)


@links.command("remove")
def links_remove(
    link: str = typer.Argument(help="The link's id."),
    reason: str = typer.Option(..., "--reason", help="Why they part, for the journal."),
    as_json: bool = JSON,
) -> None:
    """Stop following; both objects stay as they are."""
    post(f"/links/{link}/unlink", {"reason": reason}, "It no longer follows.", as_json=as_json)


@links.command("compare")
def links_compare(link: str = typer.Argument(help="The link's id."), as_json: bool = JSON) -> None:
    """Read the other side again now."""
    post(f"/links/{link}/compare", None, "It is read again now.", as_json=as_json)


@links.command("insist")
def links_insist(link: str = typer.Argument(help="The link's id."), as_json: bool = JSON) -> None:
    """Write our value once more where a field is parked, also over one that could not be read."""
    post(f"/links/{link}/insist", None, "What is parked is written once more.", as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Register this file's command groups."""
    app.add_typer(conflicts, name="conflicts")
    app.add_typer(links, name="links")
