"""Assembly of the `isthmus` command."""

from __future__ import annotations

import sys

import typer

import isthmus
from isthmus.cli import (
    accuracy,
    alerts,
    audit,
    backtest,
    configuration,
    deliveries,
    desks,
    gate,
    incidents,
    installation,
    known_errors,
    links,
    on_call,
    people,
    problems,
    sla,
    systems,
    token,
    views,
)
from isthmus.cli.demo import command as demo_command
from isthmus.cli.documentation import command as documentation_command
from isthmus.cli.output import Exit, errors
from isthmus.kernel.errors import IsthmusError

app = typer.Typer(
    name="isthmus",
    help="The open ITSM integration hub. Exit codes: 0 done, 1 refused or failed, 2 usage, 3 unreachable.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and leave.")) -> None:
    if version:
        typer.echo(isthmus.__version__)
        raise typer.Exit(int(Exit.DONE))


installation.add_to(app)
configuration.add_to(app)
systems.add_to(app)
deliveries.add_to(app)
links.add_to(app)
alerts.add_to(app)
on_call.add_to(app)
incidents.add_to(app)
problems.add_to(app)
known_errors.add_to(app)
desks.add_to(app)
accuracy.add_to(app)
audit.add_to(app)
backtest.add_to(app)
app.add_typer(gate.app, name="gate")
app.add_typer(sla.app, name="sla")
app.add_typer(token.app, name="token")
app.add_typer(people.app, name="people")
app.add_typer(views.app, name="views")
demo_command.add_to(app)
documentation_command.add_to(app)


def main() -> None:
    """Run the command; errors that Isthmus raises on purpose become one sentence and exit code 1."""
    try:
        app()
    except IsthmusError as fault:
        errors.print(f"[bold red]{fault.text}[/bold red] {fault.remedy}", soft_wrap=True)
        sys.exit(int(Exit.FAILED))
    except KeyboardInterrupt:
        errors.print("Stopped.")
        sys.exit(130)


if __name__ == "__main__":
    main()
