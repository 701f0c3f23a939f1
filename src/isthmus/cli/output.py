"""How the command line speaks: tables for people, JSON for machines, exit codes for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isthmus.kernel.errors import Problem

console = Console()
errors = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON for machines.")
"""The option that every command has."""


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    DONE = 0
    FAILED = 1  # refused, not found, failed
    USAGE = 2
    UNREACHABLE = 3


def emit_json(value: Any) -> None:
    """Print one JSON document, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(
    title: str, columns: Sequence[tuple[str, str]], rows: Iterable[Mapping[str, Any]], *, empty: str
) -> None:
    """Print rows as a table; `columns` are (key, heading). An empty list says what that means."""
    shown = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for _, heading in columns:
        shown.add_column(heading, overflow="fold")
    count = 0
    for row in rows:
        shown.add_row(*(escape(_text(row.get(key))) for key, _ in columns))
        count += 1
    console.print(shown if count else f"[dim]{escape(empty)}[/dim]")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return str(value)


def problems(found: Sequence[Problem]) -> None:
    """Print problems to standard error, one line each: place, what is wrong, remedy."""
    for each in found:
        errors.print(
            f"[bold]{escape(each.path)}[/bold]: {escape(each.message)} [dim]{escape(each.remedy)}[/dim]",
            soft_wrap=True,
        )


def fail(text: str, *, remedy: str = "", code: Exit = Exit.FAILED, as_json: bool = False) -> NoReturn:
    """Say what went wrong and what to do, and leave with `code`."""
    if as_json:
        emit_json({"error": text, "remedy": remedy})
    else:
        errors.print(f"[bold red]{escape(text)}[/bold red] {escape(remedy)}".strip(), soft_wrap=True)
    raise typer.Exit(int(code))
