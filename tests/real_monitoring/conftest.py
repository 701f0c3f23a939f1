"""One served hub for the module, and the real systems that it is connected to, as far as they are installed here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.real_monitoring.bench import Bench
from tests.real_monitoring.dovecot import Dovecot
from tests.real_monitoring.icinga import Icinga
from tests.real_monitoring.nagios import Nagios
from tests.real_monitoring.prometheus import Prometheus
from tests.real_monitoring.systems import missing, running
from tests.stories.served import served

from isthmus.connectors.mail.simulator import MailSimulator


@pytest.fixture(scope="module")
def bench(_template: Path, _server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A hub that is served by processes of its own; systems are connected when a test asks for them."""
    directory = tmp_path_factory.mktemp("real") / "data"
    receivers = {
        name: {"connector": "alertmanager", "config": {"token": {"secret": f"env:STORY_{name.upper()}"}}}
        for name in ("prometheus", "icinga", "nagios", "dovecot")
    }
    with served(_template, _server, directory, receivers=receivers) as hub, ExitStack() as stack:
        yield Bench(hub=hub, stack=stack)


def _installed(system: str) -> None:
    if lacking := missing(system):
        pytest.skip(f"{', '.join(lacking)} not installed here: `make real-monitoring` installs what it may")


@pytest.fixture(scope="module")
def prometheus(bench: Bench) -> Prometheus:
    _installed("prometheus")
    system = Prometheus(
        hook=f"{bench.hub.hub.url}/ingest/alertmanager/prometheus", token=bench.hub.secrets["prometheus"]
    )
    bench.stack.enter_context(running(system))
    token = {"secret": "env:STORY_PROMETHEUS"}
    bench.connect(
        "prometheus",
        connector="alertmanager",
        config={"token": token, "url": system.url, "settled_minutes": 1},
    )
    return system


@pytest.fixture(scope="module")
def icinga(bench: Bench) -> Icinga:
    _installed("icinga2")
    hosts = tuple(f"ici-{number}.example.test" for number in range(1, 5))
    system = Icinga(hosts=hosts, password=bench.hub.secrets["icinga"])
    bench.stack.enter_context(running(system))
    config = {
        "url": system.url, "user": system.user, "password": {"secret": "env:STORY_ICINGA"}, "ca": system.ca,
        "tls_name": system.node, "labels": ["host.vars.team"],
    }  # fmt: skip
    bench.connect("icinga", connector="icinga2", config=config)
    return system


@pytest.fixture(scope="module")
def nagios(bench: Bench) -> Nagios:
    _installed("nagios4")
    hosts = tuple(f"nag-{number}.example.test" for number in range(1, 5))
    system = Nagios(
        hosts=hosts, hook=f"{bench.hub.hub.url}/ingest/nagios/nagios", secret=bench.hub.secrets["nagios"]
    )
    bench.stack.enter_context(running(system))
    secret = {"secret": "env:STORY_NAGIOS"}
    bench.connect("nagios", connector="nagios", config={"secret": secret, "url": system.url})
    return system


@pytest.fixture(scope="module")
def dovecot(bench: Bench) -> Dovecot:
    _installed("dovecot")
    if os.geteuid() != 0:
        pytest.skip("Dovecot switches accounts, which takes root")
    system = Dovecot(password=bench.hub.secrets["dovecot"])
    bench.stack.enter_context(running(system))
    config = MailSimulator().config("") | {
        "secret": None, "imap_host": "localhost", "imap_port": system.port, "imap_ca": system.ca, "imap_user": system.user,
        "imap_password": {"secret": "env:STORY_DOVECOT"}, "imap_after": "move", "imap_move_to": "Archive",
    }  # fmt: skip
    flow = {
        "owner": "Desk lead",
        "system_of_record": "hub",
        "connections": {"dovecot": {"direction": "in"}},
    }
    # The poll comes every two minutes: what is there sooner was heard.
    bench.connect(
        "dovecot", connector="mail", config=config, polling={"seconds_min": 120, "seconds_max": 120}
    )
    bench.hub.apply(sync={"incident": flow})
    return system
