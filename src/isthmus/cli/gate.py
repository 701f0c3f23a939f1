"""`isthmus gate`: the question a pipeline asks before it deploys. Fails closed.

Never falls back to the local store: a pipeline that cannot reach the hub must be stopped.
"""

from __future__ import annotations

import os

import typer

from isthmus.cli.output import JSON, Exit, console, emit_json, fail
from isthmus.connectors.kit.ports import GateQuestion
from isthmus.connectors.pipeline.client import check_sync, wait_sync

app = typer.Typer(help="Ask whether a deployment may go ahead. Exit 0 only on allow.", no_args_is_help=True)
WAIT_SECONDS_MAX = 86_400


@app.command("check")
def check(
    change: str = typer.Option(..., "--change", help="Number of the change, e.g. CHG-000042."),
    environment: str = typer.Option("", "--environment", help="Where to, e.g. production."),
    artefact: str = typer.Option("", "--artefact", help="Hash of what is deployed, e.g. sha256:…"),
    ci: list[str] = typer.Option([], "--ci", help="Configuration item deployed to; repeat for more."),
    wait: int = typer.Option(
        0, "--wait", min=0, max=WAIT_SECONDS_MAX, help="Seconds to wait for a decision."
    ),
    as_json: bool = JSON,
) -> None:
    """Ask once, or wait for an answer: exit 0 allow, 1 deny or still waiting, 3 hub not reached."""
    url, token = os.environ.get("ISTHMUS_URL", ""), os.environ.get("ISTHMUS_TOKEN", "")
    if not url or not token:
        fail(
            "ISTHMUS_URL and ISTHMUS_TOKEN must be set.",
            remedy="Issue a token with the scope gate:check.",
            code=Exit.USAGE,
            as_json=as_json,
        )
    question = GateQuestion(change=change, environment=environment, artefact_hash=artefact, cis=tuple(ci))
    found = wait_sync(url, token, question, seconds=wait) if wait else check_sync(url, token, question)
    if as_json:
        emit_json(
            {
                "decision": found.decision,
                "reached": found.reached,
                "reasons": list(found.reasons),
                "id": found.id,
            }
        )
    else:
        colour = {"allow": "green", "wait": "yellow"}.get(found.decision, "red")
        console.print(
            f"[bold {colour}]{found.decision}[/bold {colour}]"
            + ("" if found.reached else " (the hub was not reached)")
        )
        for reason in found.reasons:
            console.print(f"  {reason}", markup=False)
    raise typer.Exit(found.exit_code)
