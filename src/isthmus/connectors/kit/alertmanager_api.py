"""API v2 of Alertmanager, which Alertmanager, Grafana, Mimir and others speak: shapes, and silences both ways.

Nothing here knows a configuration: the connectors that share the API pass what differs (a path, a marker).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, TypeVar
from urllib.parse import quote

from msgspec import Meta, Struct, field

from isthmus.connectors.kit import marks
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Written
from isthmus.connectors.kit.webhook import decoder
from isthmus.kernel.errors import NotFound, Problem, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.instant import Instant, from_datetime, to_rfc3339
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.record import Json

T = TypeVar("T")

LABELS_MAX = 200
COMMENT_MAX = 2_000
NEVER_YEAR = 1  # Go's zero time, 0001-01-01T00:00:00Z: it has not ended.
MILLISECOND = 1_000

Moment = Annotated[dt.datetime, Meta(tz=True)]
Labels = Annotated[dict[str, str], Meta(min_length=1, max_length=LABELS_MAX)]
Annotations = Annotated[dict[str, str], Meta(max_length=LABELS_MAX)]
Fingerprint = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class ApiStatus(Struct, frozen=True):
    """The state of an alert inside Alertmanager; a state that we have not heard of is kept as it is."""

    state: str
    silencedBy: list[str] = []  # noqa: N815 - the partner's names, here and below
    inhibitedBy: list[str] = []  # noqa: N815


class ApiAlert(Struct, frozen=True):
    """One alert of `GET alerts`: it fires, or it would not be listed."""

    labels: Labels
    startsAt: Moment  # noqa: N815
    fingerprint: Fingerprint
    status: ApiStatus
    annotations: Annotations = {}
    generatorURL: str = ""  # noqa: N815


class ApiMatcher(Struct, frozen=True):
    """One condition of a silence."""

    name: str
    value: str
    isRegex: bool = False  # noqa: N815
    isEqual: bool = True  # noqa: N815


class ApiSilenceStatus(Struct, frozen=True):
    """active, pending or expired."""

    state: str


class ApiSilence(Struct, frozen=True):
    """One silence."""

    id: Annotated[str, Meta(min_length=1)]
    matchers: list[ApiMatcher]
    startsAt: Moment  # noqa: N815
    endsAt: Moment  # noqa: N815
    status: ApiSilenceStatus
    updatedAt: Moment | None = None  # noqa: N815
    createdBy: str = ""  # noqa: N815
    comment: str = ""


class _Created(Struct, frozen=True):
    id: str = field(name="silenceID")


_alerts, _silences, _silence, _created = (
    decoder(list[ApiAlert]), decoder(list[ApiSilence]), decoder(ApiSilence), decoder(_Created),
)  # fmt: skip
_OPS: Mapping[str, tuple[bool, bool]] = {
    "=": (False, True), "!=": (False, False), "=~": (True, True), "!~": (True, False),
}  # fmt: skip
_BACK = {flags: op for op, flags in _OPS.items()}


def exactly(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the matchers of the one alert that has these labels."""
    return [{"label": name, "op": "=", "value": labels[name]} for name in sorted(labels)]


def outward(matchers: Sequence[Mapping[str, str]]) -> list[dict[str, Json]]:
    """Return matchers as the API writes them; `Rejected` names one that it cannot express."""
    made: list[dict[str, Json]] = []
    for place, each in enumerate(matchers):
        flags = _OPS.get(each.get("op", "="))
        if flags is None or not each.get("label"):
            raise Rejected(
                "Alertmanager cannot express one of the matchers.",
                remedy=f"Write a label and one of {', '.join(_OPS)}.",
                problems=(Problem(path=f"/matchers/{place}", message="has no label or an unknown operator"),),
            )
        made.append(
            {"name": each["label"], "value": each.get("value", ""), "isRegex": flags[0], "isEqual": flags[1]}
        )
    return made


def silence_observation(silence: ApiSilence, connection: str, *, url: str = "") -> Observation:
    """Return what the hub sees in a silence. One that has not begun yet is active: its start says the rest."""
    state = {"active": "active", "pending": "active", "expired": "expired"}.get(silence.status.state)
    starts_at, ends_at = from_datetime(silence.startsAt), from_datetime(silence.endsAt)
    values: dict[str, Json] = {
        "matchers": [
            {"label": each.name, "op": _BACK[each.isRegex, each.isEqual], "value": each.value}
            for each in silence.matchers
        ],
        "starts_at": starts_at,
        "ends_at": ends_at,
        "comment": marks.without(silence.comment),
    }
    unknown: dict[str, Json] = {}
    if state is None:
        unknown["state"] = silence.status.state
    else:
        values["state"] = state
    changed = from_datetime(silence.updatedAt) if silence.updatedAt else starts_at
    return Observation(
        kind="silence",
        external=ExternalRef(connection=connection, kind="silence", key=silence.id, url=url),
        values=values,
        event_id=f"silence:{silence.id}:{changed}:{silence.status.state}",
        occurred_at=changed,
        partner_actor=silence.createdBy,
        correlation=marks.found(silence.comment),
        unknown=unknown,
    )


class AlertmanagerApi:
    """The calls of API v2 below `prefix`. One method is at most three requests, each bounded by the client."""

    def __init__(self, http: HttpClient, connection: str, prefix: str, *, page_url: str = "") -> None:
        self._http, self._connection, self._prefix, self._page_url = http, connection, prefix, page_url

    async def alerts(self) -> list[ApiAlert]:
        """Return everything that fires, silenced and inhibited alerts included."""
        answer = await self._http.get(
            f"{self._prefix}/alerts", params={"active": "true", "silenced": "true", "inhibited": "true"}
        )
        return _shaped(_alerts, answer.body, "alerts")

    async def silences(self) -> list[ApiSilence]:
        """Return all silences, those that expired lately included."""
        return _shaped(_silences, (await self._http.get(f"{self._prefix}/silences")).body, "silences")

    async def silence(self, key: str) -> ApiSilence:
        """Return one silence; `NotFound` if there is none."""
        answer = await self._http.get(f"{self._prefix}/silence/{quote(key, safe='')}")
        return _shaped(_silence, answer.body, "silence")

    async def create(
        self,
        *,
        matchers: Sequence[Mapping[str, str]],
        starts_at: int,
        ends_at: int,
        by: str,
        comment: str,
        idempotency_key: str,
    ) -> Written:
        """Create a silence, unless one with this key is there already; answer with what the partner holds."""
        own = marks.mark_of(idempotency_key)
        for each in await self.silences():
            if marks.found(each.comment) == own:
                return self._written(each)
        body = {
            "matchers": outward(matchers),
            "startsAt": to_rfc3339(Instant(starts_at)),
            "endsAt": to_rfc3339(Instant(ends_at)),
            "createdBy": by or "Isthmus",
            "comment": marks.marked((comment or "Silenced by Isthmus.")[:COMMENT_MAX], idempotency_key),
        }
        answer = await self._http.call("POST", f"{self._prefix}/silences", json=body)
        try:
            key = _created(answer.body).id
        except Rejected as cause:
            # It was taken, whatever the answer says: the mark finds it when this is tried again.
            raise UnknownOutcome(f"{answer.where} answered without the silence's id.") from cause
        return self._written(await self.silence(key))

    async def expire(self, key: str) -> Written:
        """End a silence; one that is gone or has ended is done."""
        ref = ExternalRef(connection=self._connection, kind="silence", key=key)
        try:
            held = await self.silence(key)
        except NotFound:
            return Written(ref=ref)
        if held.status.state == "expired":
            return self._written(held)
        await self._http.call("DELETE", f"{self._prefix}/silence/{quote(key, safe='')}")
        try:
            return self._written(await self.silence(key))
        except NotFound:
            return Written(ref=ref)

    def _written(self, silence: ApiSilence) -> Written:
        seen = silence_observation(silence, self._connection, url=self._page_url)
        return Written(ref=seen.external, observation=seen)


def standing(alert: ApiAlert, silences: Mapping[str, ApiSilence], marker: str) -> dict[str, Json]:
    """Return whether an alert is silenced, and acknowledged by a silence whose comment begins with `marker`."""
    acks = [
        found
        for each in alert.status.silencedBy
        if (found := silences.get(each)) is not None and marker and found.comment.startswith(marker)
    ]
    values: dict[str, Json] = {"silenced": bool(alert.status.silencedBy), "acknowledged": bool(acks)}
    if acks:
        first = min(acks, key=lambda each: each.startsAt)
        values |= {"acknowledged_by": first.createdBy, "acknowledged_at": from_datetime(first.startsAt)}
    return values


def _shaped(decode: Callable[[bytes], T], body: bytes, what: str) -> T:
    try:
        return decode(body)
    except Rejected as cause:
        raise Retryable(
            f"GET {what} answered in a shape that is not API v2.",
            remedy="Check that the address is Alertmanager's; compare its version with the manifest.",
        ) from cause
