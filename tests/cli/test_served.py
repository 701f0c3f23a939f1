"""Every command that asks a served hub: lists are JSON, an unknown id is one sentence, a wrong call is usage."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import isthmus
from typer.main import get_command

from isthmus.cli import main as cli
from isthmus.cli.client import Hub
from isthmus.cli.demo.hub_process import HubProcess
from isthmus.connectors import alertmanager

GROUPS = (
    "accuracy", "alerts", "backtest", "custody", "deliveries", "drafts", "incidents", "notify", "oncall", "people",
    "reviews", "silences", "sla", "sources", "systems", "waits",
)  # fmt: skip
"""Groups of which each command stands in a table below."""

ANSWERS = """
    accuracy classes | accuracy samples | accuracy samples --verdict right --class x | alerts list
    alerts list --state resolved --severity critical --decision full --connection prometheus --astray
    custody list | custody list --orphan | custody list --state accepted | custody show {one} | deliveries list
    deliveries list --state dead --connection prometheus | deliveries parked | deliveries retry --all-dead --dry-run
    deliveries discard --all-dead --reason r --dry-run | drafts list | drafts list --connection prometheus
    incidents list | incidents list --state new --major --group x | incidents major {one}
    incidents merge {one} {two} --dry-run --reason "the same" | notify list | notify list --state sent
    notify test --channel ops --dry-run | oncall duties desk | oncall escalations | oncall escalations --subject {one}
    oncall list | oncall list --rota desk --state cancelled
    oncall override desk admin --until 2030-01-01T00:00:00Z --dry-run | oncall who
    oncall who --rota desk --at 2030-01-01T00:00:00+01:00 | people list | people roles | reviews list
    reviews list --state overdue | silences create service=shop --comment c --dry-run | silences list
    silences list --state expired | sla board | sla board --target resolution --priority 1 --service x
    sla list | sla list --record {one} --state running --breached | sla partner {one} | sla definitions | sla report
    sla recalculate --reason r --dry-run | sources | systems list | systems try prometheus {sample} | waits list
    waits list --workflow approval --partner x --owner y --state ended --overdue | waits summary
    waits summary --by owner
"""
"""What answers with a list, a record or a plan: exit code 0."""

ACTS = """
    incidents major {one} --owner service-desk --reason "many are hit" | incidents tell {one} "We look into it"
    incidents split {one} --title "Something else" --comment {comment} | incidents merge {one} {two} --reason "the same"
    incidents major {one} --stand-down --reason "it was not" | people grant ada viewer | people revoke ada viewer
    people name ada prometheus ada.lovelace | people unname ada prometheus
    oncall override desk ada --until {soon} --reason "on leave" | silences create a=b --comment c
    sla recalculate --reason "new promises" | backtest {rules}
"""
"""What changes something, in this order: exit code 0, and the record that came of it."""

UNKNOWN = """
    accuracy judge {no} right | alerts ack {no} | alerts note {no} --comment c
    alerts resolve {no} | alerts show {no} | alerts silence {no} --comment c | alerts unack {no} | custody accept {no}
    custody forward {no} --to x --reason r | custody hand-back {no} --reason r | custody reject {no} --reason r
    custody show {no} | custody withdraw {no} --reason r | deliveries complete {no} --value impact=2
    deliveries discard {no} --reason r | deliveries dismiss {no} --reason r | deliveries message {no}
    deliveries redrive {no} | deliveries retry {no} | drafts confirm {no} | drafts reject {no} --reason r
    incidents escalate {no} functional --reason r | incidents major {no} | incidents major {no} --owner x
    incidents merge {no} {one} | incidents merge {one} {no} | incidents merge {one} {no} --dry-run
    incidents split {no} --title t --comment c | incidents tell {no} text | incidents undo {one} {no}
    notify test --channel {no} | notify test --person {no} | oncall acknowledge {no} | oncall cancel {no}
    oncall duties {no} | oncall override {no} ada --until 2030-01-01T00:00:00Z | oncall page {no} {one}
    oncall page ladder {no} | people grant {no} agent | people grant ada {no} | people name {no} prometheus x
    people name ada {no} x | people revoke {no} agent | people unname ada {no} | reviews complete {no}
    reviews write {no} --cause c | silences expire {no} | sla custodians {no} | sla ledger {no} | sla predict {no}
    sla why {no} | systems confirm-gone {no} --reason r | systems pause {no} --reason r | systems probe {no}
    systems resume {no} | systems try {no} {sample} | oncall who --rota {no} | oncall who --at {no}
    waits summary --by {no} | backtest {rules} --since {no}
"""
"""What names something that is not there: exit code 1 and one clear sentence, said of each item where there are many."""

UNKNOWN_TO_PEOPLE = """
    alerts ack {no} | deliveries discard {no} --reason r | deliveries retry {no} | drafts confirm {no}
    incidents merge {one} {no} | people grant {no} agent | sla why {no} | systems probe {no}
"""
"""The same in words: each way of saying it once."""

USAGE = """
    alerts ack | alerts note {one} | alerts silence {one} | backtest {sample}.gone | custody forward {one} --to x
    custody reject {one} | deliveries discard --reason r | deliveries complete {one} | deliveries retry | drafts reject x
    incidents escalate {one} sideways --reason r | incidents escalate {one} functional | incidents split {one}
    incidents major {one} --owner x --stand-down | notify test | oncall override desk ada | oncall page ladder
    silences create a=b | sla recalculate | sla why | systems confirm-gone prometheus
    systems try prometheus {sample}.gone | waits list --limit 0 | accuracy judge {one} | people grant ada
    silences create nonsense --comment c | reviews write | sources --nonsense
"""
"""What cannot be meant: exit code 2, before the hub is asked to do anything."""


SAMPLE = Path(alertmanager.__file__).parent / "fixtures" / "accepted" / "firing_group__v4.json"


@dataclass(frozen=True, kw_only=True)
class Said:
    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Served:
    """A hub that serves, and the program on the machine it serves on; `names` stand in the tables."""

    run: Callable[..., Said]
    names: dict[str, str]

    def each(self, lines: str) -> Iterator[list[str]]:
        for line in lines.replace("\n", "|").split("|"):
            if line.strip():
                yield shlex.split(line.format_map(self.names))


@pytest.fixture(scope="module")
def hub(installation: Path) -> Iterator[HubProcess]:
    folder, data = installation / "blueprint", installation / "data"
    (installation / "token").write_text("json://127.0.0.1:9/")
    secret = f"{{secret: 'file:{installation / 'token'}'}}"
    (folder / "connections.yaml").write_text(
        "connections:\n"
        f"  prometheus: {{connector: alertmanager, config: {{token: {secret}}}}}\n"
        f"  paper: {{connector: apprise, config: {{url: {secret}}}}}\n"
    )
    (folder / "on_call.yaml").write_text(
        "on_call:\n"
        "  channels: {ops: {connection: paper, recipient: ops}}\n"
        "  rotas: {desk: {layers: [{name: week, participants: [admin]}]}}\n"
        "  ladders: {ladder: {steps: [{after: PT0S, notify: [{rota: desk}]}]}}\n"
    )
    applied = isthmus("apply", str(folder), "--json", data_dir=data)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = HubProcess(data, port)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def served(
    hub: HubProcess, installation: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Served:
    monkeypatch.setattr(cli, "app", get_command(cli.app))  # built once, not at each call

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["isthmus", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return Said(code=int(left.value.code or 0), out=said.out, err=said.err)

    monkeypatch.setenv("ISTHMUS_URL", hub.url)
    monkeypatch.setenv("ISTHMUS_TOKEN", local_operator(installation / "data"))
    ask = Hub().call
    one, two = (ask("POST", "/incidents", {"title": title}) for title in ("The shop is down", "No shop"))
    ask("POST", "/people", {"username": "ada", "password": "correct horse battery"})
    sample, rules = installation / "sample.json", installation / "rules.yaml"
    sample.write_bytes(SAMPLE.read_bytes())
    rules.write_text("rules:\n- name: one per site\n  match: {alertname: Down}\n  by: [site]\n")
    names = {
        "one": one["number"], "two": two["id"], "no": "'no such thing'", "sample": str(sample), "rules": str(rules),
        "soon": (dt.datetime.now(dt.UTC) + dt.timedelta(days=7)).isoformat(),
        "comment": ask("POST", f"/incidents/{one['id']}/comments", {"body": "Something else too"})["id"],
    }  # fmt: skip
    return Served(run=run, names=names)


def local_operator(data: Path) -> str:
    """Sign for the user of this machine, as the program itself does where it finds a hub in its data directory."""
    sign = (
        "from isthmus.cli import client; client.prepare_django(); from isthmus.identity import local; "
        f"print(local.issue({getpass.getuser()!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", sign],
        env={**os.environ, "ISTHMUS_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def sentences(said: Any) -> list[str]:
    """Return what an answer says went wrong: one sentence, or one for each of its items."""
    if isinstance(said, dict) and "items" not in said:
        return [said.get("detail") or said.get("error") or ""]
    items = said["items"] if isinstance(said, dict) else said
    return [each.get("detail") or each.get("preview", {}).get("refused", "") for each in items]


def test_every_command_is_in_a_table() -> None:
    known = set()
    for name, group in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        if name in GROUPS:
            known |= {f"{name} {verb}" for verb in group.commands} if hasattr(group, "commands") else {name}
    lines = [line for table in (ANSWERS, ACTS, UNKNOWN) for line in re.split(r"[|\n]", table) if line.strip()]
    called = {" ".join(line.split()[:2]) for line in lines} | {line.split()[0] for line in lines}
    assert known - called == set()


def test_every_command_against_a_served_hub(served: Served) -> None:
    wrong: list[str] = []

    def look(arguments: list[str], code: int) -> Said:
        said = served.run(*arguments)
        if said.code != code or "Traceback" in said.err:
            wrong.append(f"{shlex.join(arguments)}: {said}")
        return said

    for arguments in served.each(ANSWERS):
        look(arguments, 0)
    for arguments in [*served.each(ANSWERS), *served.each(ACTS)]:
        said = look([*arguments, "--json"], 0)
        if said.code == 0 and (said.err or not isinstance(json.loads(said.out), dict | list)):
            wrong.append(f"{shlex.join(arguments)}: {said}")
    for arguments in served.each(UNKNOWN):
        said = look([*arguments, "--json"], 1)
        try:
            told = sentences(json.loads(said.out))
        except ValueError:
            told = []
        if not told or not all(re.fullmatch(r"[^\n]{10,300}\.", each) for each in told):
            wrong.append(f"{shlex.join(arguments)}: {said}")
    for arguments in served.each(UNKNOWN_TO_PEOPLE):
        said = look(arguments, 1)
        if not re.search(r"\w+ \w+", said.err or said.out):
            wrong.append(f"{shlex.join(arguments)}: {said}")
    for arguments in served.each(USAGE):
        look(arguments, 2)
    assert not wrong, "\n\n".join(wrong)
