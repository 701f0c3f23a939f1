"""Client of Datadog's API: which groups of monitors are open; downtimes and notes, each once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from isthmus.connectors.datadog.config import DatadogConfig
from isthmus.connectors.datadog.mapping import (
    OPEN_STATES,
    Monitor,
    from_group,
    over,
    split_key,
)
from isthmus.connectors.kit import marks
from isthmus.connectors.kit.episodes import Episodes
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.paging import by_keyset
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator, NotFound, Rejected, Retryable
from isthmus.kernel.instant import SECOND, Instant, to_rfc3339
from isthmus.kernel.observation import ExternalRef, Observation

_LOOK_BACK_SECONDS = 3 * 86_400
_TEXT_CHARACTERS_MAX = 3_900  # Datadog's own limit of an event's text is 4,000.
_VALUE_FORBIDDEN = frozenset(' "():,')


class DatadogClient:
    """A `Poller` that mutes by downtimes and leaves notes as events."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.time) -> None:
        config = cast("DatadogConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so it cannot be called.",
                remedy="Set url and keys, or only receive.",
            )
        self._context, self._config, self._clock = context, config, clock
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={
                "DD-API-KEY": context.secret("api_key"),
                "DD-APPLICATION-KEY": context.secret("application_key"),
            },
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Ask whether the keys are valid."""
        answer = await self._http.get("/api/v1/validate")
        if answer.wild()["valid"].tame(wild.boolean) is not True:
            raise NeedsOperator(
                "Datadog does not know the API key.", remedy="Renew the connection's api_key."
            )
        return Probe(product="Datadog", version="API v1, v2")

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield every open group, then those that were open at the last poll and are not any more."""
        del kind
        episodes = Episodes.after(watermark)
        async for monitors in by_keyset(
            self._monitors, key=lambda each: str(each.id), start="0", size=self._context.limits.page_size_max
        ):
            found = [each for monitor in monitors for each in self._open(monitor, episodes)]
            yield Page(observations=found, watermark=watermark)
        ended = [
            over(key, held.since, held.labels, held.summary, self._context.connection)
            for key, held in episodes.ended().items()
        ]
        yield Page(observations=ended, watermark=episodes.watermark())

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
        """Schedule a downtime, unless the one with our mark is there already."""
        own = marks.tag(idempotency_key)
        held = await self._downtime(own)
        if held:
            return self._written("downtime", held)
        if alert:
            monitor, scope = split_key(alert)
            identifier: dict[str, Any] = {"monitor_id": monitor}
            wanted = " AND ".join(scope.split(",")) if scope else "*"
        else:
            identifier, wanted = {"monitor_tags": ["*"]}, _scope(matchers)
        attributes = {
            "monitor_identifier": identifier,
            "scope": wanted,
            "message": f"{comment} – {by}\n{own}",
            "schedule": {"start": to_rfc3339(Instant(starts_at)), "end": to_rfc3339(Instant(ends_at))},
            "mute_first_recovery_notification": False,
        }
        body = {"data": {"type": "downtime", "attributes": attributes}}
        answer = await self._http.call("POST", "/api/v2/downtime", json=body)
        return self._written("downtime", answer.wild()["data"]["id"].tame(wild.named))

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """Cancel a downtime; one that is gone is cancelled."""
        del by, comment, idempotency_key
        if not silence.replace("-", "").isalnum():
            raise Rejected("This is not the id of a downtime.", remedy="Give the id that Datadog shows.")
        try:
            await self._http.call("DELETE", f"/api/v2/downtime/{silence}")
        except NotFound:
            return self._written("downtime", silence)
        return self._written("downtime", silence)

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Leave a note as an event about the monitor, once."""
        del labels
        monitor, scope = split_key(alert)
        tag = f"isthmus:{marks.mark_of(idempotency_key)}"
        now = round(self._clock())
        params: dict[str, str | int] = {"start": now - _LOOK_BACK_SECONDS, "end": now + 60, "tags": tag}
        events = (await self._http.get("/api/v1/events", params=params)).wild()["events"]
        for each in events.items():
            return self._written("event", each["id"].tame(wild.scalar))
        body = {
            "title": f"Note on monitor {monitor}",
            "text": f"{by}: {text}"[:_TEXT_CHARACTERS_MAX],
            "tags": [tag, f"monitor:{monitor}", *[each for each in scope.split(",") if each]],
            "aggregation_key": f"isthmus-{monitor}"[:100],
            "alert_type": "info",
        }
        answer = await self._http.call("POST", "/api/v1/events", json=body)
        return self._written("event", answer.wild()["event"]["id"].tame(wild.scalar))

    async def _downtime(self, own: str) -> str:
        """Return the id of the downtime that carries our mark, or ""."""
        offset = 0
        for _ in range(100):
            answer = await self._http.get(
                "/api/v2/downtime",
                params={"current_only": "true", "page[limit]": 100, "page[offset]": offset},
            )
            rows = list(answer.wild()["data"].items())
            for each in rows:
                message = each["attributes"]["message"].raw()
                if isinstance(message, str) and own in message:
                    return each["id"].tame(wild.named)
            if len(rows) < 100:
                return ""
            offset += 100
        return ""

    async def _monitors(self, after: str, limit: int) -> Sequence[Monitor]:
        params: dict[str, str | int] = {
            "group_states": "alert,warn,no data", "with_downtimes": "true", "id_offset": after, "page_size": limit,
        }  # fmt: skip
        if self._config.monitor_tags:
            params["monitor_tags"] = ",".join(self._config.monitor_tags)
        answer = await self._http.get("/api/v1/monitor", params=params)
        try:
            return msgspec.convert(answer.wild().raw(), list[Monitor])
        except msgspec.ValidationError as cause:
            raise Retryable(
                f"{answer.where} answered in a shape that is not the Monitors API.",
                remedy="Check that the address is Datadog's API.",
            ) from cause

    def _open(self, monitor: Monitor, episodes: Episodes) -> list[Observation]:
        found = []
        for name, group in monitor.state.groups.items():
            if group.status not in OPEN_STATES:
                continue
            each = from_group(monitor, name, group, self._context.connection, self._config)
            since = Instant(int(group.last_triggered_ts or 0) * SECOND)
            labels = {
                str(key): str(value) for key, value in cast("dict[str, str]", each.values["labels"]).items()
            }
            episodes.fires(each.external.key, since, labels, monitor.name)
            found.append(each)
        return found

    def _written(self, kind: str, key: str) -> Written:
        return Written(ref=ExternalRef(connection=self._context.connection, kind=kind, key=key))


def _scope(matchers: Sequence[Mapping[str, str]]) -> str:
    """Return matchers as a scope; Datadog has no regular expressions in scopes, and we widen none."""
    parts = []
    for each in matchers:
        name, operation, value = each["label"], each["op"], each["value"]
        if operation not in {"=", "!="} or not value or _VALUE_FORBIDDEN & set(name + value):
            raise Rejected(
                f"Datadog cannot mute by {name} {operation}: a scope holds equal or unequal tags only.",
                remedy="Mute by equal labels, or mute the alert itself.",
            )
        parts.append(f"{'NOT ' if operation == '!=' else ''}{name}:{value}")
    if not parts:
        raise Rejected("A silence without matchers would mute everything.", remedy="Name at least one label.")
    return " AND ".join(parts)
