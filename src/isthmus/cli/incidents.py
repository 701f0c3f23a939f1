"""`isthmus incidents`: find them, escalate, run major ones, merge and split."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli import acting
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table

incidents = typer.Typer(help="Incidents: escalate, run major ones, merge and split.", no_args_is_help=True)
_INCIDENT = typer.Argument(help="The incident's number or id.")
_REASON = typer.Option("", "--reason", help="Why, in a sentence.")


@incidents.command("list")
def incidents_list(
    state: str = typer.Option(
        "", help="new, in_progress, on_hold, resolved, closed, cancelled; empty: the open ones."
    ),
    major: bool = typer.Option(False, "--major", help="Only major incidents."),
    group: str = typer.Option("", help="Only those of this assignment group."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show incidents, the newest first."""
    query = {
        "state": state,
        "open": "" if state else "true",
        "major": "true" if major else "",
        "assignment_group": group,
    }
    found = Hub(as_json=as_json).pages("/incidents", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("number", "Number"),
        ("priority", "P"),
        ("state", "State"),
        ("title", "Title"),
        ("assignment_group", "Group"),
        ("major", "Major"),
        ("trigger_owner", "Triggers"),
    ]
    table("Incidents", columns, found, empty="No incident is open.")


@incidents.command("major")
def incidents_major(
    incident: str = _INCIDENT,
    owner: str = typer.Option("", "--owner", help="Declare it, or hand its triggers to this desk."),
    trigger: list[str] = typer.Option([], help="Hand over only these triggers."),
    stand_down: bool = typer.Option(False, "--stand-down", help="End the major incident."),
    reason: str = _REASON,
    as_json: bool = JSON,
) -> None:
    """Show, declare, hand over or end a major incident."""
    hub = Hub(as_json=as_json)
    if owner and stand_down:
        fail("Say either --owner or --stand-down.", code=Exit.USAGE, as_json=as_json)
    if owner:
        body = {"owner": owner, "triggers": trigger, "reason": reason}
        hub.call("POST", f"/incidents/{incident}/major", body)
    elif stand_down:
        hub.call("POST", f"/incidents/{incident}/stand-down", {"reason": reason})
    found = hub.call("GET", f"/incidents/{incident}/procedure")
    if as_json:
        emit_json(found)
        return
    held = found["procedure"]
    if held is None:
        console.print("It is no major incident.")
        return
    console.print(f"Major incident: {held['state']}, {held['owner']} owns it; next update due {held['update_due'] or '-'}.", markup=False, soft_wrap=True)  # fmt: skip
    table(
        "Triggers",
        [("trigger", "Trigger"), ("desk", "Desk")],
        [{"trigger": name, "desk": desk} for name, desk in held["triggers"].items()],
        empty="",
    )
    refused = [each for each in found["handovers"] if each["state"] == "offered"]
    if refused:
        table(
            "Asked for",
            [("trigger", "Trigger"), ("wanted_by", "By"), ("asked_at", "When")],
            refused,
            empty="",
        )


@incidents.command("tell")
def incidents_tell(
    incident: str = _INCIDENT,
    text: str = typer.Argument(help="How it stands, for those concerned."),
    next_in: str = typer.Option("", help="When the next update is due, e.g. PT30M."),
    as_json: bool = JSON,
) -> None:
    """Tell those concerned by a major incident how it stands."""
    body = {"text": text, "next_in": next_in}
    acting.post(f"/incidents/{incident}/procedure/updates", body, "They are told.", as_json=as_json)


@incidents.command("escalate")
def incidents_escalate(
    incident: str = _INCIDENT,
    kind: str = typer.Argument(help="functional (more expertise) or hierarchical (more authority)."),
    reason: str = typer.Option(..., "--reason", help="Why, in a sentence."),
    as_json: bool = JSON,
) -> None:
    """Take one step along the escalation path."""
    if kind not in {"functional", "hierarchical"}:
        fail("It is functional or hierarchical.", code=Exit.USAGE, as_json=as_json)
    acting.post(
        f"/incidents/{incident}/escalate",
        {"kind": kind, "reason": reason},
        "Escalated.",
        as_json=as_json,
    )


@incidents.command("merge")
def incidents_merge(
    incident: str = typer.Argument(help="The incident that goes on."),
    duplicates: list[str] = typer.Argument(help="Its duplicates."),
    reason: str = _REASON,
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would follow, change nothing."),
    as_json: bool = JSON,
) -> None:
    """Merge duplicates: alerts, comments and children follow; their tickets are marked, never deleted."""
    body = {"incidents": duplicates, "reason": reason, "dry_run": dry_run}
    found = Hub(as_json=as_json).call("POST", f"/incidents/{incident}/merge", body)["items"]
    if as_json:
        emit_json(found)
    else:
        rows = [_merged(each) for each in found]
        table(
            "Merge", [("incident", "Duplicate"), ("what", "What follows"), ("why", "Refused")], rows, empty=""
        )
    if any(each["status"] >= 400 or each.get("preview", {}).get("refused") for each in found):
        raise typer.Exit(int(Exit.FAILED))


def _merged(item: dict[str, Any]) -> dict[str, str]:
    seen = item.get("preview")
    if seen is not None:
        what = f"{seen['alerts']} alerts, {seen['comments']} comments, {seen['children']} children, tickets: {', '.join(seen['tickets']) or 'none'}"
        return {"incident": seen["number"], "what": what, "why": seen["refused"]}
    moved = item.get("result", {}).get("moved", {})
    what = ", ".join(f"{len(ids)} {name}" for name, ids in moved.items())
    return {"incident": item["incident"], "what": what, "why": item.get("detail", "")}


@incidents.command("split")
def incidents_split(
    incident: str = _INCIDENT,
    title: str = typer.Option(..., "--title", help="What the new incident is called."),
    alert: list[str] = typer.Option([], help="An alert (id) that goes along."),
    comment: list[str] = typer.Option([], help="A comment (id) that goes along."),
    reason: str = _REASON,
    as_json: bool = JSON,
) -> None:
    """Take alerts and comments into an incident of their own."""
    body = {"title": title, "alerts": alert, "comments": comment, "reason": reason}
    acting.post(f"/incidents/{incident}/split", body, "Split off.", as_json=as_json)


@incidents.command("undo")
def incidents_undo(
    incident: str = _INCIDENT,
    merge: str = typer.Argument(help="The merge's or split's id."),
    reason: str = _REASON,
    as_json: bool = JSON,
) -> None:
    """Take a merge or a split back."""
    acting.post(f"/incidents/{incident}/merges/{merge}/undo", {"reason": reason}, "Undone.", as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Register this file's command group."""
    app.add_typer(incidents, name="incidents")
