"""What goes into a decision of the gate and what comes out: plain values, stored with every decision."""

from __future__ import annotations

from typing import Literal

import msgspec

Effect = Literal["window", "freeze", "peak", "maintenance"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline says: which change, what goes where. `cis` are resolved ids."""

    reference: str
    environment: str = ""
    artefact_hash: str = ""
    cis: list[str] = []
    unresolved: list[str] = []


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The change as its entries tell it. `differs` are columns of the projection that say otherwise."""

    id: str
    version: int
    number: str
    type: str
    state: str
    authorisation: str
    risk: str
    window_start: int | None
    window_end: int | None
    cis: list[str]
    unresolved: list[str]
    environment: str
    artefact_hash: str
    content_hash: str
    incident: str
    authorised_until: int | None
    review_due_at: int | None
    differs: list[str] = []


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """What the decisions about the current content amount to (`approval.rules.standing`), or the model.

    `model_refusals`: why a standard change is not covered by its model any more.
    """

    approved: bool
    awaiting: bool
    reasons: list[str] = []
    model_refusals: list[str] = []


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar item that concerns this change's items and environment."""

    effect: Effect
    name: str
    starts_at: int
    ends_at: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the decision is a function of. `change` None: the hub knows no such change.

    `windowed`: recurring change windows govern these items, so an open one is needed.
    `assessed`: the impact report still speaks about the map as it is, as far as this change reaches.
    """

    now: int
    asked: Asked
    change: Told | None = None
    authority: Authority | None = None
    calendar: list[Span] = []
    windowed: bool = False
    assessed: bool = True
    artefact_needed: bool = True


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason: what it says for itself (`verdict`), for people (`text`) and what to do (`remedy`)."""

    rule: str
    verdict: Literal["allow", "deny", "wait"]
    text: str
    remedy: str = ""
    until: int | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One deny denies; else one wait waits; only with neither the gate opens. `look_again_at`: for waits."""

    verdict: Literal["allow", "deny", "wait"]
    reasons: list[Reason]
    look_again_at: int | None = None
