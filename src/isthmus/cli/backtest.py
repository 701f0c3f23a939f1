"""`isthmus backtest`: what rules would have made of the stored past, before they are in force."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import typer
from rich.progress import Progress

from isthmus.cli.client import Hub
from isthmus.cli.output import Exit, console, emit_json, errors, fail, problems

ASK_SECONDS: Final = 1.0
HEADINGS: Final = {
    "only_in_force": "Only with the rules in force",
    "only_candidate": "Only with the candidate",
    "regrouped": "Grouped differently",
    "same": "The same",
}


def backtest(
    rules: Path = typer.Argument(
        help="YAML: sections `monitoring` or `incident`, or a list `rules` of correlation rules."
    ),
    since: str = typer.Option(
        "", "--since", help="Begin of the window, RFC 3339; empty: a day before its end."
    ),
    until: str = typer.Option("", "--until", help="End of the window; empty: now."),
    organisation: str = typer.Option(
        "", "--organisation", help="Whose alerts; empty: your own organisation's."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Replay stored alerts through candidate rules and show which incidents would differ; nothing is changed."""
    body = {**_read(rules, as_json=as_json), "since": since, "until": until, "organisation": organisation}
    hub = Hub(as_json=as_json)
    job = hub.call("POST", "/backtests", body)
    with Progress(console=errors, transient=True, disable=as_json) as bar:
        task = bar.add_task("Replaying", total=100)
        while job["state"] == "running":
            time.sleep(ASK_SECONDS)
            job = hub.call("GET", f"/backtests/{job['id']}")
            bar.update(
                task, completed=job["progress"], description=(job["stage"] or "done").replace("_", " ")
            )
    if as_json:
        emit_json(job)
    if job["state"] != "done":
        if as_json:
            raise typer.Exit(int(Exit.FAILED))
        fail(job["problem"], remedy=job["remedy"])
    if not as_json:
        _show(job)


def _read(path: Path, *, as_json: bool) -> dict[str, Any]:
    """Return the candidate of a file: `{"sections"}` or `{"rules"}`."""
    from isthmus.blueprint.source import Source, read_text

    if not path.is_file():
        fail(f"There is no file {path}.", code=Exit.USAGE, as_json=as_json)
    source = Source()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        fail(f"{path} is not UTF-8.", code=Exit.USAGE, as_json=as_json)
    read_text(text, path.name, source)
    if source.problems:
        if not as_json:
            problems(source.problems)
        fail(f"{path} cannot be read.", code=Exit.USAGE, as_json=as_json)
    found = dict(source.sections)
    listed = found.pop("rules", None)
    return {"sections": found, "rules": listed if isinstance(listed, list) else []}


def _show(job: dict[str, Any]) -> None:
    found = job["result"]
    counts = found["counts"]
    said = (
        f"{found['events']} event(s) from {job['since']} to {job['until']}: {counts['in_force']} incident(s) with the "
        f"rules in force, {counts['candidate']} with the candidate."
    )
    console.print(said, markup=False, soft_wrap=True)
    for name, heading in HEADINGS.items():
        console.print(f"\n{heading}: {counts[name]}", markup=False)
        for each in found[name] if name != "same" else ():
            if name == "regrouped":
                for side, mark in (("before", "-"), ("after", "+")):
                    for incident in each[side]:
                        _incident(incident, mark)
                console.print("")
            else:
                _incident(each, "-" if name == "only_in_force" else "+")
    for note in [*found["notes"], *found["faults"]]:
        console.print(f"\nNote: {note}", markup=False, soft_wrap=True)


def _incident(found: dict[str, Any], mark: str) -> None:
    line = (
        f"  {mark} {found['opened_at']} {found['title']} ({found['alert_count']} alert(s)): {found['reason']}"
    )
    console.print(line, markup=False, soft_wrap=True)
    for alert in found["alerts"]:
        console.print(f"      {alert['connection']}: {alert['summary']}", markup=False, soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)
