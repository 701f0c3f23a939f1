"""`isthmus drafts | accuracy`: what waits for a person's word, and how far the hub's decisions are trusted."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, table

IDS = typer.Argument(help="Ids of the alerts, at most 200.")
drafts = typer.Typer(help="Alerts that wait to be confirmed as incidents.", no_args_is_help=True)
accuracy = typer.Typer(help="Verdicts on the hub's decisions, and what they permit.", no_args_is_help=True)


@drafts.command("list")
def drafts_list(
    connection: str = typer.Option("", help="Only this source."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show drafts, the newest first."""
    query = {"decision": "drafted", "open": "true", "connection": connection}
    found = Hub(as_json=as_json).pages("/alerts", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"), ("summary", "Alert"), ("severity", "Severity"), ("state", "State"), ("decision_reason", "Why a draft"),
        ("connection", "Source"), ("starts_at", "Since"),
    ]  # fmt: skip
    table("Drafts", columns, found, empty="No draft waits.")


@drafts.command("confirm")
def drafts_confirm(ids: list[str] = IDS, as_json: bool = JSON) -> None:
    """Open the incidents of alerts that were only drafted or recorded."""
    _word(ids, "confirm", "", as_json=as_json)


@drafts.command("reject")
def drafts_reject(
    ids: list[str] = IDS,
    reason: str = typer.Option(..., "--reason", help="Why no incident is needed."),
    as_json: bool = JSON,
) -> None:
    """Say that drafts need no incident."""
    _word(ids, "reject", reason, as_json=as_json)


def _word(ids: list[str], action: str, reason: str, *, as_json: bool) -> None:
    body = {"ids": ids, "action": action, "reason": reason}
    found: list[dict[str, Any]] = Hub(as_json=as_json).call("POST", "/drafts/bulk", body)["items"]
    if as_json:
        emit_json(found)
    for each in () if as_json else found:
        said = each.get("detail") or f"{each['result']['decision']} {each['result']['incident']}".strip()
        console.print(f"{each['alert']}: {said}", markup=False, soft_wrap=True)
    if any(each["status"] >= 400 for each in found):
        raise typer.Exit(int(Exit.FAILED))


@accuracy.command("samples")
def accuracy_samples(
    verdict: str = typer.Option("open", help="open, right, wrong; empty: all."),
    alert_class: str = typer.Option("", "--class", help="Only this class of alerts."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show alerts that were drawn for a verdict."""
    query = {"verdict": verdict, "alert_class": alert_class}
    found = Hub(as_json=as_json).pages("/accuracy/samples", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"), ("alert", "Alert"), ("alert_class", "Class"), ("decision", "Judged decision"), ("verdict", "Verdict"),
        ("note", "Note"), ("created_at", "Drawn"),
    ]  # fmt: skip
    table("Samples", columns, found, empty="Nothing was drawn.")


@accuracy.command("judge")
def accuracy_judge(
    sample: str = typer.Argument(help="The sample's id."),
    verdict: str = typer.Argument(help="right or wrong."),
    note: str = typer.Option("", "--note", help="What was wrong."),
    as_json: bool = JSON,
) -> None:
    """Say whether the hub decided rightly about an alert."""
    found = Hub(as_json=as_json).call(
        "POST", f"/accuracy/samples/{sample}/judge", {"verdict": verdict, "note": note}
    )
    if as_json:
        emit_json(found)
    else:
        console.print(
            f"{found['alert_class']}: {found['decision']} was judged {found['verdict']}.", markup=False
        )


@accuracy.command("classes")
def accuracy_classes(
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."), as_json: bool = JSON
) -> None:
    """Show what every class of alerts has earned: precision, interval, level."""
    found = Hub(as_json=as_json).pages("/accuracy/modes", limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("alert_class", "Class"), ("service", "Service"), ("full_permitted", "Full"), ("verdicts", "Verdicts"), ("wrong", "Wrong"),
        ("said", "Why"), ("since", "Since"),
    ]  # fmt: skip
    table("Classes", columns, found, empty="No class has a verdict yet.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(drafts, name="drafts")
    app.add_typer(accuracy, name="accuracy")
