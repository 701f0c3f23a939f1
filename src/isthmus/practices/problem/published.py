"""The published known errors in memory: what every new incident is compared with, without a query per incident.

Held per organisation and read again when its counter moves; one look at that counter is all that a hub without
known errors pays. Workarounds and titles stay sealed in the store: a condition needs neither.
"""

from __future__ import annotations

import structlog

from isthmus.kernel.errors import Rejected
from isthmus.ledger import scope
from isthmus.ledger.held import Held
from isthmus.ledger.work import Work
from isthmus.practices.problem.models import KnownError, KnownErrorRevision
from isthmus.practices.problem.rules import matching
from isthmus.practices.problem.rules.matching import Criteria, Published

PUBLISHED_MAX = 5_000
"""Most published known errors of one organisation that are compared, the newest; more is refused at publishing."""
OPEN_ENDED_MAX = 100
"""Most published known errors of one organisation that are asked about every incident, because they name no item,
class or service and require no label: measured, 25 µs each for a pattern on the title."""
_COLUMNS = ("id", "number", "version", "cis", "classes", "services", "condition")

_log = structlog.get_logger(__name__)
_held: Held[Published] = Held()
_NONE = Published(())


def current(organisation: str) -> Published:
    """Return the published known errors of one organisation."""
    rows = KnownErrorRevision.objects.filter(organisation=organisation)
    revision = rows.values_list("revision", flat=True).first()
    if revision is None:
        return _NONE
    return _held.as_of(revision, organisation, lambda: _read(organisation))


def _read(organisation: str) -> Published:
    with scope.within([organisation]):
        rows = KnownError.objects.filter(organisation=organisation, state="published").order_by("-id")
        columns = list(rows.values_list(*_COLUMNS)[:PUBLISHED_MAX])
    return Published(criteria_of(*row) for row in columns)


def criteria_of(
    record: str, number: str, version: int, cis: object, classes: object, services: object, condition: str
) -> Criteria:
    """Return what a known error names, compiled. Its condition passed when it was saved; one that a later engine
    refuses fits nothing, and the log says so."""
    try:
        program = matching.condition(condition)
    except Rejected as refusal:
        _log.warning("known_error_condition_refused", number=number, cause=refusal.text)
        return Criteria(id=record, number=number, version=version)
    return Criteria(
        id=record,
        number=number,
        version=version,
        cis=_names(cis),
        classes=_names(classes),
        services=_names(services),
        condition=program,
    )


def _names(held: object) -> frozenset[str]:
    return frozenset(held) if isinstance(held, list | tuple) else frozenset()


def count_on(work: Work) -> None:
    """Before a flush: count the known errors of an organisation on whose known errors this Work touches."""
    touched = {each.organisation for each in work.created_or_changed() if isinstance(each, KnownError)}
    for organisation in sorted(touched):
        work.bump(KnownErrorRevision, {"organisation": organisation}, {"revision": 1})


def forget() -> None:
    """Drop what is held: between tests."""
    _held.forget()
