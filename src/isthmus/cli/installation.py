"""`isthmus init | serve | doctor | backup | restore`: the installation itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import typer

from isthmus.cli.client import prepare_django
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table


def init(
    folder: Path = typer.Argument(Path("blueprint"), help="Where to write the starter blueprint."),
    administrator: str = typer.Option("admin", help="User name of the first administrator."),
    organisation: str = typer.Option("Our organisation", help="Name of the root organisation."),
    blueprint_only: bool = typer.Option(
        False, "--blueprint-only", help="Write the starter; leave the store alone."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be made."),
    as_json: bool = JSON,
) -> None:
    """Write a commented starter blueprint and make the store: keys, tables, organisation, administrator."""
    from isthmus.blueprint import starter

    if folder.exists() and any(folder.iterdir()):
        fail(
            f"{folder} is not empty.",
            remedy="Choose another directory; nothing was written.",
            as_json=as_json,
        )
    if dry_run:
        planned = [str(folder / name) for name in starter.files()]
        if as_json:
            emit_json({"blueprint": planned, "store": not blueprint_only})
        else:
            console.print(f"Would write {len(planned)} files to {folder}.")
        return
    written = [str(path) for path in starter.write(folder)]
    said: dict[str, Any] = {"blueprint": written}
    if not blueprint_only:
        prepare_django()
        from isthmus.web import installation

        made_store = installation.create(organisation_name=organisation, administrator=administrator)
        said |= dataclasses.asdict(made_store)
    if as_json:
        emit_json(said)
        return
    console.print(f"Wrote {len(written)} files to {folder}.")
    if not blueprint_only:
        console.print(
            f"Administrator [bold]{said['administrator']}[/bold], password [bold]{said['password']}[/bold] (shown once)."
        )
        console.print(
            f"Next: edit {folder}, then isthmus validate {folder} && isthmus apply {folder} && isthmus serve"
        )


def serve(
    bind: str = typer.Option("", help="Address to listen on (default: ISTHMUS_BIND)."),
    port: int = typer.Option(0, help="Port to listen on (default: ISTHMUS_PORT)."),
    role: str = typer.Option(
        "both",
        help="both, front or work (pump, lanes and keeper): the same processes, on one machine or many.",
    ),
) -> None:
    """Run the hub until stopped: intake, pages and API in one process, the engine in three others."""
    if role not in {"both", "front", "work"}:
        fail("The role is both, front or work.", code=Exit.USAGE)
    from isthmus.hub.serve import supervisor

    raise typer.Exit(supervisor.run(bind=bind, port=port, role=role))


def doctor(as_json: bool = JSON) -> None:
    """Print effective settings with secrets masked, and check the surroundings."""
    from isthmus.settings import load

    settings = load()
    shown = {}
    for each in dataclasses.fields(settings):
        value = getattr(settings, each.name)
        shown[each.name] = ("***" if value else "") if each.metadata.get("secret") else str(value)
    prepare_django()
    from isthmus.web import installation

    checks = [dataclasses.asdict(check) for check in installation.checks()]
    healthy = all(check["ok"] for check in checks)
    if as_json:
        emit_json({"settings": shown, "checks": checks, "healthy": healthy})
    else:
        table(
            "Settings",
            [("name", "Setting"), ("value", "Value")],
            [{"name": k, "value": v} for k, v in shown.items()],
            empty="",
        )
        table(
            "Checks",
            [("name", "Check"), ("ok", "Fine"), ("text", "Finding"), ("remedy", "Remedy")],
            checks,
            empty="",
        )
    raise typer.Exit(int(Exit.DONE if healthy else Exit.FAILED))


def upgrade(as_json: bool = JSON) -> None:
    """Bring the store to this release. Stop the hub and make a backup first; refused while a hub serves."""
    prepare_django()
    from isthmus.django_settings import ISTHMUS
    from isthmus.hub.serve import supervisor
    from isthmus.web import installation

    with supervisor.kept_out(ISTHMUS.data_dir):
        made = installation.upgrade()
    if as_json:
        emit_json({"migrations": made})
    else:
        console.print(f"The store is of this release now: {made} migration(s) were missing.")


def backup(
    target: Path = typer.Argument(help="Directory for the book and the log; it must be new or empty."),
    keys: Path = typer.Option(..., "--keys", help="Directory for the keys, kept apart from the book."),
    as_json: bool = JSON,
) -> None:
    """Copy the book, then the log, then the keys, while the hub runs or stands still."""
    prepare_django()
    from isthmus.ledger import backup as backups
    from isthmus.ledger.ids import source

    with console.status("Copying ...", spinner="line"):
        made = backups.backup(target, keys_directory=keys, now=source.now())
    if as_json:
        emit_json(dataclasses.asdict(made))
    else:
        console.print(
            f"Book and log are in {target}, the keys in {keys}: checkpoint {made.checkpoint} is the last inside."
        )


def restore(
    origin: Path = typer.Argument(help="Directory made by `isthmus backup`."),
    keys: Path = typer.Option(None, "--keys", help="The keys' backup, if the present keys are lost."),
    why: str = typer.Option(..., "--why", help="The reason, for the journal."),
    confirm: bool = typer.Option(
        False, "--yes", help="Really replace the book and the log of this data directory."
    ),
    as_json: bool = JSON,
) -> None:
    """Bring a backup back. Links are compared again, operations looked up, lanes start paused."""
    if not confirm:
        fail(
            "This replaces the book and the log.",
            remedy="Say --yes if that is what you want.",
            code=Exit.USAGE,
            as_json=as_json,
        )
    prepare_django()
    from isthmus.django_settings import ISTHMUS
    from isthmus.hub.serve import supervisor
    from isthmus.kernel.actor import system
    from isthmus.ledger import backup as backups
    from isthmus.ledger.ids import source

    with supervisor.kept_out(ISTHMUS.data_dir):
        made = backups.restore(
            origin, keys_directory=keys, actor=system("restore"), why=why, now=source.now()
        )
    if as_json:
        emit_json(dataclasses.asdict(made))
    else:
        console.print(f"Restored from {origin}. Lanes start paused: look at the links, then resume.")


def add_to(app: typer.Typer) -> None:
    """Register this file's commands."""
    for command in (init, upgrade, serve, doctor, backup, restore):
        app.command()(command)
