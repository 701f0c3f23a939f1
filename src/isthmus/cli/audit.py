"""`isthmus trace` and `isthmus audit`: how things came to be, and the proof that nobody edited the story."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table

SHOWN_MAX = 40
audit = typer.Typer(help="The journal: verify it, export it.", no_args_is_help=True)


def trace(
    identifier: str = typer.Argument(
        help="Any id: a number (INC-000123), a partner's ticket, a message, a trace id, a commit."
    ),
    as_json: bool = JSON,
) -> None:
    """Print the whole story that an id belongs to, oldest first, gaps marked."""
    found = Hub(as_json=as_json).call("GET", f"/traces/{quote(identifier, safe='')}")
    if as_json:
        emit_json(found)
        return
    names = {each["id"]: each["name"] for each in found["records"]}
    for each in found["external"]:
        console.print(f"  {each['connection']}: {each['label'] or each['key']} {each['url']}")
    rows = [
        {
            "at": each["occurred_at"],
            "record": names.get(each["record"], each["kind"]),
            "what": ", ".join(
                f"{field}={_short(pair[1])}" for field, pair in list(each["changes"].items())[:4]
            ),
            "who": each["actor"] if isinstance(each["actor"], str) else each["actor"].get("id", ""),
            "why": "; ".join(reason["text"] for reason in each["why"][:3]),
        }
        for each in found["entries"]
    ]
    columns = [("at", "When"), ("record", "Record"), ("what", "What"), ("who", "Who"), ("why", "Why")]
    table(f"Trace of {identifier}", columns, rows, empty="Nothing is known under this id.")
    for gap in found["gaps"]:
        console.print(f"[yellow]gap[/yellow] {gap['at']}: {gap['text']} {gap['remedy']}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


@audit.command("verify")
def verify(
    path: Path = typer.Argument(None, help="An export or a book file; empty: the book of this hub."),
    witness: Path = typer.Option(None, help="File with witnessed checkpoints."),
    public_key: Path = typer.Option(None, help="The installation's public key, if not the one inside."),
    as_json: bool = JSON,
) -> None:
    """Check chains, columns, projections and checkpoints. Exit 0: nothing was touched; 1: each finding is named."""
    if path is None:
        found = Hub(as_json=as_json).call("POST", "/audit/verify")
        if as_json:
            emit_json(found)
        else:
            columns = [("check", "Check"), ("where", "Where"), ("what", "Finding")]
            table("Findings", columns, found["findings"], empty="No finding.")
            console.print(
                ", ".join(f"{number} {name}" for name, number in found["counts"].items()) + " checked."
            )
        raise typer.Exit(int(Exit.DONE if found["ok"] else Exit.FAILED))
    if not path.exists():
        fail(f"There is no file {path}.", code=Exit.USAGE, as_json=as_json)
    # The verifier shares no code with the product: it runs as a program of its own, as an auditor would run it.
    command = [sys.executable, "-m", "isthmus.ledger.verify", str(path)]
    command += ["--witness", str(witness)] if witness else []
    command += ["--public-key", str(public_key)] if public_key else []
    command += ["--json"] if as_json else []
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@audit.command("export")
def export(
    target: Path = typer.Argument(Path("isthmus-audit.zip"), help="Where to write the pack."),
    force: bool = typer.Option(False, "--force", help="Overwrite an existing file."),
    as_json: bool = JSON,
) -> None:
    """Write a pack that verifies by itself: entries, seals, checkpoints, projections, key, verifier."""
    if target.exists() and not force:
        fail(f"{target} exists.", remedy="Choose another name or say --force.", as_json=as_json)
    with console.status("Writing the pack ...") if not as_json and console.is_terminal else _quiet():
        raw = Hub(as_json=as_json).call("GET", "/audit/export")
    target.write_bytes(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    if as_json:
        emit_json({"path": str(target), "bytes": target.stat().st_size})
    else:
        console.print(
            f"{target} ({target.stat().st_size} bytes). Check it anywhere with: python {target.name}"
        )


class _quiet:  # noqa: N801 - reads as a statement
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def add_to(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.command()(trace)
    app.add_typer(audit, name="audit")
