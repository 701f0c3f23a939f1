"""Importing items and relations row by row: a bad row is reported and stops nobody else.

Items come before relations whatever the order of the rows. A relation to an unknown item is parked as a
pending reference with a gap in sight; it is imported when that item arrives. Importing the same rows again
changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.kernel.chain import encode
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.graph import Edge, first_closing_edge
from isthmus.kernel.kinds.configuration import CI
from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.configuration import rules
from isthmus.practices.configuration.binding import normal
from isthmus.practices.configuration.desk import Desk, ImportReport
from isthmus.practices.configuration.gaps import names_of
from isthmus.practices.configuration.models import Ci, MapRevision, PendingReference, Relation

ROWS_MAX = 5_000
"""Rows of one transaction; doors cut longer imports into several."""

_AT_ONCE = 900
_RELATION_KEYS = frozenset({"kind", "type", "source_ci", "target_ci", "source", "state"})


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """A relation whose ends are known and whose pair is allowed; its cycle is not judged yet."""

    index: int
    edge: Edge
    source: str


def import_rows(
    work: Work, rows: Sequence[Mapping[str, Any]], *, organisation: str, source: str
) -> ImportReport:
    """Take rows into the map of `organisation` and return what became of each.

    A row of kind `ci` (the default where `source_ci` is absent) carries fields of an item and is matched by
    `id`, `external_key`, or name and class; given fields replace, others stay. A row of kind `ci_relation`
    carries `source_ci`, `target_ci` (id, key, name or alias) and `type`. `source` names who says so.
    """
    if len(rows) > ROWS_MAX:
        raise Rejected(
            f"More than {ROWS_MAX} rows at once.",
            remedy="Cut the import into parts; it resumes where it stopped.",
        )
    desk = Desk(work, organisation, source)
    desk.load(rows)
    ties: list[tuple[int, Mapping[str, Any]]] = []
    for index, row in enumerate(rows):
        if row.get("kind") == "ci_relation" or "source_ci" in row:
            ties.append((index, row))
        else:
            _take_ci(desk, index, row)
    desk.gaps.close(desk.records[each] for each in desk.cis)
    waiting = _pending_of(desk)
    taken = [tie for index, row in ties if (tie := _take_relation(desk, index, row)) is not None]
    for pending in waiting:
        work.remove(PendingReference, {"organisation": organisation, "fingerprint": pending.fingerprint})
    revived = [
        tie
        for pending in waiting
        if (tie := _take_relation(desk, -1, pending.row, pending.source)) is not None
    ]
    _write_relations(desk, [*taken, *revived])
    desk.report.resolved = [
        each.record for each in desk.report.results if each.index < 0 and each.what == "accepted"
    ]
    desk.report.results = sorted(
        (each for each in desk.report.results if each.index >= 0), key=lambda each: each.index
    )
    if desk.touched:
        touch(work, organisation)
    return desk.report


def touch(work: Work, organisation: str) -> None:
    """Count one write to the map, so that every process reads it again."""
    work.bump(MapRevision, {"organisation": organisation}, {"revision": 1})


def _take_ci(desk: Desk, index: int, row: Mapping[str, Any]) -> None:
    given = {key: value for key, value in row.items() if key not in {"kind", "id"}}
    known = desk.match(row)
    record = desk.records.get(known) if known else None
    if record is not None and not given.get("ci_class"):
        # The class is needed to read attributes; an update may leave it out.
        given["ci_class"] = record.ci_class
    values, problems = rules.tame_ci(given, desk.map.schema)
    values["source"] = values.get("source") or desk.source
    values["state"] = values.get("state") or "live"
    before = {name: getattr(record, name) for name in CI.by_name} if record is not None else {}
    problems = problems or rules.check_ci({**before, **values}, desk.map.schema)
    if problems:
        desk.say(index, "rejected", problems=problems)
        return
    why = [Reason(rule="configuration.import", text=f"{desk.source or 'An import'} states this item.")]
    if record is None:
        record = desk.work.create(Ci, organisation=desk.organisation, values=values, why=why)
    else:
        # Who says so is kept with what was said: a repeat by another source is no change.
        different = {
            name: value
            for name, value in values.items()
            if name != "source" and (before[name] or None) != (value or None)
        }
        if not different:
            desk.say(index, "unchanged", record.id)
            return
        record = desk.work.change(record, {**different, "source": values["source"]}, why=why)
    desk.arrived(record)
    desk.touched = True
    desk.say(index, "accepted", record.id)


def _pending_of(desk: Desk) -> list[PendingReference]:
    """Return the parked relations that wait for a name of an item that this import has brought."""
    wanted = sorted({name for ci in desk.cis for name in names_of(desk.records[ci])})
    found: list[PendingReference] = []
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        found += PendingReference.objects.filter(organisation=desk.organisation, wanted__in=part)
    return found


def _take_relation(desk: Desk, index: int, row: Mapping[str, Any], source: str = "") -> _Tie | None:
    """Return the relation if both ends are known and allowed; park or reject the row otherwise."""
    problems = [
        Problem(path=f"/{key}", message=f"There is no field {key!r}.", remedy="Leave it out.")
        for key in row
        if key not in _RELATION_KEYS
    ]
    ends: list[str] = []
    for name in ("source_ci", "target_ci"):
        raw = row.get(name)
        if not isinstance(raw, str) or not raw.strip() or len(raw) > rules.NAME_CHARACTERS_MAX:
            problems.append(
                Problem(
                    path=f"/{name}", message="An item must be named.", remedy="Give its key, name or alias."
                )
            )
        else:
            ends.append(raw.strip())
    if problems:
        desk.say(index, "rejected", problems=problems)
        return None
    found = [desk.resolve(end) for end in ends]
    missing = [end for end, ci in zip(ends, found, strict=True) if not ci]
    if missing:
        _park(desk, index, row, missing[0], source)
        return None
    classes = [facts.ci_class for ci in found if (facts := desk.facts(ci)) is not None]
    edge = Edge(found[0], found[1], str(row.get("type") or "depends_on"))
    problems = rules.check_relation(
        edge.type, classes[0], classes[1], same=found[0] == found[1], schema=desk.map.schema
    )
    if row.get("state") not in {None, "", "live", "removed"}:
        problems.append(
            Problem(path="/state", message=f"{row['state']!r} is no state.", remedy="Use live or removed.")
        )
    if problems:
        desk.say(index, "rejected", problems=problems)
        return None
    if row.get("state") == "removed":
        _remove(desk, index, edge)
        return None
    return _Tie(index=index, edge=edge, source=source or desk.source)


def _park(desk: Desk, index: int, row: Mapping[str, Any], missing: str, source: str) -> None:
    kept = {key: value for key, value in row.items() if key != "kind"}
    fingerprint = hashlib.sha256(encode(kept)).hexdigest()
    desk.work.upsert(
        PendingReference,
        {"organisation": desk.organisation, "fingerprint": fingerprint},
        {"wanted": normal(missing), "row": kept, "source": source or desk.source, "since": desk.work.now},
    )
    desk.gaps.report({missing: ""})
    desk.say(
        index,
        "parked",
        problems=[
            Problem(
                path="/",
                message=f"{missing!r} is not in the map.",
                remedy="Import this item; the relation follows by itself.",
            )
        ],
    )


def _remove(desk: Desk, index: int, edge: Edge) -> None:
    known = desk.relation(edge)
    if known is None or known[1] == "removed":
        desk.say(index, "unchanged", known[0] if known else "")
        return
    record = _relation_record(desk, known[0])
    desk.work.change(
        record,
        {"state": "removed"},
        why=[Reason(rule="configuration.import", text=f"{desk.source} withdrew this relation.")],
    )
    desk.tied(record)
    desk.touched = True
    desk.say(index, "accepted", record.id)


def _relation_record(desk: Desk, record: str) -> Relation:
    held = desk.relations.get(record)
    return held if held is not None else Relation.objects.get(id=record)


def _write_relations(desk: Desk, ties: Sequence[_Tie]) -> None:
    new: list[_Tie] = []
    seen: set[Edge] = set()
    for tie in ties:
        known = desk.relation(tie.edge)
        if (known is not None and known[1] != "removed") or tie.edge in seen:
            desk.say(tie.index, "unchanged", known[0] if known else "")
        else:
            seen.add(tie.edge)
            new.append(tie)
    for tie in _without_cycles(desk, new):
        why = [Reason(rule="configuration.import", text=f"{tie.source or 'An import'} states this relation.")]
        known = desk.relation(tie.edge)
        if known is not None:
            record = desk.work.change(
                _relation_record(desk, known[0]), {"state": "live", "source": tie.source}, why=why
            )
        else:
            source, target, kind = tie.edge
            values = {
                "source_ci": source,
                "target_ci": target,
                "type": kind,
                "source": tie.source,
                "state": "live",
            }
            record = desk.work.create(Relation, organisation=desk.organisation, values=values, why=why)
        desk.tied(record)
        desk.touched = True
        desk.say(tie.index, "accepted", record.id)


def _without_cycles(desk: Desk, ties: Sequence[_Tie]) -> list[_Tie]:
    """Return the ties in row order without those that would close a forbidden cycle; those are rejected."""
    kept = [tie for tie in ties if not desk.map.schema.acyclic(tie.edge.type)]
    for kind in sorted({tie.edge.type for tie in ties} - {tie.edge.type for tie in kept}):
        standing = [
            edge
            for edge in desk.map.graph.edges
            if edge.type == kind and desk.edges.get(edge, ("", "live"))[1] == "live"
        ]
        standing += [
            Edge(*ends) for ends, (_, state) in desk.edges.items() if ends[2] == kind and state == "live"
        ]
        wanted = [tie for tie in ties if tie.edge.type == kind]
        while wanted and (bad := first_closing_edge(standing, [tie.edge for tie in wanted])) is not None:
            tie = wanted.pop(bad)
            desk.say(
                tie.index,
                "rejected",
                problems=[
                    Problem(
                        path="/",
                        message=f"This relation closes a cycle of {kind.replace('_', ' ')!r}.",
                        remedy="Remove one relation of the cycle, or allow cycles of this type in the blueprint.",
                    )
                ],
            )
        kept += wanted
    return sorted(kept, key=lambda tie: tie.index)
