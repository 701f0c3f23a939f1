"""Ports of systems that hold alerts or carry messages: what the hub may do there, once per `idempotency_key`.

Each verb is an effect of the lanes (`hub.lanes.effects.once`): payload and key are committed before the call, and
an effect whose outcome is unknown is called again with the same key. A connector therefore looks first whether
the effect is there already (by the key or the author it left in the partner's record), reads back what it wrote
where the API allows, and raises the errors of `connectors.kit.ports`. A manifest declares each verb that the
client has: `alert:acknowledge`, `alert:silence`, `alert:annotate`, `alert:resolve`, `notification:notify`.

Payloads are JSON. Instants are microseconds since 1970 (UTC); matchers are
`{"label": …, "op": "=" | "!=" | "=~" | "!~", "value": …}`. `alert` is the key under which this connection's own
observations name the alert (`ExternalRef.key`); `labels` are its labels as last seen. `by` is a person's name
as it may be shown to colleagues, or the name of a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from isthmus.connectors.kit.ports import Written
from isthmus.kernel.record import Json

ALERT_VERBS = ("acknowledge", "silence", "annotate", "resolve")
"""What a manifest may declare for kind `alert`; `silence` includes `unsilence`, `acknowledge` its withdrawal."""


@runtime_checkable
class Acknowledger(Protocol):
    """`alert:acknowledge`."""

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Tell the partner who looks after an alert; done already is done."""
        ...

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Take it back; not acknowledged is done."""
        ...


@runtime_checkable
class Silencer(Protocol):
    """`alert:silence`: silences, downtimes, maintenance periods."""

    async def silence(
        self,
        *,
        matchers: Sequence[Mapping[str, str]],
        starts_at: int,
        ends_at: int,
        by: str,
        comment: str,
        alert: str,
        idempotency_key: str,
    ) -> Written:
        """Mute what fits; `alert` names the one object where the partner mutes objects, not patterns ("" = by
        matchers). `ref.key` of the answer is what `unsilence` takes."""
        ...

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """End a silence early; gone already is done."""
        ...


@runtime_checkable
class Annotator(Protocol):
    """`alert:annotate`."""

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Leave a note at an alert."""
        ...


@runtime_checkable
class Resolver(Protocol):
    """`alert:resolve`: for partners that hold alerts until somebody closes them (PagerDuty, Zabbix)."""

    async def resolve(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Close an alert at the partner; closed already is done."""
        ...


@runtime_checkable
class Notifier(Protocol):
    """`notification:notify`: carries a message to people.

    `message` = `{"recipient", "title", "text", "facts": [[name, value], …], "severity", "link", "thread", "about",
    "actions": [{"id", "label", "url"}, …], "locale"}`. `recipient` is in the partner's words (a channel, a user id,
    an address); `thread` is the `ref.key` of an earlier message about the same thing ("" = none); `about` is
    `<kind>:<id>` of the thing itself ("" = a message about nothing that lasts); `actions` become
    buttons where the partner has them, links elsewhere. A pressed button comes back through the connector's
    webhook as an observation of kind `acknowledgement`; `values.notification` is the key that the message carried, or
    its `ref.key` (or `#<mark>` of that, by `kit.marks`) where the partner shows nothing else.

    A partner that keeps what it was told open until it hears more (a pager) also declares `alert:acknowledge` and
    `alert:resolve`, and takes the `ref.key` of a message as `alert`: it is told when somebody looks after the thing and
    when it is over.
    """

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Send it; `ref.key` names the message at the partner, as evidence and for threads."""
        ...
