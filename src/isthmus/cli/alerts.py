"""`isthmus alerts | silences | sources`: what fires, who has it, what is kept quiet, who is heard from."""

from __future__ import annotations

import datetime as dt
from typing import Any

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table
from isthmus.kernel.errors import Rejected
from isthmus.practices.monitoring.rules.matching import parse

IDS = typer.Argument(help="Ids of the alerts, at most 200.")
alerts = typer.Typer(help="What is firing, and what became of it.", no_args_is_help=True)
silences = typer.Typer(help="What is kept quiet, by whom, until when.", no_args_is_help=True)

_COLUMNS = [
    ("id", "Id"), ("summary", "Alert"), ("severity", "Severity"), ("state", "State"), ("decision", "Decision"),
    ("decision_reason", "Why"), ("taken_by", "Who has it"), ("connection", "Source"), ("occurrences", "Times"),
]  # fmt: skip


@alerts.command("list")
def alerts_list(
    state: str = typer.Option("firing", help="firing, resolved, stale; empty: all."),
    severity: str = typer.Option("", help="Only this severity."),
    decision: str = typer.Option("", help="Only this decision, e.g. suppressed_silence."),
    connection: str = typer.Option("", help="Only this source."),
    incident: str = typer.Option("", help="Only alerts of this incident (its id)."),
    astray: bool = typer.Option(
        False, "--astray", help="Only those where something did not stick at the source."
    ),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show alerts with their decision and its reason."""
    query = {
        "state": state,
        "severity": severity,
        "decision": decision,
        "connection": connection,
        "incident": incident,
    }
    if astray:
        query["astray"] = "true"
    found = Hub(as_json=as_json).pages("/alerts", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    table("Alerts", _COLUMNS, found, empty="Nothing here.")


@alerts.command("show")
def alerts_show(alert: str = typer.Argument(help="The alert's id."), as_json: bool = JSON) -> None:
    """Show one alert: its decision, what its source was told, and what is known around it."""
    hub = Hub(as_json=as_json)
    found = hub.call("GET", f"/alerts/{alert}") | {"context": hub.call("GET", f"/alerts/{alert}/context")}
    if as_json:
        emit_json(found)
        return
    around = found["context"]
    rows: list[dict[str, Any]] = [
        {"name": name.replace("_", " "), "value": found[name]}
        for name in (
            "summary", "state", "severity", "classification", "decision", "decision_reason", "incident", "taken_by",
            "acknowledged_by", "silenced", "occurrences", "notifications", "starts_at", "last_seen_at", "trace",
        )
    ]  # fmt: skip
    rows.append(
        {"name": "item", "value": f"{(around['item'] or {}).get('name', '')} {around['binding']}".strip()}
    )
    rows += [
        {"name": f"{each['to']} was told: {each['verb']}", "value": f"{each['state']} {each['why']}"}
        for each in found["told"]
    ]
    rows += [{"name": each["number"], "value": each["reason"]} for each in around["changes"]]
    rows += [{"name": each["number"], "value": each["title"]} for each in around["known_errors"]]
    table("Alert", [("name", "What"), ("value", "Value")], rows, empty="")


@alerts.command("ack")
def alerts_ack(
    ids: list[str] = IDS,
    comment: str = typer.Option("", help="A remark for the source."),
    as_json: bool = JSON,
) -> None:
    """Take alerts: their sources are told that you have them."""
    _bulk(ids, "acknowledge", comment, as_json=as_json)


@alerts.command("unack")
def alerts_unack(
    ids: list[str] = IDS,
    comment: str = typer.Option("", help="A remark for the source."),
    as_json: bool = JSON,
) -> None:
    """Put alerts back: nobody has them."""
    _bulk(ids, "unacknowledge", comment, as_json=as_json)


@alerts.command("note")
def alerts_note(
    ids: list[str] = IDS,
    comment: str = typer.Option(..., "--comment", help="The note."),
    as_json: bool = JSON,
) -> None:
    """Leave a note at the sources of alerts."""
    _bulk(ids, "annotate", comment, as_json=as_json)


@alerts.command("resolve")
def alerts_resolve(
    ids: list[str] = IDS,
    comment: str = typer.Option("", help="A remark for the source."),
    as_json: bool = JSON,
) -> None:
    """Have alerts closed at their sources; they count as clear once the sources say so."""
    _bulk(ids, "resolve", comment, as_json=as_json)


@alerts.command("silence")
def alerts_silence(
    alert: str = typer.Argument(help="The alert's id."),
    comment: str = typer.Option(..., "--comment", help="Why it may be quiet."),
    minutes: int = typer.Option(60, min=1, max=129_600, help="For how long."),
    label: list[str] = typer.Option(
        [], "--label", help="Labels that others must share; without it, all of the alert's."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what it would match, and do nothing."),
    as_json: bool = JSON,
) -> None:
    """Silence what shares an alert's labels."""
    held = Hub(as_json=as_json).call("GET", f"/alerts/{alert}")
    missing = [name for name in label if name not in held["labels"]]
    if missing:
        fail(f"The alert has no label {missing[0]!r}.", code=Exit.USAGE, as_json=as_json)
    matchers = [
        {"label": name, "op": "=", "value": value}
        for name, value in held["labels"].items()
        if not label or name in label
    ]
    body = {"matchers": matchers, "organisation": held["organisation"]}
    _silence({**body, "alert": alert}, body, comment, minutes, dry_run=dry_run, as_json=as_json)


@silences.command("list")
def silences_list(
    state: str = typer.Option("active", help="active, expired; empty: all."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show silences: the hub's own and those that sources hold."""
    found = Hub(as_json=as_json).pages("/silences", query={"state": state}, limit=limit)
    if as_json:
        emit_json(found)
        return
    rows = [
        {
            **each,
            "words": " ".join(
                f"{one['label']}{one.get('op', '=')}{one['value']}" for one in each["matchers"] or []
            ),
            "who": each["owner_label"] or each["owner"],
            "where": each["connection"]
            or ", ".join(["here", *(one["connection"] for one in each["mirrors"])]),
        }
        for each in found
    ]
    columns = [
        ("id", "Id"), ("words", "Matches"), ("comment", "Why"), ("who", "Owner"), ("ends_at", "Until"), ("where", "Where"),
        ("state", "State"),
    ]  # fmt: skip
    table("Silences", columns, rows, empty="Nothing is kept quiet.")


@silences.command("create")
def silences_create(
    matchers: list[str] = typer.Argument(help="label=value, label!=value, label=~pattern or label!~pattern."),
    comment: str = typer.Option(..., "--comment", help="Why these alerts may be quiet."),
    minutes: int = typer.Option(60, min=1, max=129_600, help="For how long."),
    organisation: str = typer.Option("", help="The organisation's id, where several are possible."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what it would match, and do nothing."),
    as_json: bool = JSON,
) -> None:
    """Silence alerts that fit all matchers, for a stated time."""
    try:
        wanted = parse("\n".join(matchers))
    except Rejected as wrong:
        fail(wrong.text, remedy=wrong.remedy, code=Exit.USAGE, as_json=as_json)
    body: dict[str, Any] = {"matchers": wanted, "organisation": organisation}
    _silence(body, body, comment, minutes, dry_run=dry_run, as_json=as_json)


@silences.command("expire")
def silences_expire(silence: str = typer.Argument(help="The silence's id."), as_json: bool = JSON) -> None:
    """End a silence now; what still fires under it is decided anew."""
    found = Hub(as_json=as_json).call("POST", f"/silences/{silence}/expire")
    if as_json:
        emit_json(found)
    else:
        console.print("The silence has ended.")


def sources_list(as_json: bool = JSON) -> None:
    """Show which sources of alerts are expected, when each was last heard, and who is silent."""
    found = Hub(as_json=as_json).call("GET", "/sources")["items"]
    if as_json:
        emit_json(found)
        return
    columns = [
        ("connection", "Source"),
        ("every_seconds", "Expected every (s)"),
        ("heard_at", "Last heard"),
        ("silent", "Silent"),
    ]
    table("Sources", columns, found, empty="Nothing is expected: declare it under `monitoring.expected`.")


def _bulk(ids: list[str], action: str, comment: str, *, as_json: bool) -> None:
    found = Hub(as_json=as_json).call(
        "POST", "/alerts/bulk", {"ids": ids, "action": action, "comment": comment}
    )
    items = found["items"]
    if as_json:
        emit_json(found)
    else:
        console.print(f"{sum(1 for each in items if each['status'] == 200)} of {len(items)} done.")
        for each in items:
            if "detail" in each:
                console.print(
                    f"{each['alert']}: {each['detail']} {each['remedy']}", markup=False, soft_wrap=True
                )
    if any(each["status"] >= 400 for each in items):
        raise typer.Exit(int(Exit.FAILED))


def _silence(
    body: dict[str, Any], tried: dict[str, Any], comment: str, minutes: int, *, dry_run: bool, as_json: bool
) -> None:
    hub = Hub(as_json=as_json)
    if dry_run:
        found = hub.call("POST", "/silences/preview", tried)
        if as_json:
            emit_json(found)
            return
        console.print(f"{found['matched']} open alert(s) match, {found['firing']} of them firing.")
        table("Would be quiet", _COLUMNS[:5], found["alerts"], empty="None now; what comes would be.")
        return
    ends_at = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    stamp = ends_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found = hub.call("POST", "/silences", {**body, "comment": comment, "ends_at": stamp})
    if as_json:
        emit_json(found)
    else:
        console.print(f"Silence {found['id']} lasts until {found['ends_at']}.", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(alerts, name="alerts")
    app.add_typer(silences, name="silences")
    app.command("sources")(sources_list)
