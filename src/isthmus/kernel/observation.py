"""Observations: what a connector saw at an external system, in canonical names.

A webhook, a poll page, a CSV row and a broker message all become observations. Field values of synced
records (`incident`, `change`) stay in the *partner's spelling* under canonical field names: merge compares
them with the mapping's normal form. Alerts and configuration items carry canonical values at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isthmus.kernel.instant import Instant
from isthmus.kernel.record import Json


@dataclass(frozen=True, kw_only=True, order=True)
class ExternalRef:
    """Identity elsewhere: the connection's name, the partner's object kind, the partner's key.

    `key` is the immutable technical key (sys_id, issue id); `label` is what people say (INC0010001).
    """

    connection: str
    kind: str
    key: str
    label: str = field(default="", compare=False)
    url: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class ObservedComment:
    """A comment as the partner holds it. `correlation` is our hidden marker if the comment is ours."""

    key: str
    body: str
    author: str = ""
    public: bool = False
    at: Instant | None = None
    correlation: str = ""
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class ObservedAttachment:
    """A file at the partner's object, without its content. `size` in bytes, as the partner
    declares it; -1 if it does not."""

    key: str
    filename: str
    size: int
    content_type: str = ""
    author: str = ""
    at: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class ObservedSlaClock:
    """A service level clock as the partner shows it on its own object (ServiceNow task_sla, Jira SLA fields).

    Spans in microseconds; `elapsed` as of `at` (the read, where the partner does not say). `target` is our
    name of the promise ("response", "resolution") if the connector can tell, else "". `runs` are the times
    that the partner counted, where it tells them (an open end: None).
    """

    name: str
    target: str = ""
    state: str = "unknown"
    amount: int | None = None
    elapsed: int | None = None
    breached: bool = False
    started_at: Instant | None = None
    stopped_at: Instant | None = None
    due_at: Instant | None = None
    runs: tuple[tuple[Instant, Instant | None], ...] = ()
    at: Instant | None = None


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One thing seen.

    `kind` is a canonical record kind; `values` its fields. `event_id` identifies the event (same id, no
    effect); empty means that the content is its own identity. `version` is the partner's version of the
    object (comparable text or number; `coarse` if two edits may share it). `read_started` is the hub's tick
    at which a read began (None for a webhook, which is only a hint). `evidence` holds authority fields
    (approval and the like), which merge never takes.
    """

    kind: str
    external: ExternalRef
    values: Mapping[str, Json]
    event_id: str = ""
    version: str = ""
    coarse: bool = False
    occurred_at: Instant | None = None
    source_zone: str = ""
    partner_actor: str = ""
    comments: tuple[ObservedComment, ...] | None = None
    attachments: tuple[ObservedAttachment, ...] | None = None
    sla_clocks: tuple[ObservedSlaClock, ...] | None = None
    correlation: str = ""
    deleted: bool = False
    evidence: Mapping[str, Json] = field(default_factory=dict)
    unknown: Mapping[str, Json] = field(default_factory=dict)
    """Values that the mapping does not know, kept and reported, never defaulted."""
