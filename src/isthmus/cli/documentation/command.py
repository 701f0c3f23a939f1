"""`isthmus docs reference`: the reference pages, generated from the code that they describe."""

from __future__ import annotations

from pathlib import Path

import typer

from isthmus.cli.client import prepare_django
from isthmus.cli.documentation import connectors, installation, interface, records, sections
from isthmus.cli.output import Exit, console, fail

docs = typer.Typer(help="Documentation generated from the code.", no_args_is_help=True)


def pages() -> dict[str, str]:
    """Return every reference page by file name."""
    prepare_django()
    return {
        "settings.md": installation.settings(),
        "command-line.md": installation.command_line(),
        "blueprint.md": sections.blueprint(),
        "permissions.md": records.permissions(),
        "record-kinds.md": records.kinds(),
        "metrics.md": installation.metrics(),
        "api.md": interface.api(),
        "lists.md": records.lists(),
        "connectors.md": connectors.connectors(),
    }


@docs.command("reference")
def reference(
    target: Path = typer.Argument(Path("docs/reference"), help="Directory of the reference pages."),
    check: bool = typer.Option(False, "--check", help="Write nothing; fail where a page differs."),
) -> None:
    """Write the reference pages, or check that they are current."""
    stale = []
    for name, text in pages().items():
        path = target / name
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if stale:
        fail(
            f"Not current: {', '.join(stale)}.",
            remedy="Run `isthmus docs reference` and commit.",
            code=Exit.FAILED,
        )
    console.print("Reference pages are current." if check else f"Wrote {target}.")


def add_to(app: typer.Typer) -> None:
    """Register this file's commands."""
    app.add_typer(docs, name="docs")
