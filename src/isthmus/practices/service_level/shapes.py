"""How the API shows clocks: times in RFC 3339, spans in seconds (exact to the microsecond)."""

from __future__ import annotations

from typing import Any

from isthmus.kernel.instant import SECOND, Instant, to_rfc3339
from isthmus.practices.service_level.board import Counting
from isthmus.practices.service_level.models import SlaPartnerClock
from isthmus.practices.service_level.reporting import Report
from isthmus.practices.service_level.rules.custody import Share
from isthmus.practices.service_level.rules.prediction import Prediction
from isthmus.practices.service_level.rules.report import Line as ReportLine
from isthmus.practices.service_level.service import Comparison, Line, Told


def time(value: int | None) -> str | None:
    return None if value is None else to_rfc3339(Instant(value))


def seconds(value: int | None) -> float | None:
    return None if value is None else value / SECOND


def clock_out(counting: Counting) -> dict[str, Any]:
    """Return a clock as it stands now. `left_seconds` below nought: that much too long."""
    clock = counting.clock
    plain = ("id", "organisation", "version", "record_kind", "record", "target", "definition", "calendar", "priority",
             "service", "state", "breached", "reached", "cycle", "trace", "synthetic")  # fmt: skip
    times = ("started_at", "stopped_at", "due_at", "breached_at", "created_at", "updated_at")
    return {
        **{name: getattr(clock, name) for name in plain},
        **{name: time(getattr(clock, name)) for name in times},
        "thresholds": list(clock.thresholds or ()),
        "target_seconds": seconds(clock.amount),
        "elapsed_seconds": seconds(counting.elapsed),
        "left_seconds": seconds(counting.left),
        "per_mille": counting.per_mille,
        "counting_now": counting.moving,
    }


def line_out(line: Line) -> dict[str, Any]:
    return {
        "what": line.what,
        "at": time(line.at),
        "recorded_at": time(line.recorded_at),
        "cause": line.cause,
        "entry": line.entry,
        "text": line.text,
        "elapsed_seconds": seconds(line.elapsed),
    }


def told_out(told: Told) -> dict[str, Any]:
    account = told.account
    return {
        "clock": told.clock.id,
        "why": told.sentences,
        "account": None
        if account is None
        else {
            "since": time(account.since),
            "until": time(account.until),
            "whole_seconds": seconds(account.whole),
            "counted_seconds": seconds(account.counted),
            "paused_seconds": seconds(account.paused),
            "closed_seconds": seconds(account.closed),
            "carried_seconds": seconds(account.carried),
        },
        "moves": [
            {"at": time(at), "what": what, "cause": cause, "text": text}
            for at, what, cause, text in told.moves
        ],
    }


def share_out(share: Share) -> dict[str, Any]:
    return {
        "party": share.party, "counted_seconds": seconds(share.counted), "minutes": share.counted // (60 * SECOND),
        "stretches": share.stretches,
    }  # fmt: skip


def prediction_out(found: Prediction) -> dict[str, Any]:
    chance = found.likelihood
    return {
        "state": found.state,
        "left_seconds": seconds(found.left),
        "breaches_at": time(found.breaches_at),
        "if_resumed_now_at": time(found.if_resumed_at),
        "likelihood": {
            "text": chance.text, "n": chance.sample, "breached": chance.breached, "per_mille": chance.per_mille,
            "low_per_mille": chance.low, "high_per_mille": chance.high,
        },
    }  # fmt: skip


def _partner_out(clock: SlaPartnerClock) -> dict[str, Any]:
    return {
        **{name: getattr(clock, name) for name in ("id", "version", "connection", "name", "target", "state", "breached")},
        **{name: time(getattr(clock, name)) for name in ("started_at", "stopped_at", "due_at", "observed_at")},
        "target_seconds": seconds(clock.amount),
        "elapsed_seconds": seconds(clock.elapsed),
    }  # fmt: skip


def comparison_out(found: Comparison) -> dict[str, Any]:
    """Return a partner's clock beside ours. `difference_seconds`: theirs minus ours."""
    said = found.difference
    return {
        "partner": _partner_out(found.partner),
        "ours": None if found.ours is None else found.ours.id,
        "text": "We have no clock of this target." if said is None else said.text,
        "at": None if said is None else time(said.at),
        "our_elapsed_seconds": None if said is None else seconds(said.ours),
        "their_elapsed_seconds": None if said is None else seconds(said.theirs),
        "difference_seconds": None if said is None else seconds(said.difference),
        "causes": []
        if said is None
        else [
            {"from": time(each.start), "to": time(each.end), "counted_seconds": seconds(each.counted), "text": each.text}
            for each in said.causes
        ],
    }  # fmt: skip


def report_line_out(line: ReportLine) -> dict[str, Any]:
    return {
        "group": line.group,
        "ended": line.ended,
        "met": line.met,
        "per_mille": line.per_mille,
        "percentiles_seconds": {f"p{share}": seconds(value) for share, value in line.percentiles},
        "longest_seconds": seconds(line.longest),
    }


def report_out(found: Report) -> dict[str, Any]:
    return {
        "since": time(found.since),
        "until": time(found.until),
        "by": found.by,
        "all": report_line_out(found.whole),
        "items": [report_line_out(each) for each in found.lines],
        "shares_of_target": [{"class": name, "count": count} for name, count in found.shares],
        "cancelled": found.cancelled,
        "truncated": found.truncated,
    }
