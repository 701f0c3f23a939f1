"""`isthmus sla`: clocks of service levels, why they stand where they stand, and how promises were kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, console, emit_json, table

app = typer.Typer(help="Service level clocks, their ledgers and reports.", no_args_is_help=True)
CLOCK = typer.Argument(help="The clock's id, as `isthmus sla board` shows it.")
_COLUMNS = [
    ("id", "Clock"),
    ("record", "Record"),
    ("target", "Target"),
    ("priority", "Priority"),
    ("state", "State"),
    ("breached", "Breached"),
    ("left", "Left"),
    ("due_at", "Due"),
]


def _span(seconds: float | None) -> str:
    """Return seconds as people say them, with a sign where time is overdrawn."""
    from isthmus.kernel.duration import in_words

    if seconds is None:
        return ""
    return ("-" if seconds < 0 else "") + in_words(abs(round(seconds * 1_000_000)))


def _row(clock: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **clock,
        "left": _span(clock["left_seconds"]),
        "record": f"{clock['record_kind']} {clock['record']}",
    }


@app.command("board")
def board(
    target: str = typer.Option("", "--target", help="Only this target, e.g. resolution."),
    priority: str = typer.Option("", "--priority", help="Only this priority, 1 to 4."),
    service: str = typer.Option("", "--service", help="Only this service, by its id on the map."),
    as_json: bool = JSON,
) -> None:
    """Show open clocks, the one with the least time left first."""
    query = {"target": target, "priority": priority, "service": service}
    hub = Hub(as_json=as_json)
    found = hub.call("GET", "/sla/board", query=query)["items"]
    if as_json:
        emit_json(found)
        return
    said = hub.call("GET", "/sla/summary", query=query)
    title = f"{said['open']} open, {said['over']} beyond the target, {said['near']} near it, {said['paused']} on pause"
    table(title, _COLUMNS, map(_row, found), empty="No clock is running.")


@app.command("list")
def list_clocks(
    record: str = typer.Option("", "--record", help="Only the clocks of this record, by its id."),
    state: str = typer.Option("", "--state", help="running, paused, stopped or cancelled."),
    breached: bool = typer.Option(False, "--breached", help="Only breached ones."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """List clocks, the newest first, ended ones too."""
    query = {"record": record, "state": state, "breached": "true" if breached else ""}
    found = Hub(as_json=as_json).pages("/sla/clocks", query=query, limit=limit)
    if as_json:
        emit_json(found)
    else:
        table("Clocks", _COLUMNS, map(_row, found), empty="There are no such clocks.")


@app.command("why")
def why(clock: str = CLOCK, as_json: bool = JSON) -> None:
    """Say why a clock is breached, or why not: where the time went, and what moved it."""
    found = Hub(as_json=as_json).call("GET", f"/sla/clocks/{clock}/timeline")
    if as_json:
        emit_json(found)
        return
    for sentence in [*found["why"], "", *(move["text"] for move in found["moves"])]:
        console.print(sentence, markup=False, soft_wrap=True)


@app.command("ledger")
def ledger(clock: str = CLOCK, as_json: bool = JSON) -> None:
    """Print every start, pause, resume, stop, reset, threshold and recalculation with its cause."""
    found = Hub(as_json=as_json).call("GET", f"/sla/clocks/{clock}/ledger")["items"]
    if as_json:
        emit_json(found)
        return
    columns = [
        ("at", "Occurred"),
        ("recorded_at", "Known"),
        ("what", "What"),
        ("cause", "Entry"),
        ("text", "Why"),
    ]
    table("Ledger", columns, found, empty="Nothing has moved this clock.")


@app.command("predict")
def predict(clock: str = CLOCK, as_json: bool = JSON) -> None:
    """Say when a clock will breach if nothing changes, and how likely that is by your own history."""
    found = Hub(as_json=as_json).call("GET", f"/sla/clocks/{clock}")["prediction"]
    if as_json:
        emit_json(found)
        return
    if found["breaches_at"]:
        console.print(f"Breaches at {found['breaches_at']} if nothing changes.")
    elif found["if_resumed_now_at"]:
        console.print(f"It stands still. If it went on now, it would breach at {found['if_resumed_now_at']}.")
    else:
        console.print("It is not running.")
    console.print(f"Likelihood: {found['likelihood']['text']}", markup=False)


@app.command("custodians")
def custodians(clock: str = CLOCK, as_json: bool = JSON) -> None:
    """Show in whose hands the record was while the clock counted."""
    found = Hub(as_json=as_json).call("GET", f"/sla/clocks/{clock}/custodians")
    if as_json:
        emit_json(found)
        return
    rows = [
        {"party": each["party"] or "nobody", "counted": _span(each["counted_seconds"])}
        for each in found["items"]
    ]
    empty = "Nothing has counted yet." if found["known"] else "Nobody keeps custody of this record."
    table("Working time per custodian", [("party", "Custodian"), ("counted", "Counted")], rows, empty=empty)


@app.command("partner")
def partner(
    record: str = typer.Argument(help="The record's id, e.g. an incident's."), as_json: bool = JSON
) -> None:
    """Compare partners' clocks of a record with ours, and name the interval that makes the difference."""
    found = Hub(as_json=as_json).call("GET", "/sla/partner-clocks", query={"record": record})["items"]
    if as_json:
        emit_json(found)
        return
    rows = [
        {
            "connection": each["partner"]["connection"],
            "name": each["partner"]["name"],
            "theirs": _span(each["their_elapsed_seconds"]),
            "ours": _span(each["our_elapsed_seconds"]),
            "difference": _span(each["difference_seconds"]),
            "text": " ".join([each["text"], *(cause["text"] for cause in each["causes"])]),
        }
        for each in found
    ]
    columns = [
        ("connection", "Partner"),
        ("name", "Its clock"),
        ("theirs", "Theirs"),
        ("ours", "Ours"),
        ("difference", "Theirs - ours"),
        ("text", "Why"),
    ]
    table("Partners' clocks", columns, rows, empty="No partner has shown a clock of this record.")


@app.command("report")
def report(
    since: str = typer.Option("", "--since", help="RFC 3339; default: thirty days before --until."),
    until: str = typer.Option("", "--until", help="RFC 3339; default: now."),
    by: str = typer.Option("service", "--by", help="service, priority, target, definition, month or week."),
    target: str = typer.Option("", "--target", help="Only this target, e.g. resolution."),
    as_json: bool = JSON,
) -> None:
    """Show how promises were kept: met of all that ended, with percentiles of the time needed."""
    query = {"since": since, "until": until, "by": by, "target": target}
    found = Hub(as_json=as_json).call("GET", "/sla/report", query=query)
    if as_json:
        emit_json(found)
        return
    rows = [
        {
            "group": each["group"] or "none",
            "met": f"{each['met']} of {each['ended']}",
            "share": "" if each["per_mille"] is None else f"{each['per_mille'] / 10:.1f} %",
            **{name: _span(value) for name, value in each["percentiles_seconds"].items()},
        }
        for each in [*found["items"], {**found["all"], "group": "all"}]
    ]
    columns = [("group", by.capitalize()), ("met", "Met"), ("share", "Compliance"), ("p50", "p50"), ("p90", "p90"), ("p99", "p99")]  # fmt: skip
    table(f"{found['since']} to {found['until']}", columns, rows, empty="No clock ended in this time.")
    console.print(found["definition"], markup=False, soft_wrap=True)


@app.command("definitions")
def definitions(as_json: bool = JSON) -> None:
    """Show what is promised to whom, in the order in which definitions are tried."""
    found = Hub(as_json=as_json).call("GET", "/sla/definitions")["items"]
    if as_json:
        emit_json(found)
        return
    columns = [("kind", "Kind"), ("target", "Target"), ("definition", "Definition"), ("within", "Within"),
               ("calendar", "Calendar"), ("priorities", "Priorities"), ("services", "Services"), ("tiers", "Tiers")]  # fmt: skip
    table("Promises", columns, found, empty="Nothing is promised.")


@app.command("recalculate")
def recalculate(
    reason: str = typer.Option(
        ..., "--reason", help="Why; it stands in the ledger of every clock that changes."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say which promises would be counted anew."),
    as_json: bool = JSON,
) -> None:
    """Count the open clocks anew from the history, in the background; ended ones keep their verdict."""
    hub = Hub(as_json=as_json)
    if dry_run:
        kinds = sorted({each["kind"] for each in hub.call("GET", "/sla/definitions")["items"]})
        found: Any = {"state": "would begin", "kinds": kinds}
    else:
        found = hub.call("POST", "/sla/recalculate", {"reason": reason})
    if as_json:
        emit_json(found)
    elif dry_run:
        console.print(f"The open clocks of {', '.join(found['kinds']) or 'nothing'} would be counted anew.")
    else:
        console.print("The recalculation has begun.")
