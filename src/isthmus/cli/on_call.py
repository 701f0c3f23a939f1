"""`isthmus oncall | notify`: who is on call, overrides, escalations, and trying a channel."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli import acting
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table

oncall = typer.Typer(help="Who is on call, overrides, and what is being escalated.", no_args_is_help=True)
notify = typer.Typer(help="Messages to people: what was sent, and trying a channel.", no_args_is_help=True)

_DUTY = [
    ("rota", "Rota"),
    ("name", "On duty"),
    ("starts_at", "From"),
    ("ends_at", "Until"),
    ("layer", "Layer"),
    ("gap", "Gap"),
]


@oncall.command("who")
def who(
    rota: str = typer.Option("", help="Only this rota."),
    at: str = typer.Option("", help="An RFC 3339 time; empty: now."),
    as_json: bool = JSON,
) -> None:
    """Show who is on duty, now or at a time."""
    found = Hub(as_json=as_json).call("GET", "/on-call/who", query={"rota": rota, "at": at})
    _duties("On call", found["items"], as_json=as_json, empty="No rota yet: describe one under `on_call:`.")


@oncall.command("duties")
def duties(
    rota: str = typer.Argument(help="The rota's name."),
    since: str = typer.Option("", help="An RFC 3339 time; empty: now."),
    until: str = typer.Option("", help="An RFC 3339 time; empty: seven days later."),
    as_json: bool = JSON,
) -> None:
    """Show who is on duty over a stretch of time, gaps included."""
    found = Hub(as_json=as_json).call(
        "GET", f"/on-call/rotas/{rota}/duties", query={"since": since, "until": until}
    )
    _duties(rota, found["items"], as_json=as_json, empty="Nobody, never.")


@oncall.command("override")
def override(
    rota: str = typer.Argument(help="The rota's name."),
    person: str = typer.Argument(help="Who takes over (user name)."),
    until: str = typer.Option(..., "--until", help="An RFC 3339 time."),
    since: str = typer.Option("", "--since", help="An RFC 3339 time; empty: now."),
    replaces: str = typer.Option("", help="Only in place of this person (user name)."),
    reason: str = typer.Option("", "--reason", help="Why, for the others."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be set."),
    as_json: bool = JSON,
) -> None:
    """Put somebody on duty for a while: the next one who is paged is they."""
    body = {
        "rota": rota, "person": person, "starts_at": since, "ends_at": until, "replaces": replaces, "reason": reason,
    }  # fmt: skip
    if dry_run:
        found: Any = {**body, "dry_run": True}
    else:
        found = Hub(as_json=as_json).call("POST", "/on-call/overrides", body)
    acting.say(
        found, f"{person} {'would be' if dry_run else 'is'} on duty in {rota} until {until}.", as_json=as_json
    )


@oncall.command("cancel")
def cancel(override: str = typer.Argument(help="The override's id."), as_json: bool = JSON) -> None:
    """Take an override back."""
    found = Hub(as_json=as_json).call("POST", f"/on-call/overrides/{override}/cancel")
    acting.say(found, "The rota counts again.", as_json=as_json)


@oncall.command("list")
def listed(
    rota: str = typer.Option("", help="Only this rota."),
    state: str = typer.Option("active", help="active, cancelled, or empty for all."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show overrides."""
    found = Hub(as_json=as_json).pages(
        "/on-call/overrides", query={"rota": rota, "state": state}, limit=limit
    )
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"), ("rota", "Rota"), ("person_name", "On duty"), ("replaces_name", "Instead of"), ("starts_at", "From"),
        ("ends_at", "Until"), ("reason", "Why"), ("state", "State"),
    ]  # fmt: skip
    table("Overrides", columns, found, empty="No override: the rotas count.")


@oncall.command("escalations")
def escalations(
    state: str = typer.Option("running", help="running, acknowledged, finished, stopped, or empty for all."),
    subject: str = typer.Option("", help="Only about this record (id) or connection (name)."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show escalations."""
    found = Hub(as_json=as_json).pages(
        "/escalations", query={"state": state, "subject": subject}, limit=limit
    )
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"), ("subject_kind", "About"), ("subject", "Which"), ("policy", "Policy"), ("state", "State"),
        ("started_at", "Since"), ("next_at", "Next step"),
    ]  # fmt: skip
    table("Escalations", columns, found, empty="Nothing is being escalated.")


@oncall.command("acknowledge")
def acknowledge(
    escalation: str = typer.Argument(help="The escalation's id."),
    comment: str = typer.Option("", help="A word for the others."),
    as_json: bool = JSON,
) -> None:
    """Say that you look after it: every ladder about the same subject stops."""
    found = Hub(as_json=as_json).call("POST", f"/escalations/{escalation}/acknowledge", {"comment": comment})
    acting.say(found, "Acknowledged: nobody else is told.", as_json=as_json)


@oncall.command("page")
def page(
    ladder: str = typer.Argument(help="The ladder's name."),
    incident: str = typer.Argument(help="The incident's number or id."),
    comment: str = typer.Option("", help="What they should know."),
    as_json: bool = JSON,
) -> None:
    """Page somebody about an incident by hand."""
    body = {"ladder": ladder, "incident": incident, "comment": comment}
    found = Hub(as_json=as_json).call("POST", "/escalations", body)
    acting.say(found, f"Ladder {ladder} has begun ({found['id']}).", as_json=as_json)


@notify.command("test")
def notify_test(
    channel: str = typer.Option("", help="The channel to try."),
    person: str = typer.Option("", help="The person (user name) to reach."),
    comment: str = typer.Option("", help="A word to send along."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be sent, and how; send nothing."),
    as_json: bool = JSON,
) -> None:
    """Send a message that says nothing has happened."""
    if not channel and not person:
        fail("Name a --channel or a --person.", code=Exit.USAGE, as_json=as_json)
    body = {"channel": channel, "person": person, "comment": comment, "dry_run": dry_run}
    found = Hub(as_json=as_json).call("POST", "/notifications/test", body)
    if as_json:
        emit_json(found)
    elif dry_run:
        ways = ", ".join(f"{each['channel']} ({each['address']})" for each in found["methods"])
        console.print(f"Would be sent by {ways}: {found['title']}", markup=False, soft_wrap=True)
    else:
        console.print(f"Sent; its receipt will stand at notification {found['id']}.", markup=False)


@notify.command("list")
def notify_list(
    state: str = typer.Option("", help="queued, held, sent, failed, withdrawn, digested; empty: all."),
    subject: str = typer.Option("", help="Only about this record (id)."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show notifications with what became of them."""
    found = Hub(as_json=as_json).pages(
        "/notifications", query={"state": state, "subject": subject}, limit=limit
    )
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"), ("planned_at", "When"), ("target", "To"), ("channel", "By"), ("title", "What"), ("state", "State"),
        ("partner_ref", "Receipt"), ("cause", "Why"),
    ]  # fmt: skip
    table("Notifications", columns, found, empty="Nobody was told anything yet.")


def _duties(title: str, items: list[dict[str, Any]], *, as_json: bool, empty: str) -> None:
    if as_json:
        emit_json(items)
        return
    rows = [{**each, "name": each["name"] or "NOBODY", "gap": "gap" if each["gap"] else ""} for each in items]
    table(title, _DUTY, rows, empty=empty)


def add_to(app: typer.Typer) -> None:
    """Register this file's command groups."""
    app.add_typer(oncall, name="oncall")
    app.add_typer(notify, name="notify")
