"""How the demonstration speaks: a numbered row, what happens, what was checked, where to look."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from rich.console import Console
from rich.markup import escape

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


class StoryFailedError(Exception):
    """A thing that the demonstration promised did not happen."""


class Narrator:
    """Prints the story and checks it. Every check is counted; the first that fails ends the story."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.checks = 0

    def row(self, number: int, title: str) -> None:
        """Open one of the ten rows of the main job."""
        self.console.print(f"\n[bold]{number:>2}. {escape(title)}[/bold]")

    def say(self, text: str) -> None:
        """Tell what happens."""
        self.console.print(f"    {escape(text)}", soft_wrap=True)

    def look(self, url: str) -> None:
        """Say where it can be seen."""
        self.console.print(f"    [dim]look: {escape(url)}[/dim]", soft_wrap=True)

    def check(self, fact: bool, text: str) -> None:
        """Tick a fact, or end the story."""
        self.checks += 1
        if not fact:
            self.console.print(f"    [bold red]✗[/bold red] {escape(text)}", soft_wrap=True)
            raise StoryFailedError(text)
        self.console.print(f"    [green]✓[/green] {escape(text)}", soft_wrap=True)

    def until(self, what: str, look: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
        """Wait until `look` finds something; the story fails if it does not in time."""
        deadline = time.monotonic() + seconds
        with self.console.status(escape(what)) if self.console.is_terminal else _Still():
            while True:
                found = look()
                if found:
                    return found
                if time.monotonic() > deadline:
                    raise StoryFailedError(f"After {seconds:.0f} s still not: {what}")
                time.sleep(0.2)


class _Still:
    """No spinner where nobody watches."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None
