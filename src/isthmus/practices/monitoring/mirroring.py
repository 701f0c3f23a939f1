"""The hub's own silences are set at sources too, where the blueprint lets them (`telling.silence`), and ended there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from isthmus.connectors.kit.marks import mark_of
from isthmus.hub import connections
from isthmus.hub.lanes import effects
from isthmus.kernel.record import Json, Reason
from isthmus.ledger.work import Work
from isthmus.practices.incident.loading import many
from isthmus.practices.monitoring import plan as plans
from isthmus.practices.monitoring import telling
from isthmus.practices.monitoring.models import Alert, Silence
from isthmus.practices.monitoring.rules.telling import ASTRAY

if TYPE_CHECKING:
    from isthmus.hub.lanes.calls import Result
    from isthmus.hub.lanes.models import Delivery

MIRRORS_MAX: Final = 20
ASKED: Final = "asked"
SET, ENDED = "set", "ended"


def set_there(work: Work, silence: Silence, *, by: str, alert: Alert | None = None) -> None:
    """Have a silence of ours set at the sources that the blueprint lets us silence."""
    mirrors: dict[str, Any] = {}
    for name in _mirroring(silence.organisation)[:MIRRORS_MAX]:
        key = f"silence:{silence.id}:{silence.version}"
        about = alert.external_key if alert is not None and alert.connection == name else ""
        payload: dict[str, Json] = {
            "matchers": [dict(each) for each in silence.matchers or ()], "starts_at": silence.starts_at, "ends_at": silence.ends_at,
            "by": by, "comment": silence.comment, "alert": about,
        }  # fmt: skip
        effects.once(work, name, "silence", payload, key=key, record=silence)
        mirrors[name] = {"state": ASKED, "mark": mark_of(key)}
    if mirrors:
        text = f"It is set at {', '.join(sorted(mirrors))} too."
        work.change(silence, {"mirrors": mirrors}, why=[Reason(rule="monitoring.silence.mirror", text=text)])


def end_there(work: Work, silence: Silence, *, by: str) -> None:
    """Have a silence that ends early ended where it was set."""
    held = silence.mirrors if isinstance(silence.mirrors, dict) else {}
    for name, mirror in held.items():
        if mirror.get("ref") and mirror.get("state") == SET:
            payload: dict[str, Json] = {"silence": mirror["ref"], "by": by, "comment": "Ended early."}
            key = f"unsilence:{silence.id}:{silence.version}"
            effects.once(work, name, "unsilence", payload, key=key, record=silence)


def _mirroring(organisation: str) -> list[str]:
    plan = plans.current()
    return sorted(
        name
        for name, each in connections.in_force().items()
        if each.organisation == organisation
        and plan.telling(name).silence
        and "silence" in telling.able(name)
    )


def concluded(work: Work, delivery: Delivery, result: Result) -> bool:
    """A source has set or ended a silence of ours, or cannot."""
    written, fault = result.written, result.fault
    if fault is not None and fault.passing:
        return False
    silence = many(work, Silence, [delivery.record]).get(delivery.record)
    held = dict(silence.mirrors or {}) if silence is not None else {}
    if silence is None or delivery.connection not in held:
        return False
    mirror = dict(held[delivery.connection])
    if fault is not None:
        mirror |= {"state": ASTRAY, "why": f"{fault.cause} {fault.remedy}".strip()}
        text = f"{delivery.connection} could not be told: {mirror['why']}"
    elif delivery.verb == "silence":
        mirror |= {"state": SET, "ref": written.ref.key if written is not None else ""}
        text = f"Set at {delivery.connection}."
    else:
        mirror |= {"state": ENDED}
        text = f"Ended at {delivery.connection}."
    held[delivery.connection] = mirror
    astray = any(each.get("state") == ASTRAY for each in held.values())
    why = [Reason(rule="monitoring.silence.mirror", text=text)]
    work.change(silence, {"mirrors": held, "astray": astray}, why=why)
    if delivery.verb == "silence" and silence.state != "active" and mirror.get("state") == SET:
        # It ended here while it was being set there.
        end_there(work, silence, by=telling.SOMEBODY)
    return False
