"""From any id to the whole story: which records belong together, every entry of them, and the gaps.

An id may be one of ours, a number, a partner's key or label, a trace id, an artefact's hash or a message id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from isthmus.hub.models import ParkedMessage
from isthmus.hub.sync.models import LinkRun
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import NotFound
from isthmus.ledger import reading
from isthmus.ledger.reading import EntryView
from isthmus.web import records, visible

RECORDS_MAX: Final = 300
ENTRIES_MAX: Final = 5_000
_TRACE: Final = re.compile(r"^[0-9a-f]{32}$")

_POINTS: Final[dict[str, tuple[str, ...]]] = {
    "alert": ("incident", "parent"),
    "incident": ("parent", "problem"),
    "comment": ("record",),
    "suspect": ("incident", "change"),
    "known_error": ("problem",),
    "known_error_match": ("record", "known_error"),
    "link": ("record",),
    "conflict": ("record", "link"),
    "change": ("incident",),
    "approval": ("subject",),
    "gate_decision": ("change",),
}
"""Which fields of which kind name another record of the same story."""
_ROOTS: Final = frozenset({"incident", "change", "link"})
"""Kinds whose story holds everything that names them."""
_ROOTS_IF_ASKED: Final = _ROOTS | {"problem", "known_error"}
"""…and those for which this is so only if the story is theirs: an incident's story is not that of every other
incident with the same cause."""
_TEXT_KEYS: Final[tuple[tuple[str, str], ...]] = (
    ("incident", "number"), ("change", "number"), ("problem", "number"), ("known_error", "number"), ("link", "external_label"), ("link", "external_key"),
    ("link", "correlation"), ("change", "artefact_hash"), ("gate_decision", "artefact_hash"), ("alert", "identity"),
    ("alert", "external_key"), ("ci", "external_key"), ("ci", "name"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Something that should be in the story and is not, or not yet."""

    at: int
    text: str
    remedy: str = ""


@dataclass(kw_only=True)
class Story:
    """`members`: (kind, record) pairs; `entries` in the order in which the hub learned of them."""

    asked: str
    members: list[tuple[str, Any]] = field(default_factory=list)
    entries: list[EntryView] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    cut: bool = False

    @property
    def external(self) -> list[Any]:
        return [record for kind, record in self.members if kind == "link"]


def story(wanted: str, actor: Actor) -> Story:
    """Return the story around any id, as far as `actor` may see it; `NotFound` if nothing visible answers to it."""
    wanted = wanted.strip()
    entries = reading.by_trace(wanted) if _TRACE.match(wanted) else []
    entries = [each for each in entries if not records.hidden_from(actor, each.kind, each.organisation)]
    found = Story(asked=wanted)
    _gather(found, [*resolve(wanted), *((each.kind, each.record) for each in entries)], actor)
    if not found.members and not entries:
        raise NotFound(
            f"Nothing that you may see answers to “{wanted[:80]}”.",
            remedy="Check the id, or ask who may see it.",
        )
    _read(found, entries)
    _find_gaps(found)
    return found


def resolve(wanted: str) -> list[tuple[str, str]]:
    """Return (kind, record id) pairs that `wanted` may mean; ids first, then numbers and partner keys."""
    if not wanted:
        return []
    if len(wanted) == 26 and wanted.isalnum():
        history = reading.history(wanted.upper())
        if history:
            return [(history[0].kind, history[0].record)]
    found: list[tuple[str, str]] = []
    for kind, name in _TEXT_KEYS:
        text = wanted.upper() if name == "number" else wanted
        found += [
            (kind, each) for each in records.of(kind).filter(**{name: text}).values_list("id", flat=True)[:20]
        ]
    return found


def _gather(found: Story, starts: Iterable[tuple[str, str]], actor: Actor) -> None:
    """Follow references both ways until nothing new turns up or the story is too long."""
    seen: dict[str, str] = {}
    wave = {record: kind for kind, record in starts if kind in records.models()}
    members: dict[str, tuple[str, Any]] = {}
    while wave and len(members) < RECORDS_MAX:
        seen.update(wave)
        loaded = {
            key: (kind, each)
            for key, (kind, each) in _load(wave).items()
            if not records.hidden_from(actor, kind, each.organisation)
        }
        members.update(loaded)
        near = _forward(loaded) | _backward(loaded, _ROOTS if seen.keys() - wave.keys() else _ROOTS_IF_ASKED)
        wave = {key: kind for key, kind in near.items() if key not in seen}
    found.cut = bool(wave)
    found.members = sorted(members.values(), key=lambda each: (each[1].created_at, each[1].id))


def _load(wave: dict[str, str]) -> dict[str, tuple[str, Any]]:
    loaded: dict[str, tuple[str, Any]] = {}
    for kind in set(wave.values()):
        ids = [key for key, its in wave.items() if its == kind]
        loaded.update({each.id: (kind, each) for each in records.of(kind).filter(id__in=ids)[:RECORDS_MAX]})
    return loaded


def _forward(loaded: dict[str, tuple[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, record in loaded.values():
        for name in _POINTS.get(kind, ()):
            target = getattr(record, name)
            if not target:
                continue
            named = {
                "record": getattr(record, "record_kind", ""),
                "subject": getattr(record, "subject_kind", ""),
            }
            found[target] = named.get(name) or {"parent": kind, "record": "incident"}.get(name, name)
    return {key: kind for key, kind in found.items() if kind in records.models()}


def _backward(loaded: dict[str, tuple[str, Any]], kinds: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    roots = [key for key, (kind, _) in loaded.items() if kind in kinds]
    if not roots:
        return found
    for kind, names in _POINTS.items():
        for name in names:
            if kind in records.models():
                rows = records.of(kind).filter(**{f"{name}__in": roots}).values_list("id", flat=True)
                found.update(dict.fromkeys(rows[:RECORDS_MAX], kind))
    return found


def _read(found: Story, known: Sequence[EntryView]) -> None:
    entries = {each.seq: each for each in known}
    for each in reading.histories([record.id for _, record in found.members]):
        entries[each.seq] = each
    found.entries = [entries[seq] for seq in sorted(entries)][:ENTRIES_MAX]


def _find_gaps(found: Story) -> None:
    versions: dict[str, list[EntryView]] = {}
    for each in found.entries:
        versions.setdefault(each.record, []).append(each)
    for kind, record in found.members:
        held = sorted(each.version for each in versions.get(record.id, ()))
        missing = sorted(set(range(1, record.version + 1)) - set(held))
        if missing:
            text = f"{kind} {record.id}: entries {', '.join(map(str, missing[:10]))} are missing from the journal."
            found.gaps.append(Gap(at=record.updated_at, text=text, remedy="Run isthmus audit verify."))
    links = [each.id for each in found.external if each.state == "active"]
    silent = (
        set(visible.rows(LinkRun).filter(link__in=links, last_seen_at=None).values_list("link", flat=True))
        if links
        else set()
    )
    for each in found.external:
        if each.id in silent:
            text = f"{each.connection} has never answered for this link: what it holds is unknown."
            found.gaps.append(Gap(at=each.created_at, text=text, remedy="See the connection under Systems."))
    keys = {f"{each.external_kind}:{each.external_key}" for each in found.external} | {
        each.external_key for each in found.external
    }
    if keys:
        parked = (
            visible.rows(ParkedMessage).filter(subject__in=keys, state="parked").order_by("parked_at")[:50]
        )
        for each in parked:
            text = f"A message of {each.connection} about this is parked: {each.cause}"
            found.gaps.append(Gap(at=each.parked_at, text=text, remedy=each.remedy))
