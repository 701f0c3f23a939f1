"""`isthmus demo`: set up a throw-away hub with its partners, tell the story, leave the console open."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import typer
from ruamel.yaml import YAML

from isthmus.cli.demo.hub_process import HubProcess
from isthmus.cli.demo.narrator import Narrator, StoryFailedError
from isthmus.cli.demo.partners import Partners
from isthmus.cli.demo.people import Person
from isthmus.cli.demo.stage import packaged
from isthmus.cli.demo.story import Story
from isthmus.cli.output import Exit, console, fail

BLUEPRINT_FILES = ("sync.yaml", "monitoring.yaml", "incident.yaml", "change.yaml")
GROUPS = (
    "Service desk",
    "Payments platform",
    "Discovery",
    "Platform engineering",
    "Workplace",
    "Network",
    "Databases",
)
"""Assignment groups that the ServiceNow of the demonstration knows."""
PEOPLE = {
    "ada": ("agent", "change_manager", "integration_engineer", "auditor"),
    "grace": ("approver",),
}


def demo(
    directory: Path = typer.Option(
        Path("data/demo"), "--directory", help="Where the throw-away hub lives; emptied first."
    ),
    port: int = typer.Option(8420, help="Port of the console; 0 picks a free one."),
    keep: bool = typer.Option(
        None, "--keep/--no-keep", help="Leave the console open (default: if a terminal is attached)."
    ),
) -> None:
    """Play the main job on recorded payloads: a storm of alerts, three ticket systems, a change, the gate, the proof."""
    stay = sys.stdout.isatty() if keep is None else keep
    began = time.monotonic()
    narrator = Narrator(console)
    partners = Partners()
    hub = HubProcess(directory.resolve(), port or _free_port())
    try:
        story = _prepare(directory, hub, partners, narrator)
        story.play()
        console.print(
            f"\n[bold green]All {narrator.checks} checks held, {time.monotonic() - began:.0f} s.[/bold green]"
        )
        if stay:
            _leave_open(hub, story)
    except StoryFailedError as broken:
        fail(f"The story broke: {broken}", remedy=f"See {hub.log}.", code=Exit.FAILED)
    except KeyboardInterrupt:
        console.print("Stopped.")
    finally:
        hub.stop()
        partners.stop()


def _prepare(directory: Path, hub: HubProcess, partners: Partners, narrator: Narrator) -> Story:
    narrator.console.print("[bold]Isthmus: the main job on recorded payloads[/bold]")
    narrator.say("Starting a ServiceNow-shaped and a Jira-shaped simulator and a real Roundup tracker ...")
    desk: Any = partners.start("servicenow", "snow").inside
    for group in GROUPS:
        partners.inside(partial(desk.instance.add_group, group))
    partners.start("jira", "jira")
    partners.start("roundup", "tracker")
    tokens = {name: secrets.token_urlsafe(24) for name in ("alertmanager", "csv")}
    _empty(directory)
    os.environ |= {
        "ISTHMUS_DATA_DIR": str(directory.resolve()),
        "ISTHMUS_ALLOW_PRIVATE_ADDRESSES": "true",
        "DEMO_ALERTMANAGER_TOKEN": tokens["alertmanager"],
        "DEMO_CSV_TOKEN": tokens["csv"],
        **partners.environment(),
    }
    from isthmus.cli.client import prepare_django

    prepare_django()
    from isthmus.web import installation

    made = installation.create(organisation_name="Meridian Retail", administrator="admin")
    passwords = {name: secrets.token_urlsafe(12) for name in PEOPLE}
    for name, roles in PEOPLE.items():
        installation.add_user(made.organisation, name, passwords[name], roles, name=name.capitalize())
    tokens["gate"] = _gate_token(made.organisation)
    _apply_blueprint(directory, partners)
    hub.start()
    partners.announce_to(hub.url)
    narrator.say(f"The hub runs at {hub.url}")
    people = {name: Person(hub.url, name, password) for name, password in passwords.items()}
    story = Story(
        narrator=narrator, hub=hub, partners=partners, ada=people["ada"], grace=people["grace"], tokens=tokens
    )
    story.passwords = passwords
    return story


def _apply_blueprint(directory: Path, partners: Partners) -> None:
    """Write the demonstration's blueprint beside its data, where it can be read, and apply it."""
    from isthmus.blueprint import service, source
    from isthmus.kernel.actor import Origin, system
    from isthmus.ledger import scope
    from isthmus.ledger.door import perform

    folder = directory / "blueprint"
    folder.mkdir(parents=True)
    for name in BLUEPRINT_FILES:
        (folder / name).write_text(packaged(f"blueprint/{name}"))
    connections = {
        **partners.connections(),
        "prometheus": {
            "connector": "alertmanager",
            "config": {"token": {"secret": "env:DEMO_ALERTMANAGER_TOKEN"}},
            "polling": {"enabled": False},
        },
        "inventory": {
            "connector": "csv",
            "config": {"token": {"secret": "env:DEMO_CSV_TOKEN"}},
            "polling": {"enabled": False},
        },
    }
    with (folder / "connections.yaml").open("w") as target:
        YAML().dump({"connections": connections}, target)
    with scope.everywhere("the demonstration sets itself up"):
        perform(
            lambda work: service.apply(work, source.read_directory(folder)),
            actor=system("demo"),
            origin=Origin(channel="cli", synthetic=True),
        )


def _gate_token(organisation: str) -> str:
    from isthmus.identity import tokens
    from isthmus.kernel.actor import Origin, system
    from isthmus.ledger import scope
    from isthmus.ledger.door import perform

    with scope.everywhere("the demonstration sets itself up"):
        _, token = perform(
            lambda work: tokens.issue(
                work, organisation=organisation, name="pipeline", scopes=["gate:check"], days=1
            ),
            actor=system("demo"),
            origin=Origin(channel="cli"),
        )
    return token


def _empty(directory: Path) -> None:
    """Empty the demonstration's own directory; refuse anything that does not look like one."""
    marker = directory / ".isthmus-demo"
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        fail(
            f"{directory} is not empty and is no demonstration's directory.",
            remedy="Choose another with --directory.",
        )
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    marker.touch()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _leave_open(hub: HubProcess, story: Story) -> None:
    console.print(f"\nThe console is open at [bold]{hub.url}[/bold]")
    for name, password in story.passwords.items():
        console.print(f"  {name:6} {password}   ({', '.join(PEOPLE[name])})", highlight=False)
    console.print("Ctrl-C stops everything.")
    while hub.running():
        time.sleep(0.5)


def add_to(app: typer.Typer) -> None:
    """Register this file's command."""
    app.command()(demo)
