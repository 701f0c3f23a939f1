"""`isthmus systems`: connections, their health, pausing and trying them."""

from __future__ import annotations

import base64
from pathlib import Path

import typer

from isthmus.cli.acting import post
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, table

systems = typer.Typer(help="Connections to external systems.", no_args_is_help=True)


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
    post(f"/systems/{name}/pause", {"reason": reason}, f"{name} is paused.", as_json=as_json)


@systems.command("resume")
def systems_resume(name: str = typer.Argument(help="The connection's name."), as_json: bool = JSON) -> None:
    """Let calls to a connection go on, oldest first."""
    post(f"/systems/{name}/resume", None, f"{name} is running.", as_json=as_json)


@systems.command("confirm-gone")
def systems_confirm_gone(
    name: str = typer.Argument(help="The connection's name."),
    reason: str = typer.Option(..., "--reason", help="How you know that its objects were deleted."),
    as_json: bool = JSON,
) -> None:
    """Confirm that objects which vanished at once were deleted there; `resume` looks for them again instead."""
    said = f"What is gone at {name} counts as deleted for an hour."
    post(f"/systems/{name}/confirm-gone", {"reason": reason}, said, as_json=as_json)


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


def add_to(app: typer.Typer) -> None:
    """Register this file's command group."""
    app.add_typer(systems, name="systems")
