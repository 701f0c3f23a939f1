"""Who is on duty: the rotas of the blueprint, the people in them and their overrides, joined.

Asked about many rotas at once, it costs the queries of one (and two more per organisation that has rotas).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from isthmus.identity.models import Person
from isthmus.kernel.errors import NotFound
from isthmus.kernel.instant import Instant
from isthmus.ledger import organisations, scope
from isthmus.ledger.models import Organisation
from isthmus.practices.on_call.blueprint import rota_of
from isthmus.practices.on_call.directory import people, section
from isthmus.practices.on_call.models import RotaOverride
from isthmus.practices.on_call.rules import rota as rules
from isthmus.practices.on_call.rules.rota import Duty, Override, Rota

OVERRIDES_MAX = 1_000
"""Latest overrides of one rota that are looked at."""


def homes() -> dict[str, str]:
    """Return rota → the organisation that it belongs to ("" if the blueprint names one that is not here)."""
    specs = section().rotas
    named = {each.organisation for each in specs.values()} - {""}
    found = {"": organisations.root()} if specs else {}
    if named:
        with scope.everywhere("the blueprint names organisations"):
            rows = Organisation.objects.filter(name__in=named, state="active").order_by("-id")
            found |= dict(rows.values_list("name", "id"))
    return {name: found.get(each.organisation, "") for name, each in specs.items()}


def home_of(rota: str) -> str:
    """Return the organisation that a rota belongs to."""
    return homes()[rota]


def on_duty(rota: str, at: Instant) -> Duty:
    """Return who of a rota is on duty at an instant."""
    known, overrides = _loaded([rota], at, Instant(at + 1))
    return rules.on_duty(known[rota], overrides[rota], at)


def duties(names: Collection[str], since: Instant, until: Instant) -> dict[str, list[Duty]]:
    """Return who of each rota is on duty over a stretch of time, gaps included."""
    known, overrides = _loaded(names, since, until)
    return {name: rules.duties(known[name], overrides[name], since, until) for name in names}


def _loaded(
    names: Collection[str], since: Instant, until: Instant
) -> tuple[dict[str, Rota], dict[str, list[Override]]]:
    """Return rotas whose participants are ids of people, and their overrides; `NotFound` if there is no such rota."""
    specs, whose = section().rotas, homes()
    for name in names:
        if name not in specs:
            raise NotFound(
                f"There is no rota {name!r}.", remedy="Rotas stand in the blueprint under on_call."
            )
    plain = {name: rota_of(name, specs[name]) for name in names}
    wanted: dict[str, set[str]] = {}
    for name, each in plain.items():
        wanted.setdefault(whose[name], set()).update(
            who for layer in each.layers for who in layer.participants
        )
    here = {home: people(some, home) if home else {} for home, some in wanted.items()}
    found = {name: _with_ids(each, here[whose[name]]) for name, each in plain.items()}
    return found, _overrides({name: whose[name] for name in names}, since, until)


def _with_ids(plain: Rota, known: Mapping[str, Person]) -> Rota:
    # One who has left keeps the turn: their place shows as a gap instead of moving everybody else's weeks.
    return Rota(
        name=plain.name,
        layers=tuple(
            replace(
                layer,
                participants=tuple(known[each].id if each in known else "" for each in layer.participants),
            )
            for layer in plain.layers
        ),
    )


def _overrides(whose: Mapping[str, str], since: Instant, until: Instant) -> dict[str, list[Override]]:
    """Return the active overrides of rotas that touch a stretch of time, the oldest first."""
    with scope.everywhere("an override belongs to its rota"):
        rows = RotaOverride.objects.filter(
            rota__in=whose, state="active", starts_at__lt=until, ends_at__gt=since
        ).order_by("-id")[: OVERRIDES_MAX * len(whose)]
        found: dict[str, list[Override]] = {name: [] for name in whose}
        for each in reversed(rows):
            if each.organisation == whose[each.rota]:
                found[each.rota].append(_override(each))
    return found


def _override(row: RotaOverride) -> Override:
    return Override(
        id=row.id, person=row.person, replaces=row.replaces, starts_at=Instant(row.starts_at or 0), ends_at=Instant(row.ends_at or 0)
    )  # fmt: skip
