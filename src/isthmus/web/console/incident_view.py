"""Everything that the page of one incident shows, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from isthmus.hub.lanes.models import OPEN_STATES, Delivery
from isthmus.hub.sync.models import LinkRun
from isthmus.identity import people
from isthmus.kernel.kinds.incident import INCIDENT_STATES, LEVELS
from isthmus.ledger import reading
from isthmus.ledger.ids import source
from isthmus.practices.incident import service
from isthmus.web import records, values, visible
from isthmus.web.console import links as linking
from isthmus.web.console import map_view, service_levels

ALERTS_MAX: Final = 50
_MARKS: Final = {"entry": "○", "comment": "❝", "alert": "▲", "delivery": "→", "decision": "◆"}
_STRIP: Final[Mapping[str, str]] = {
    "resolution": "state", "state": "state", "priority": "priority", "impact": "impact", "urgency": "urgency",
    "assignment_group": "group", "assignee": "assignee",
}  # fmt: skip
"""Parts of a link's base that the strip across systems shows, and what each is called there."""
_QUIET: Final = frozenset({"respond_by", "resolve_by", "collision_checked", "extra", "correlation_key"})
"""Fields whose change is no news of its own in a timeline."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the story. `who` and `where` say whose act it was and through which system."""

    at: int
    kind: str
    title: str
    who: str = ""
    where: str = ""
    body: str = ""
    why: Sequence[str] = ()
    changes: Sequence[tuple[str, str, str]] = ()
    href: str = ""

    @property
    def mark(self) -> str:
        return _MARKS.get(self.kind, "○")


@dataclass(kw_only=True)
class Spoke:
    """The incident in one linked system: what it holds there and how the link is."""

    link: Any
    seen: list[tuple[str, str]] = field(default_factory=list)
    delivery: Any = None
    seen_at: int | None = None
    parked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def stuck(self) -> bool:
        return self.delivery is not None and self.delivery.state == "dead"

    @property
    def health(self) -> tuple[str, str]:
        """Return (tone, words): the worst thing first."""
        if self.link.state != "active":
            return "quiet", "no longer followed" if self.link.state == "unlinked" else "gone there"
        if self.stuck:
            return "bad", "stuck"
        if self.parked:
            return "warn", "differs"
        if self.delivery is not None and self.delivery.state in OPEN_STATES:
            return "now", "catching up"
        return ("good", "in step") if self.seen_at else ("quiet", "not seen yet")


def context(incident: Any) -> dict[str, Any]:
    """Return the template's context."""
    links = list(records.of("link").filter(record=incident.id).order_by("id"))
    comments = list(records.of("comment").filter(record=incident.id, state="shown").order_by("id"))
    alerts = list(records.of("alert").filter(incident=incident.id).order_by("-id")[:ALERTS_MAX])
    suspects = list(records.of("suspect").filter(incident=incident.id).order_by("hops", "id"))
    conflicts = list(records.of("conflict").filter(record=incident.id).order_by("-id")[:ALERTS_MAX])
    history = reading.history(incident.id)
    names = people.labels([incident.assignee, incident.caller, *(each.actor for each in history)])
    return {
        "incident": incident,
        "spokes": _spokes(links),
        "linkable": linking.linkable(incident, links),
        "story": story(history, comments, alerts, names | _names_of(incident)),
        "alerts": alerts,
        "suspects": [(each, change) for each, change in _with_changes(suspects)],
        "conflicts": conflicts,
        "places": {each.id: each.connection for each in links},
        "open_conflicts": [each for each in conflicts if each.state == "open"],
        "cis": records.by_ids("ci", [incident.ci, incident.service]),
        "map": map_view.small(incident.ci) if incident.ci else "",
        "people": names,
        "children": list(records.of("incident").filter(parent=incident.id).order_by("id")[:ALERTS_MAX]),
        "parent": records.of("incident").filter(id=incident.parent).first() if incident.parent else None,
        "states": INCIDENT_STATES,
        "levels": LEVELS,
        "next_states": _next_states(incident.state),
        "clocks": service_levels.counted(incident, source.now()),
    }


def story(
    history: Sequence[Any], comments: Sequence[Any], alerts: Sequence[Any], names: dict[str, str]
) -> list[Item]:
    """Return every source of the incident's story in one order, newest first."""
    items = [_entry(each, names) for each in history]
    items += [
        Item(
            at=each.written_at or each.created_at,
            kind="comment",
            title="Public comment" if each.public else "Internal comment",
            who=each.author_label,
            where=each.connection,
            body=each.body,
        )
        for each in comments
    ]
    items += [
        Item(
            at=each.created_at,
            kind="alert",
            title=f"Alert {each.state}: {each.summary or each.identity}",
            where=each.connection,
            body="",
            why=(each.decision_reason,) if each.decision_reason else (),
            href=f"/alerts/{each.id}",
        )
        for each in alerts
    ]
    return sorted((each for each in items if each is not None), key=lambda each: each.at, reverse=True)


def _entry(entry: Any, names: dict[str, str]) -> Item:
    shown = [
        (name, values.shown(entry.kind, name, old, names), values.shown(entry.kind, name, new, names))
        for name, (old, new) in entry.changes.items()
        if name not in _QUIET
    ]
    return Item(
        at=entry.occurred_at,
        kind="entry" if entry.changes else "decision",
        title="Opened"
        if entry.version == 1
        else ", ".join(name.replace("_", " ") for name, _, _ in shown) or "Decision",
        who=who(entry.actor, names),
        where=entry.connection or entry.channel,
        why=[each.text for each in entry.why],
        changes=[] if entry.version == 1 else shown,
        href=f"/trace/{entry.trace}",
    )


def who(actor: str, names: dict[str, str]) -> str:
    """Return what people call an actor; parts of the hub are the hub."""
    if actor.startswith("system:"):
        return f"Isthmus ({actor.removeprefix('system:')})"
    return names.get(actor, actor)


def _names_of(incident: Any) -> dict[str, str]:
    problem = records.titles("problem", [incident.problem], "number") if incident.problem else {}
    return records.titles("ci", [incident.ci, incident.service], "name") | problem


def _spokes(links: Sequence[Any]) -> list[Spoke]:
    """Return the linked systems; two queries for all of them."""
    ids = [each.id for each in links]
    runs = {each.link: each for each in visible.rows(LinkRun).filter(link__in=ids)} if ids else {}
    owed = {each.subject: each for each in visible.rows(Delivery).filter(subject__in=ids)} if ids else {}
    return [_spoke(each, runs.get(each.id), owed.get(each.id)) for each in links]


def _spoke(link: Any, run: Any, delivery: Any) -> Spoke:
    """Read the base of a link: what the other side was last seen to hold, and which parts differ on purpose."""
    spoke = Spoke(link=link, delivery=delivery, seen_at=run.last_seen_at if run is not None else None)
    parts = (link.parts or {}).get("parts") or {}
    for name, label in _STRIP.items():
        part = parts.get(name)
        if isinstance(part, dict) and part.get("seen") not in (None, ""):
            spoke.seen.append((label, _spelt(part, label)))
    spoke.parked = linking.parked(link)
    return spoke


def _spelt(part: dict[str, Any], label: str) -> str:
    """Return a partner's value as it spells it and, where that is a code, what it means here; a value that differs
    means something else."""
    there, here = (_member(part.get(half), label) for half in ("seen", "agreed"))
    if (
        not here
        or part.get("flag", "none") != "none"
        or here.replace("_", " ").casefold() == there.casefold()
    ):
        return there
    return f"{there} ({here.replace('_', ' ')})"


def _member(value: Any, label: str) -> str:
    """Return one half of a base as text; of a group of fields the one that the strip is about."""
    if isinstance(value, dict):
        value = value.get(label, next(iter(value.values()), ""))
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _with_changes(suspects: Sequence[Any]) -> list[tuple[Any, Any]]:
    changes = records.by_ids("change", [each.change for each in suspects])
    return [(each, changes.get(each.change)) for each in suspects]


def _next_states(state: str) -> list[str]:
    """Return the states that a person may pick; resolving has a form of its own."""
    return [each for each in service.next_states(state) if each != "resolved"]
