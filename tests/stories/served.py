"""A hub as its users meet it: `isthmus serve` in processes of its own, partners that remember every call.

Stories judge effects in the partners (`desks`, `calls`), never in what the hub says about itself. Names and
numbers are drawn per run from `random`; the seed is printed, and `ISTHMUS_STORY_SEED` replays it. The hub runs on
the world's clock, or (`forwarded`) on one that the story moves ahead.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from tests.stories.clock import PROGRAM, Clock

from isthmus.cli.demo.hub_process import PROGRAM as COMMAND_LINE
from isthmus.cli.demo.hub_process import HubProcess
from isthmus.cli.demo.partners import Partners
from isthmus.cli.demo.people import Person, Reply
from isthmus.cli.demo.tickets import Desks
from isthmus.connectors.kit.simulator import Call
from isthmus.kernel.instant import to_datetime

T = TypeVar("T")
STORE = os.environ.get("ISTHMUS_TEST_STORE", "sqlite")
ROLES = {
    "ada": ("agent", "change_manager", "integration_engineer", "auditor"),
    "grace": ("approver",),
    "vera": ("viewer",),
}
TOKENS = {"pipeline": ["gate:check"], "caller": ["incident:read", "incident:write"]}
CONNECTORS = {
    "snow": "servicenow", "jira": "jira", "tracker": "roundup", "desk": "mail", "slack": "slack", "teams": "teams",
    "mail": "smtp",
}  # fmt: skip
AWAY_SECONDS = 20
"""Longer than the leases and claims of a process that was killed."""
PATIENCE_SECONDS = 90.0
"""After a death: claims that run out, the wait for a late request, and a partner that fails in between, on a slow host."""
LOG_SHOWN = 4_000
"""So many characters of the hub's log stand beside a failure."""
REQUEST_SECONDS = 5
"""How long a partner may take: after an unknown outcome the hub waits as long before it looks."""
SYLLABLES = ("ka", "lo", "mir", "ten", "su", "vor", "pel", "ani", "dro", "qui", "zet", "hul", "fey", "bra")


@dataclass
class Served:
    """A running hub with its partners and people. `sections`: the blueprint in force."""

    hub: HubProcess
    partners: Partners
    random: random.Random
    organisation: str
    tokens: dict[str, str]
    people: dict[str, Person]
    person_ids: dict[str, str]
    secrets: dict[str, str]
    clock: Clock
    sections: dict[str, Any] = field(default_factory=dict)

    @property
    def ada(self) -> Person:
        return self.people["ada"]

    @property
    def grace(self) -> Person:
        return self.people["grace"]

    @property
    def desks(self) -> Desks:
        return Desks(self.partners)

    # Words ---------------------------------------------------------------------------------------------

    def word(self, syllables: int = 3) -> str:
        """Return a made-up name that nothing else in the run has."""
        return "".join(self.random.choice(SYLLABLES) for _ in range(syllables)) + str(
            self.random.randrange(1000, 9999)
        )

    def title(self) -> str:
        return f"{self.word().capitalize()} answers {self.random.randrange(400, 600)} to {self.word()}"

    # Configuration -------------------------------------------------------------------------------------

    def apply(self, **sections: Any) -> None:
        """Change whole sections and put the blueprint in force (None takes a section away)."""
        reply = self.applied(**sections)
        assert reply.status == 200, reply.body
        # Every process takes a new generation up within two seconds.
        time.sleep(2.2)

    def applied(self, **sections: Any) -> Reply:
        """Try to apply; return the answer, and remember the sections if they were taken."""
        wanted = {**copy.deepcopy(self.sections), **sections}
        wanted = {name: section for name, section in wanted.items() if section is not None}
        reply = self.ada.call("POST", "/blueprint/apply", {"sections": wanted})
        if reply.status == 200:
            self.sections = wanted
        return reply

    # Doors ---------------------------------------------------------------------------------------------

    def ingest(
        self, path: str, body: bytes | Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a message to `/ingest<path>`; the answer, whatever it is."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.http("POST", f"/ingest{path}", raw, headers)

    def http(
        self, method: str, path: str, raw: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Make a bare request, without a session."""
        request = urllib.request.Request(
            f"{self.hub.url}{path}",
            data=raw,
            method=method,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Reply(status=answer.status, body=_decoded(answer.read()))
        except urllib.error.HTTPError as refusal:
            return Reply(status=refusal.code, body=_decoded(refusal.read()))
        except (urllib.error.URLError, ConnectionError) as cut:
            return Reply(status=0, body=str(cut))

    def bearer(self, name: str) -> dict[str, str]:
        """Return the header of a receive-only connection's token or of a service account."""
        return {"Authorization": f"Bearer {self.secrets.get(name) or self.tokens[name]}"}

    def cli(self, *words: str, url: str = "", token: str = "pipeline") -> subprocess.CompletedProcess[str]:
        """Run `isthmus …` as a pipeline would: with a URL and a token, knowing nothing of the data directory."""
        environment = {**os.environ, "ISTHMUS_URL": url or self.hub.url, "ISTHMUS_TOKEN": self.tokens[token]}
        command = [sys.executable, "-m", "isthmus.cli.main", *words]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def operator(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `isthmus …` on the hub's own machine, as the local operator."""
        command = [sys.executable, "-m", "isthmus.cli.main", *words]
        environment = {
            name: value for name, value in os.environ.items() if name not in {"ISTHMUS_URL", "ISTHMUS_TOKEN"}
        }
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    # Waiting -------------------------------------------------------------------------------------------

    def until(
        self,
        what: str,
        read: Callable[[], T],
        *,
        seconds: float = PATIENCE_SECONDS,
        instead: Callable[[], Any] = str,
    ) -> T:
        """Return the first truthy result of `read`; fail with `what`, and what is there instead, after a while."""
        deadline = time.monotonic() + seconds
        while True:
            found = read()
            if found:
                return found
            if time.monotonic() > deadline:
                print(self.hub.log.read_text(errors="replace")[-LOG_SHOWN:])
                raise AssertionError(f"Waited {seconds:g} s in vain for {what}. {instead()}")
            time.sleep(0.1)

    def quiet(self, *, seconds: float = 1.5, most: float = PATIENCE_SECONDS) -> None:
        """Wait until no partner was called to write for a while: what had to travel has travelled."""
        deadline = time.monotonic() + most
        seen, since = self._writes(), time.monotonic()
        while time.monotonic() - since < seconds:
            assert time.monotonic() < deadline, "The partners are written to without end."
            time.sleep(0.1)
            now = self._writes()
            if now != seen:
                seen, since = now, time.monotonic()

    def silent(self, connection: str, *, seconds: float = 2.0, most: float = PATIENCE_SECONDS) -> None:
        """Wait until a partner was not called at all for a while."""
        deadline = time.monotonic() + most
        while (last := max((each.at for each in self.calls(connection)), default=0)) > time.time() - seconds:
            assert time.monotonic() < deadline, f"{connection} is called without end, last at {last}."
            time.sleep(0.2)

    def _writes(self) -> int:
        return sum(len(each.inside.writes()) for each in self.partners.all.values())

    # Partners ------------------------------------------------------------------------------------------

    def calls(self, connection: str, *, writes: bool = False) -> list[Call]:
        """Return the calls that a partner received, oldest first."""
        inside = self.partners.all[connection].inside
        return self.partners.inside(lambda: list(inside.writes() if writes else inside.calls))

    def messages(self, connection: str, about: str) -> list[dict[str, Any]]:
        """Return what a messenger carried to people and names `about`, oldest first."""
        inside = self.partners.all[connection].inside
        return [
            each for each in self.partners.inside(inside.messages) if about in json.dumps(each, default=str)
        ]

    def fault(self, connection: str, fault: Any, **how: Any) -> Any:
        """Plan a fault of a partner; return the plan."""
        inside = self.partners.all[connection].inside
        return self.partners.inside(lambda: inside.faults.plan(fault, **how))

    def healed(self, connection: str) -> None:
        """Let a partner behave."""
        self.partners.inside(self.partners.all[connection].inside.faults.clear)

    def raised(self, **values: Any) -> dict[str, Any]:
        """Open an incident at the hub, as an agent does."""
        found: dict[str, Any] = self.ada.post(
            "/incidents", {"title": self.title(), "impact": "3", "urgency": "2", **values}
        )
        return found

    def entries(self, record: str) -> list[dict[str, Any]]:
        """Return what the book holds about a record, oldest first."""
        return self.ada.all("/journal", record=record)[::-1]

    def keys(self, incident: str) -> dict[str, str]:
        """Return connection → key of the tickets that an incident has; only those that exist."""
        links = self.ada.get(f"/incidents/{incident}/links")["items"]
        return {each["connection"]: each["external_key"] for each in links if each["external_key"]}

    def ticketed(
        self, incident: str, connections: Iterable[str], *, seconds: float = PATIENCE_SECONDS
    ) -> dict[str, str]:
        """Wait until an incident has its tickets; return connection → key."""
        wanted = set(connections)
        self.until(
            f"tickets in {', '.join(sorted(wanted))}",
            lambda: wanted <= set(self.keys(incident)),
            seconds=seconds,
        )
        return self.keys(incident)

    def killed(self, *, within_seconds: float = 0.0, away_seconds: float = AWAY_SECONDS) -> None:
        """`kill -9` every process of the hub at once, at a random instant, and start it again after a while."""
        time.sleep(self.random.uniform(0, within_seconds))
        self.hub.kill()
        self.clock.forward(seconds=away_seconds)
        self.hub.start()

    def fresh(self) -> None:
        """Sign everybody in again: after a restart of the hub their connections are gone."""
        for name in self.people:
            self.people[name] = Person(self.hub.url, name, self.secrets[name])


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw or b"null")
    except json.JSONDecodeError:
        return raw.decode(errors="replace")[:500]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started inside, and put them back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def served(
    template: Path,
    server: Any,
    directory: Path,
    *,
    systems: Iterable[str] = (),
    receivers: Mapping[str, Mapping[str, Any]] | None = None,
    polling: Mapping[str, Any] | None = None,
    sections: Mapping[str, Any] | None = None,
    forwarded: bool = False,
) -> Iterator[Served]:
    """Run a hub in `directory` with these partners, and end both afterwards.

    `receivers`: receive-only connections by name; `{token}` in their configuration is their own secret. `forwarded`:
    the hub's clock may be moved ahead.
    """
    seed = int(os.environ.get("ISTHMUS_STORY_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed} (ISTHMUS_STORY_SEED={seed} replays it)")
    chance = random.Random(seed)
    shutil.copytree(template, directory)
    partners = Partners()
    for name in systems:
        partners.start(CONNECTORS[name], name)
    secrets = {name: uuid4().hex for name in (*ROLES, *(receivers or {}))}
    variables = {
        "ISTHMUS_DATA_DIR": str(directory),
        "ISTHMUS_ALLOW_PRIVATE_ADDRESSES": "true",
        **{f"STORY_{name.upper()}": secret for name, secret in secrets.items()},
        **partners.environment(),
        **_database(server),
    }
    clock = Clock(directory.with_name("clock"))
    variables |= clock.environment()
    hub = HubProcess(directory, free_port(), program=PROGRAM if forwarded else COMMAND_LINE)
    with environment(variables):
        try:
            made = _installed(secrets, chance)
            hub.start()
            partners.announce_to(hub.url)
            _read_the_clock(partners, clock)
            story = Served(
                hub=hub,
                partners=partners,
                random=chance,
                organisation=made["organisation"],
                tokens=made["tokens"],
                person_ids=made["people"],
                people={name: Person(hub.url, name, secrets[name]) for name in ROLES},
                secrets=secrets,
                clock=clock,
            )
            terms = {
                "polling": dict(polling or {"seconds_min": 2, "seconds_max": 4}),
                # Stories make more calls a minute than anybody's day: the default allowance would hold them up.
                "limits": {"request_seconds_max": REQUEST_SECONDS, "requests_per_minute": 6_000},
            }
            connections = {name: {**each, **terms} for name, each in partners.connections().items()}
            connections |= {
                name: {**each, "polling": {"enabled": False}} for name, each in (receivers or {}).items()
            }
            # A group that all partners know; without one, its field is parked at ServiceNow.
            first = {"incident": {"default_group": "Service desk"}, **(sections or {})}
            story.apply(connections=connections, **first)
            yield story
        except BaseException:
            print(hub.log.read_text(errors="replace")[-LOG_SHOWN:] if hub.log.exists() else "no log")
            raise
        finally:
            hub.stop()
            partners.stop()
            if kept := os.environ.get("ISTHMUS_STORY_LOG"):
                shutil.copy(hub.log, kept)


def _read_the_clock(partners: Partners, clock: Clock) -> None:
    """Have ticket systems write the story's time down: what people do there lies where the hub's time is."""
    for each in partners.all.values():
        for part, name in (("instance", "clock"), ("project", "_clock")):
            held = getattr(each.inside, part, None)
            if hasattr(held, name):
                setattr(held, name, lambda: to_datetime(clock.now()))


def _installed(secrets: Mapping[str, str], chance: random.Random) -> dict[str, Any]:
    asked = {
        "organisation": f"Organisation {chance.randrange(10**6)}",
        "people": {name: [secrets[name], list(roles)] for name, roles in ROLES.items()},
        "tokens": TOKENS,
    }
    command = [sys.executable, str(Path(__file__).with_name("installing.py"))]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _database(server: Any) -> dict[str, str]:
    """Make a database of the story's own on the scaled store; nothing on the embedded one."""
    if STORE != "postgres":
        return {}
    name = f"story_{uuid4().hex[:12]}"
    server.psql(f"CREATE DATABASE {name} TEMPLATE template_book;")
    return {"ISTHMUS_DATABASE_URL": server.get_uri(database=name)}
