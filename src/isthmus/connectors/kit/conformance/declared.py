"""Declared ⇔ implemented, both ways; importing and constructing perform no I/O; the papers are in order."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from isthmus.connectors.kit.alerting import Acknowledger, Annotator, Notifier, Resolver, Silencer
from isthmus.connectors.kit.attachments import AttachmentSystem
from isthmus.connectors.kit.conformance.world import World
from isthmus.connectors.kit.ports import Client, Poller, Source, Streamer, TicketSystem
from isthmus.connectors.kit.revisions import CommentRevision
from isthmus.kernel.kinds import KINDS

_PUSHED, _ASKED = ("webhook", "import"), ("read", "stream")
_EFFECTS: dict[str, type[Any]] = {
    "acknowledge": Acknowledger,
    "silence": Silencer,
    "annotate": Annotator,
    "resolve": Resolver,
    "notify": Notifier,
}
"""Verb → the port of `kit.alerting` that the client has if, and only if, the manifest declares the verb."""
_WRITTEN = ("write", "comment", "revise", "attach", "tell", *_EFFECTS)


class Declared:
    """Row 1 of the contract."""

    world: World

    def test_every_declared_capability_is_implemented(self) -> None:
        world, connector = self.world, self.world.connector
        can = world.manifest.can
        if any(map(can, _PUSHED)) and not isinstance(connector.source, Source):
            world.fail("declares webhook or import", "give CONNECTOR a source that implements ports.Source")
        if any(map(can, (*_ASKED, *_WRITTEN))) and connector.open is None:
            world.fail("declares read, write or tell", "give CONNECTOR an open=… that builds the client")
        if can("gate") and connector.gate is None:
            world.fail("declares gate", "give CONNECTOR a gate=… that builds it")
        for kind in world.kinds("write"):
            world.mapping(kind)

    def test_everything_implemented_is_declared(self) -> None:
        world, connector = self.world, self.world.connector
        can = world.manifest.can
        if connector.source is not None and not any(map(can, _PUSHED)):
            world.fail("has a source", "declare <kind>:webhook or <kind>:import in manifest.toml")
        if connector.open is not None and not any(map(can, (*_ASKED, *_WRITTEN))):
            world.fail("has a client", "declare <kind>:read, :write or :tell in manifest.toml")
        if connector.gate is not None and not can("gate"):
            world.fail("has a gate", "declare change:gate in manifest.toml")
        for kind in connector.mappings:
            if not can("write", kind) and not can("read", kind) and not can("webhook", kind):
                world.fail(f"maps {kind}", f"declare {kind}:read, {kind}:write or {kind}:webhook")

    def test_kinds_are_record_kinds_of_the_hub(self) -> None:
        for each in self.world.manifest.able():
            if each.kind not in KINDS:
                self.world.fail(f"declares {each}", f"use one of {', '.join(KINDS)}")

    def test_constructing_a_client_performs_no_io(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world.needs("read", "write", *_EFFECTS)
        context = self.world.context(self.world.simulator())

        def refuse(*_: Any, **__: Any) -> Any:
            pytest.fail("The constructor opened a socket: move I/O to the first awaited call.")

        monkeypatch.setattr(socket, "socket", refuse)
        assert self.world.connector.open is not None
        client = self.world.connector.open(context)
        assert isinstance(client, Client), "a client can be probed and closed"
        assert isinstance(client, Poller) is self.world.manifest.can("read"), (
            "a client is asked what changed if and only if <kind>:read is declared"
        )
        assert isinstance(client, TicketSystem) or not self.world.manifest.can("write"), (
            "a client whose manifest declares <kind>:write is a ports.TicketSystem"
        )
        assert isinstance(client, AttachmentSystem) is self.world.manifest.can("attach"), (
            "a client holds files if and only if <kind>:attach is declared"
        )
        assert isinstance(client, CommentRevision) is self.world.manifest.can("revise"), (
            "a client revises comments if and only if <kind>:revise is declared"
        )
        assert isinstance(client, Streamer) is self.world.manifest.can("stream"), (
            "a client streams if and only if <kind>:stream is declared"
        )
        for verb, port in _EFFECTS.items():
            assert isinstance(client, port) is self.world.manifest.can(verb), (
                f"a client has kit.alerting.{port.__name__} if and only if <kind>:{verb} is declared"
            )

    def test_importing_the_connector_performs_no_io_and_pulls_in_nothing_of_the_hub(self) -> None:
        code = (
            "import socket, sys, pathlib\n"
            "def refuse(*a, **k): raise SystemExit('importing the connector opens a socket')\n"
            "socket.socket.connect = refuse\n"
            "from isthmus.connectors.kit import registry\n"
            "registry.at(pathlib.Path(sys.argv[1])).connector\n"
            "wrong = [m for m in sys.modules if m.split('.')[:2] in "
            "(['isthmus','hub'],['isthmus','ledger'],['isthmus','practices'],['isthmus','web'])"
            " or m == 'django']\n"
            "sys.exit(f'importing the connector pulls in {wrong[:3]}' if wrong else 0)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(self.world.folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr.strip()[-600:]

    def test_papers_are_in_order(self) -> None:
        world = self.world
        for name in ("doc.md", "fixtures/SOURCES.md"):
            if not (world.folder / name).exists():
                world.fail(f"has no {name}", "write it: the generator's template shows what it holds")
        sources = (world.folder / "fixtures" / "SOURCES.md").read_text(encoding="utf-8")
        for fixture in (*world.accepted(), *(each for each, _ in world.refused())):
            if fixture.name not in sources:
                world.fail(
                    f"does not say where {fixture.name} comes from", "add a line to fixtures/SOURCES.md"
                )

    def test_documentation_names_every_permission(self) -> None:
        text = (self.world.folder / "doc.md").read_text(encoding="utf-8")
        for scope in self.world.manifest.scopes:
            if scope.name not in text:
                self.world.fail(f"needs {scope.name}", "explain it in doc.md")
