"""Settings, commands and metrics of an installation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import typer

from isthmus.cli.documentation.markdown import page, table


def settings() -> str:
    """Return the page of settings."""
    from isthmus.settings import Settings

    rows = [
        (
            f"`ISTHMUS_{each.name.upper()}`",
            f"`{each.default}`" if str(each.default) else "empty",
            each.metadata["help"],
        )
        for each in dataclasses.fields(Settings)
    ]
    return page(
        "Settings",
        "Environment variables, read once at start. Everything else is configured in the [blueprint](blueprint.md). "
        "`DATABASE_URL` is read where `ISTHMUS_DATABASE_URL` is not set. `isthmus doctor` prints what is in effect.",
        table(("variable", "default", "meaning"), rows),
    )


def _commands(command: Any, path: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children:
        for name in sorted(children):
            yield from _commands(children[name], f"{path} {name}")
        return
    yield f"## `{path}`\n\n{(command.help or '').strip()}"
    shown = [each for each in command.params if each.name != "help"]
    rows = [(f"`{_parameter(each)}`", getattr(each, "help", None) or "", _default(each)) for each in shown]
    if rows:
        yield table(("argument or option", "meaning", "default"), rows)


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return ", ".join([*parameter.opts, *parameter.secondary_opts])
    return str(parameter.name).upper()


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value in (None, "", False, ()) or callable(value) else f"`{value}`"


def command_line() -> str:
    """Return the page of commands."""
    from isthmus.cli.main import app

    return page(
        "Command line",
        "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 unreachable. `--json` prints what the API says. "
        "Commands speak to the hub at `ISTHMUS_URL` with `ISTHMUS_TOKEN`; without these to the hub that runs on "
        "`ISTHMUS_DATA_DIR`; without one to the book itself. `isthmus gate` never falls back to the book.",
        *_commands(typer.main.get_command(app), "isthmus"),
    )


def metrics() -> str:
    """Return the page of metrics."""
    from isthmus.hub.metrics import REGISTRIES

    rows = [
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            process,
            ", ".join(f"`{label}`" for label in labels) or "none",
            family.documentation,
        )
        for process, registry in REGISTRIES.items()
        for family, labels in sorted(_families(registry), key=lambda each: each[0].name)
    ]
    return page(
        "Metrics",
        "`GET /metrics` in the text format of Prometheus. `front` answers; it adds what the processes of the engine last wrote. "
        "Values count from the start of their process. Histograms come as `_bucket`, `_sum` and `_count`.",
        table(("metric", "type", "process", "labels", "meaning"), rows),
    )


def _families(registry: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    # The registry has no public list of its collectors' labels; samples show labels only once they were used.
    for collector in list(registry._collector_to_names):  # noqa: SLF001
        for family in collector.describe():
            yield family, tuple(collector._labelnames)  # noqa: SLF001
