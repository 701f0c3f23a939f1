"""A real installation to measure on: 20 CEL rules, a map of 10,000 items, and (if asked) simulated partners.

Everything is made through the product's own doors: `installation.create`, `blueprint.service.apply`,
`configuration.import_rows`. Settings are read when Django is imported, so a process has one world.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CONNECTION = "prometheus"
TOKEN_VARIABLE = "BENCH_ALERTMANAGER_TOKEN"
PASSWORD = "bench-passw0rd-long"
RULES = 20
_IMPORT_ROWS = 2_000


@dataclass(frozen=True, kw_only=True)
class World:
    """An installation on disk. `token` is what the alert source sends."""

    directory: Path
    organisation: str
    token: str
    partners: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}


def make(
    directory: Path,
    *,
    cis: int = 10_000,
    connections: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    routes: Iterable[str] = (),
    lanes_per_second: float = 0.0,
) -> World:
    """Make the installation in an empty directory; it takes a few seconds, most of it the map."""
    directory.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(24)
    os.environ |= {
        "ISTHMUS_DATA_DIR": str(directory),
        "ISTHMUS_ALLOW_PRIVATE_ADDRESSES": "true",
        "ISTHMUS_LOG_LEVEL": "WARNING",
        TOKEN_VARIABLE: token,
        **(environment or {}),
    }
    from isthmus.cli.client import prepare_django

    prepare_django()
    from isthmus.web import installation

    made = installation.create(organisation_name="Bench", administrator="admin", password=PASSWORD)
    roles = ("agent", "integration_engineer", "auditor")
    installation.add_user(made.organisation, "ada", PASSWORD, roles, name="Ada")
    _apply(directory, blueprint(connections or {}, list(routes), lanes_per_second))
    _import_map(made.organisation, cis)
    _settle()
    return World(directory=directory, organisation=made.organisation, token=token)


def blueprint(connections: Mapping[str, Any], routes: list[str], lanes_per_second: float) -> dict[str, Any]:
    """Return the configuration: the alert source, the partners, and the rules."""
    limits = {"limits": {"requests_per_second": lanes_per_second, "burst": int(lanes_per_second)}}
    found: dict[str, Any] = {
        "connections": {
            CONNECTION: {
                "connector": "alertmanager",
                "config": {"token": {"secret": f"env:{TOKEN_VARIABLE}"}},
                "polling": {"enabled": False},
            },
            **{name: {**each, **(limits if lanes_per_second else {})} for name, each in connections.items()},
        },
        # The wait for causes moves work to a timer without changing its amount: here alerts are decided at once.
        "monitoring": {"correlation": {"rules": _rules()}, "times": {"wait": "PT0S"}},
        "incident": {"default_group": "Service desk"},
    }
    if routes:
        found["sync"] = {
            "incident": {
                "owner": "Service desk",
                "system_of_record": "hub",
                "connections": {name: {} for name in routes},
                "fields": [
                    {
                        "id": "incident.title",
                        "field": "title",
                        "policy": "ranked",
                        "ranking": [*routes, "hub"],
                        "owner": "Service desk",
                    }
                ],
            }
        }
        found["routes"] = [{"id": "everywhere", "kind": "incident", "to": routes}]
    return found


def _rules() -> list[dict[str, Any]]:
    """20 rules: 12 begin with an alert's name, 7 must be evaluated for every alert, the last one groups."""
    found: list[dict[str, Any]] = [
        {
            "name": f"named-{number}",
            "when": f"labels.alertname == 'Known{number}' && severity == 'critical' && labels.job.startsWith('node')",
            "by": ["cluster"],
        }
        for number in range(12)
    ]
    found += [
        {
            "name": f"general-{number}",
            "when": f"ci_class == 'database' && summary.contains('shard {number}') && 'mountpoint' in labels",
            "by": ["cluster"],
        }
        for number in range(RULES - 12 - 1)
    ]
    found.append({"name": "outage", "when": "'outage' in labels && severity != 'critical'", "by": ["outage"]})
    return found


def _apply(directory: Path, plain: Mapping[str, Any]) -> None:
    from isthmus.blueprint import service, source
    from isthmus.kernel.actor import Origin, system
    from isthmus.ledger import scope
    from isthmus.ledger.door import perform

    folder = directory / "blueprint"
    folder.mkdir()
    with (folder / "bench.yaml").open("w") as target:
        YAML().dump(dict(plain), target)
    with scope.everywhere("the benchmark sets itself up"):
        perform(
            lambda work: service.apply(work, source.read_directory(folder)),
            actor=system("bench"),
            origin=Origin(channel="cli", synthetic=True),
        )


def _import_map(organisation: str, cis: int) -> None:
    """10,000 hosts under 40 racks, used by 400 applications of 40 services."""
    from isthmus.kernel.actor import Origin, system
    from isthmus.ledger import scope
    from isthmus.ledger.door import perform
    from isthmus.practices.configuration import service as configuration

    rows = list(_map_rows(cis))
    with scope.everywhere("the benchmark sets itself up"):
        for start in range(0, len(rows), _IMPORT_ROWS):
            part = rows[start : start + _IMPORT_ROWS]
            report = perform(
                lambda work, part=part: configuration.import_rows(  # type: ignore[misc]
                    work, part, organisation=organisation, source="bench"
                ),
                actor=system("bench"),
                origin=Origin(channel="cli", synthetic=True),
            )
            if report.accepted != len(part):
                raise RuntimeError(f"The map was not accepted: {report.results[0]}")


def _settle() -> None:
    """Seal and index what was just imported, and notice the blueprint: a hub that has run for a minute has done so."""
    from isthmus import blueprint
    from isthmus.hub.serve.process import holder
    from isthmus.ledger import upkeep
    from isthmus.ledger.ids import source

    blueprint.current(fresh=True)
    # Under the name of the hub: it would wait a quarter of a minute for a stranger's lease, and seal nothing.
    while (kept := upkeep.tick(source.now(), holder=holder())).sealed or kept.indexed:
        pass


def _map_rows(cis: int) -> Iterable[dict[str, Any]]:
    hosts, racks, applications, services = cis - 480, 40, 400, 40
    names = [(f"service-{n:02d}", "service") for n in range(services)]
    names += [(f"app-{n:03d}", "application") for n in range(applications)]
    names += [(f"rack-{n:02d}", "network_device") for n in range(racks)]
    names += [(f"host-{n:05d}", "server") for n in range(hosts)]
    for number, (name, ci_class) in enumerate(names):
        row: dict[str, Any] = {
            "kind": "ci",
            "external_key": f"CI-{number:05d}",
            "name": name,
            "ci_class": ci_class,
        }
        yield row | {"environment": "production", "criticality": "silver", "users": number % 500}
    for n in range(applications):
        yield _tie(f"service-{n % services:02d}", f"app-{n:03d}")
    for n in range(hosts):
        yield _tie(f"app-{n % applications:03d}", f"host-{n:05d}")
        yield _tie(f"host-{n:05d}", f"rack-{n % racks:02d}")


def _tie(source: str, target: str) -> dict[str, Any]:
    return {"kind": "ci_relation", "source_ci": source, "type": "depends_on", "target_ci": target}
