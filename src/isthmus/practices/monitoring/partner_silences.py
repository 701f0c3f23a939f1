"""Silences and downtimes that sources hold are silences here.

`suppression.partner_silences` says what they mean: by default they mute alerts of that source and no others. Ours that
come back in a poll are recognised by their key, or by the mark of the effect that set them, and never taken for theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from isthmus.connectors.kit.marks import mark_of
from isthmus.hub import due
from isthmus.hub.lanes.models import Delivery
from isthmus.hub.observing import Outcome, Seen, outcome
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import DAY, Instant, to_rfc3339
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.loading import chunks, many
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring import service, silences, telling
from isthmus.practices.monitoring.mirroring import SET
from isthmus.practices.monitoring.models import Silence
from isthmus.practices.monitoring.rules.telling import ASTRAY
from isthmus.practices.monitoring.surroundings import matchers_of

OURS_MAX: Final = 1_000
TEXT_MAX: Final = 2_000
ENDLESS_DAYS: Final = 365
"""How long a silence without an end is believed; a source that still holds it then says so again."""


def take(work: Work, seens: Sequence[Seen], now: Instant) -> list[Outcome]:
    """Take what sources hold as silences and downtimes; one outcome per observation, in their order."""
    known = _known(seens)
    ours = _ours(work, {each.organisation for each in seens})
    told = _told(seens)
    return [
        outcome(each, "repeat", reason="The hub set it in place of an acknowledgement.")
        if told & set(_names(each))
        else _one(work, each, known, ours, now)
        for each in seens
    ]


def _one(
    work: Work,
    seen: Seen,
    known: dict[tuple[str, str, str], Silence],
    ours: Mapping[str, Silence],
    now: Instant,
) -> Outcome:
    observation, name = seen.observation, seen.connection
    key = observation.external.key
    meant = plans.current().partner_silences(name)
    mine = next((ours[each] for each in _names(seen) if each in ours), None)
    if mine is not None:
        return _of_ours(work, seen, mine, now)
    held = known.get((seen.organisation, name, key))
    if held is None and meant == "ignore":
        return outcome(seen, "ignored", reason=f"The blueprint ignores silences of {name}.")
    wanted = _values(seen, meant)
    over = observation.deleted or wanted.pop("state") == "expired" or wanted["ends_at"] <= now
    if over:
        if held is None or held.state != "active":
            return outcome(seen, "ignored" if held is None else "repeat", reason="It is over.")
        silences.expire(work, held, said=f"{name} has ended it.")
        return outcome(seen, "entry", reason=f"{name} has ended its silence.", records=[held.id])
    if held is None:
        return _opened(work, seen, wanted, known)
    before = held.version
    text = f"{name} has changed it: until {to_rfc3339(wanted['ends_at'])}."
    work.change(held, {**wanted, "state": "active"}, why=[Reason(rule="monitoring.silence.partner", text=text)],
                cause=seen.message_id, trace=seen.trace)  # fmt: skip
    if held.version == before:
        return outcome(seen, "repeat", reason="It says nothing new.", records=[held.id])
    due.schedule(work, silences.SILENCE_EXPIRY, held.id, wanted["ends_at"], organisation=held.organisation)
    service.release(work, held.organisation, held.id, now, text="Its silence has changed.", ended=False)
    return outcome(seen, "entry", reason=text, records=[held.id])


def _opened(
    work: Work, seen: Seen, wanted: dict[str, Any], known: dict[tuple[str, str, str], Silence]
) -> Outcome:
    name, key = seen.connection, seen.observation.external.key
    text = f"{name} holds a silence until {to_rfc3339(wanted['ends_at'])}."
    made = work.create(
        Silence,
        organisation=seen.organisation,
        values={**wanted, "state": "active", "connection": name, "external_key": key},
        why=[Reason(rule="monitoring.silence.partner", text=text)],
        cause=seen.message_id,
        trace=seen.trace,
    )
    known[seen.organisation, name, key] = made
    due.schedule(work, silences.SILENCE_EXPIRY, made.id, wanted["ends_at"], organisation=seen.organisation)
    return outcome(seen, "entry", reason=text, records=[made.id])


def _of_ours(work: Work, seen: Seen, silence: Silence, now: Instant) -> Outcome:
    """Note whether a silence of ours still sticks where it was set."""
    values, name = seen.observation.values, seen.connection
    held = dict(silence.mirrors or {})
    mirror = dict(held.get(name, {}))
    gone = seen.observation.deleted or values.get("state") == "expired"
    if gone and silence.state == "active" and (silence.ends_at or 0) > now and mirror.get("state") == SET:
        mirror |= {"state": ASTRAY, "why": f"{name} ended it before its time."}
        held[name] = mirror
        why = [Reason(rule="monitoring.silence.mirror", text=mirror["why"])]
        work.change(
            silence, {"mirrors": held, "astray": True}, why=why, cause=seen.message_id, trace=seen.trace
        )
        return outcome(seen, "entry", reason=mirror["why"], records=[silence.id])
    return outcome(seen, "repeat", reason="It is the hub's own silence.", records=[silence.id])


def _values(seen: Seen, meant: str) -> dict[str, Any]:
    values = seen.observation.values
    matchers = [dict(each) for each in _list(values, "matchers") if isinstance(each, Mapping)]
    stored = [
        {
            "label": str(each.get("label", "")),
            "op": str(each.get("op", "=")),
            "value": str(each.get("value", "")),
        }
        for each in matchers
    ][: silences.MATCHERS_MAX]
    matchers_of(stored)
    if not stored:
        raise Rejected(
            "The silence matches nothing.",
            problems=(Problem(path="/matchers", message="none", remedy="Map what it is about to matchers."),),
        )
    if meant != "all":
        stored.insert(0, {"label": "connection", "op": "=", "value": seen.connection})
    return {
        "matchers": stored,
        "starts_at": _instant(values, "starts_at") or seen.received_at,
        "ends_at": _instant(values, "ends_at") or Instant(seen.received_at + ENDLESS_DAYS * DAY),
        "comment": str(values.get("comment") or "")[:TEXT_MAX],
        "owner_label": str(values.get("by") or seen.observation.partner_actor or "")[: telling.NAME_MAX],
        "state": str(values.get("state") or "active"),
    }


def _list(values: Mapping[str, Json], name: str) -> list[Json]:
    held = values.get(name)
    return held if isinstance(held, list) else []


def _instant(values: Mapping[str, Json], name: str) -> Instant | None:
    held = values.get(name)
    return Instant(held) if isinstance(held, int) and not isinstance(held, bool) else None


def _known(seens: Sequence[Seen]) -> dict[tuple[str, str, str], Silence]:
    found: dict[tuple[str, str, str], Silence] = {}
    wanted = {(each.organisation, each.connection) for each in seens}
    for organisation, name in wanted:
        keys = {each.observation.external.key for each in seens if each.connection == name}
        for chunk in chunks(keys):
            rows = Silence.objects.filter(organisation=organisation, connection=name, external_key__in=chunk)
            found |= {(organisation, name, each.external_key): each for each in rows}
    return found


def _names(seen: Seen) -> tuple[str, ...]:
    """Return the names under which a silence of ours may be known: its key, and the mark of the effect that set it."""
    observation = seen.observation
    found = (f"{seen.connection}\0{observation.external.key}",)
    return (*found, f"{seen.connection}\0#{observation.correlation}") if observation.correlation else found


def _told(seens: Sequence[Seen]) -> set[str]:
    """Return the names of silences that were set about single alerts, in place of an acknowledgement."""
    found: set[str] = set()
    rows = Delivery.objects.filter(
        connection__in={each.connection for each in seens}, verb="silence", record_kind="alert"
    )
    for name, key, said in rows.order_by("-id").values_list("connection", "key", "outcome")[:OURS_MAX]:
        found |= {f"{name}\0#{mark_of(key)}", f"{name}\0{said}"}
    return found


def _ours(work: Work, organisations: Iterable[str]) -> dict[str, Silence]:
    """Return our mirrored silences by the key, or the mark, under which a source may show them."""
    found: dict[str, Silence] = {}
    for organisation in organisations:
        rows = Silence.objects.filter(organisation=organisation, mirrors__isnull=False)
        ids = rows.order_by("-id").values_list("id", flat=True)[:OURS_MAX]
        for each in many(work, Silence, ids).values():
            for name, mirror in (each.mirrors or {}).items():
                if mirror.get("ref"):
                    found[f"{name}\0{mirror['ref']}"] = each
                if mirror.get("mark"):
                    found[f"{name}\0#{mirror['mark']}"] = each
    return found
