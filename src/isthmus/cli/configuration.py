"""`isthmus validate | plan | apply | history | rollback | schema`: the blueprint from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from isthmus.cli.client import Hub, prepare_django
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, problems, table
from isthmus.kernel.errors import Problem

FOLDER = typer.Argument(Path("blueprint"), help="Directory of the blueprint's YAML files.")


def _read(folder: Path, *, as_json: bool) -> dict[str, Any]:
    """Return the plain sections of a valid blueprint, or leave with every problem named."""
    prepare_django()
    from isthmus.blueprint import source, validate

    found = source.read_directory(folder)
    parsed, wrong = validate.check(found)
    if parsed is None:
        _refuse(wrong, as_json=as_json)
    return found.sections


def _refuse(wrong: list[Problem], *, as_json: bool) -> None:
    if as_json:
        emit_json(
            {
                "valid": False,
                "problems": [{"path": p.path, "message": p.message, "remedy": p.remedy} for p in wrong],
            }
        )
    else:
        problems(wrong)
    raise typer.Exit(int(Exit.FAILED))


def validate(folder: Path = FOLDER, as_json: bool = JSON) -> None:
    """Check a blueprint: every problem names file, line, path and remedy."""
    sections = _read(folder, as_json=as_json)
    if as_json:
        emit_json({"valid": True, "sections": sorted(sections), "problems": []})
    else:
        console.print(f"Valid: {len(sections)} section(s) in {folder}.")


def _show(plan: dict[str, Any]) -> None:
    table(
        f"Against generation {plan['base_generation']}",
        [("action", "Action"), ("pointer", "Value"), ("old", "Now"), ("new", "Then")],
        plan["steps"],
        empty="Nothing would change.",
    )
    for sentence in plan["affects"]:
        console.print(f"  affects: {sentence}")
    if plan["high_tier"]:
        console.print(f"  needs a second person's approval: {', '.join(plan['high_tier'])}")
        console.print(
            f"  content hash: {plan['content_hash']} (a second person approves it in the console, under Configuration)"
        )


def plan(folder: Path = FOLDER, as_json: bool = JSON) -> None:
    """Show what applying the blueprint would change and what that touches. Changes nothing."""
    sections = _read(folder, as_json=as_json)
    found = Hub(as_json=as_json).call("POST", "/blueprint/plan", {"sections": sections})
    if as_json:
        emit_json(found)
    else:
        _show(found)


def apply(
    folder: Path = FOLDER,
    dry_run: bool = typer.Option(False, "--dry-run", help="Plan only."),
    as_json: bool = JSON,
) -> None:
    """Make the blueprint the one in force: all of it or nothing, journalled."""
    sections = _read(folder, as_json=as_json)
    hub = Hub(as_json=as_json)
    proposed = hub.call("POST", "/blueprint/plan", {"sections": sections})
    if not as_json:
        _show(proposed)
    if dry_run or not proposed["steps"]:
        if as_json:
            emit_json(proposed)
        return
    done = hub.call(
        "POST",
        "/blueprint/apply",
        {
            "sections": sections,
            "expected": proposed["base_generation"],
        },
    )
    if as_json:
        emit_json(done)
    else:
        console.print(f"Generation {done['sequence']} is in force ({done['content_hash'][:12]}).")


def history(
    limit: int = typer.Option(20, min=1, max=200, help="How many generations."), as_json: bool = JSON
) -> None:
    """List the generations of the blueprint, newest first."""
    found = Hub(as_json=as_json).call("GET", "/blueprint/generations", query={"limit": limit})["items"]
    if as_json:
        emit_json(found)
        return
    columns = [
        ("sequence", "Generation"),
        ("state", "State"),
        ("created_at", "Applied"),
        ("content_hash", "Hash"),
    ]
    table("Blueprint", columns, found, empty="Nothing was applied yet: `isthmus apply DIRECTORY`.")


def rollback(
    generation: int = typer.Argument(help="Generation whose content comes back."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the differences only."),
    as_json: bool = JSON,
) -> None:
    """Apply the content of an earlier generation again, as a new generation."""
    if generation < 1:
        fail("Generations start at 1.", code=Exit.USAGE, as_json=as_json)
    hub = Hub(as_json=as_json)
    if dry_run:
        earlier = hub.call("GET", f"/blueprint/generations/{generation}")
        found = hub.call("POST", "/blueprint/plan", {"sections": earlier["sections"]})
    else:
        found = hub.call("POST", f"/blueprint/generations/{generation}/rollback")
    if as_json:
        emit_json(found)
    elif dry_run:
        _show(found)
    elif found.get("changed"):
        console.print(f"Generation {found['sequence']} is in force, with the content of {generation}.")
    else:
        console.print("Nothing differs; nothing was applied.")


def schema() -> None:
    """Print the JSON Schema of the blueprint, for editors."""
    prepare_django()
    from isthmus.blueprint import sections

    emit_json(sections.json_schema())


def add_to(app: typer.Typer) -> None:
    """Register this file's commands."""
    for command in (validate, plan, apply, history, rollback, schema):
        app.command()(command)
