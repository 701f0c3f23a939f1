"""Open alerts in memory, so that a repeat costs a look-up and not the loading of a record.

What is held is checked against the store in every Work: the batch reads (identity, id, version) of its own
identities, and an instance whose version moved is loaded again. An instance is taken out of memory while a
Work uses it and returns only once that Work is durable, so a Work that failed leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from isthmus.ledger import rows
from isthmus.ledger.work import Work
from isthmus.practices.monitoring.models import Alert

HELD_MAX: Final = 200_000

_held: dict[tuple[str, str], Alert] = {}


def load(work: Work, organisation: str, identities: Iterable[str]) -> dict[str, Alert]:
    """Return the open alerts with these identities, those that this Work has made included."""
    wanted = set(identities)
    found = _pending(work, organisation, wanted)
    missing: list[str] = []
    known = rows.tuples(
        Alert, ("identity", "id", "version"), "identity", list(wanted - found.keys()), organisation=organisation, open=True
    )  # fmt: skip
    for identity, record_id, version in known:
        held = _held.pop((organisation, identity), None)
        if held is not None and held.id == record_id and held.version == version:
            found[identity] = held
        else:
            missing.append(record_id)
    found.update({each.identity: each for each in rows.instances(Alert, "id", missing)})
    if found:
        keep = list(found.values())
        work.after_commit(lambda: _keep(keep))
    return found


def keep(work: Work, alerts: Iterable[Alert]) -> None:
    """Hold new alerts once the Work that made them is durable."""
    made = list(alerts)
    if made:
        work.after_commit(lambda: _keep(made))


def forget() -> None:
    """Drop what is held: between tests, and after a restore."""
    _held.clear()


def _pending(work: Work, organisation: str, wanted: set[str]) -> dict[str, Alert]:
    return {
        each.record.identity: each.record
        for each in work.pending.values()
        if isinstance(each.record, Alert)
        and each.record.identity in wanted
        and each.record.organisation == organisation
        and each.record.open
    }


def _keep(alerts: list[Alert]) -> None:
    if len(_held) + len(alerts) > HELD_MAX:
        _held.clear()
    for each in alerts:
        if each.open:
            _held[(each.organisation, each.identity)] = each
