"""Client of the agent beside Nagios: how everything stands, and commands whose effect is looked for.

Nagios' command pipe gives no answer, and a refused command is silent. So each verb looks whether its effect is there
already, passes the command on, and looks until the effect shows or the patience of the connection is over.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from isthmus.connectors.kit import marks
from isthmus.connectors.kit.http import HttpClient, Trust
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.kit.standing import Listing
from isthmus.connectors.kit.webhook import decoder
from isthmus.connectors.nagios import mapping
from isthmus.connectors.nagios.config import NagiosConfig
from isthmus.connectors.nagios.mapping import Comment, Downtime, Shown, Standing
from isthmus.kernel.errors import NeedsOperator, NotFound, Problem, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation
from isthmus.kernel.signature import SCHEMES

_decode = decoder(Standing)
_LOOK_SECONDS = 1.0
AUTHOR_MAX = 100
TEXT_BYTES_MAX = 2_500
_KEY = re.compile(r"(host|service):(\d{1,18})")


class NagiosClient:
    """A `Poller`, `Acknowledger`, `Silencer` and `Annotator`."""

    def __init__(self, context: Context) -> None:
        config = self._config = cast("NagiosConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so Nagios cannot be asked or told anything.",
                remedy="Run the agent on the Nagios host and set url, or do not schedule polls.",
            )
        self._context = context
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
            trust=Trust(ca=config.ca),
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return the running version."""
        return Probe(product="Nagios", version=(await self._standing()).version or "not told")

    async def _call(self, path: str, asked: Mapping[str, Any], *, writes: bool) -> bytes:
        # The moment makes two equal requests differ: the agent hears each signature once.
        body = msgspec.json.encode({**asked, "nonce": time.time_ns()})
        now = Instant(int(time.time() * SECOND))
        headers = SCHEMES["isthmus"].sign(body, self._context.secret("secret"), now)
        headers["Content-Type"] = "application/json"
        answer = await self._http.call("POST", path, data=body, headers=headers, writes=writes)
        return answer.body

    async def _standing(self, *names: str) -> Standing:
        body = await self._call("/v1/status", {"names": list(names)}, writes=False)
        try:
            return _decode(body)
        except Rejected as cause:
            raise Retryable(
                "The agent's answer is not in its own shape.", remedy="Compare the versions of hub and agent."
            ) from cause

    # Reading ------------------------------------------------------------------------------------------

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield every problem and what recovered since, or the downtimes, in pages of the connection's size."""
        listing = Listing(watermark)
        found = await (self._downtimes(listing) if kind == "silence" else self._problems(listing))
        size = self._context.limits.page_size_max
        for page in in_pages(found, size=size, watermark=watermark, following=listing.watermark()):
            yield page

    async def _problems(self, listing: Listing) -> list[Observation]:
        known = listing.ended()  # Nothing was seen yet: everything that was a problem at the last poll.
        standing = await self._standing(*sorted(known))
        who = _acknowledgements(standing)
        found = [listing.seen(self._observed(each, who)) for each in standing.objects if each.firing]
        there = {each.name: each for each in standing.objects}
        for key, held in listing.ended().items():
            if key in there:
                found.append(self._observed(there[key], who))
            else:
                found.append(self._deleted(key, held.values, Instant(standing.created * SECOND)))
        return found

    async def _downtimes(self, listing: Listing) -> list[Observation]:
        standing, connection = await self._standing(), self._context.connection
        found = [listing.seen(mapping.from_downtime(each, connection)) for each in standing.downtimes]
        now = Instant(standing.created * SECOND)
        return found + [
            mapping.removed(key, held.values, connection, now) for key, held in listing.ended().items()
        ]

    def _observed(self, shown: Shown, who: Mapping[str, Comment]) -> Observation:
        return mapping.from_shown(shown, self._context.connection, self._config, who.get(shown.name))

    def _deleted(self, key: str, held: Mapping[str, Any], now: Instant) -> Observation:
        """An object that was taken out of the configuration cannot recover any more."""
        return Observation(
            kind="alert",
            external=ExternalRef(connection=self._context.connection, kind="alert", key=key),
            values={**held, "state": "resolved", "ends_at": now, "acknowledged": False, "silenced": False},
            event_id=f"{key}:{held.get('starts_at')}:deleted",
            occurred_at=now,
        )

    # Acting -------------------------------------------------------------------------------------------

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Acknowledge a problem, unless it is acknowledged already or has recovered."""
        del labels
        shown = await self._settled(alert, lambda each: not each.firing)
        if shown.firing and not shown.acknowledged:
            await self._command(
                "acknowledge", alert, by, _said(comment, idempotency_key),
                sticky=self._config.sticky, notify=self._config.notify,
            )  # fmt: skip
            await self._shows(alert, lambda each: each.acknowledged or not each.firing)
        return await self._read_back(alert)

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Take an acknowledgement back; Nagios keeps neither who did it nor why."""
        del labels, idempotency_key
        shown = await self._settled(alert, lambda each: not each.acknowledged)
        if shown.acknowledged:
            await self._command("unacknowledge", alert, by, comment)
            await self._shows(alert, lambda each: not each.acknowledged)
        return await self._read_back(alert)

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Add a comment to an object, unless it is there already."""
        del labels
        own = marks.mark_of(idempotency_key)

        def there(standing: Standing) -> bool:
            return any(marks.found(each.text) == own for each in standing.comments)

        standing, _ = await self._one(alert)
        if not there(standing):
            await self._command("comment", alert, by, _said(text, idempotency_key))
            await self._until(there)
        return Written(ref=ExternalRef(connection=self._context.connection, kind="alert", key=alert))

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
        """Schedule a fixed downtime of one host or service; Nagios knows no patterns."""
        target, own = alert or _named(matchers), marks.mark_of(idempotency_key)
        standing, _ = await self._one(target)
        made = _own(standing, own)
        if made is None:
            span = {"start": starts_at // SECOND, "end": max(ends_at // SECOND, starts_at // SECOND + 1)}
            await self._command("downtime", target, by, _said(comment, idempotency_key), **span)
            standing = await self._until(lambda each: _own(each, own) is not None)
            made = _own(standing, own)
        assert made is not None  # noqa: S101 - `_until` returns only once it is there
        seen = mapping.from_downtime(made, self._context.connection)
        return Written(ref=seen.external, observation=seen)

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """Remove a downtime; gone already is done."""
        del by, comment, idempotency_key
        found = _KEY.fullmatch(silence)
        if found is None:
            raise Rejected(
                "This is not the key of a downtime of Nagios.", remedy="Keys are host:1 or service:1."
            )

        def gone(standing: Standing) -> bool:
            return all(mapping.downtime_key(each) != silence for each in standing.downtimes)

        if not gone(await self._standing()):
            asked = {
                "do": "remove_downtime",
                "id": int(found.group(2)),
                "check": found.group(1) == "service",
            }
            await self._call("/v1/commands", asked, writes=True)
            await self._until(gone)
        return Written(ref=ExternalRef(connection=self._context.connection, kind="silence", key=silence))

    async def _command(self, what: str, target: str, by: str, comment: str, **more: Any) -> None:
        host, check = mapping.split(target)
        asked = {
            "do": what,
            "host": host,
            "check": check,
            "author": (by or "Isthmus")[:AUTHOR_MAX],
            "comment": comment,
            **more,
        }
        await self._call("/v1/commands", asked, writes=True)

    async def _one(self, alert: str) -> tuple[Standing, Shown]:
        standing = await self._standing(alert)
        for each in standing.objects:
            if each.name == alert:
                return standing, each
        raise NotFound("Nagios has no such host or service (any more).", remedy="It was deleted or renamed.")

    async def _settled(self, alert: str, over: Callable[[Shown], bool]) -> Shown:
        """Return an object as it stands. That nothing is to be done is believed only once the status was written
        anew: a notification is faster than the file, which would show the problem that it tells of as none."""
        standing, shown = await self._one(alert)
        first, deadline = standing.created, time.monotonic() + self._config.confirm_seconds
        while over(shown) and standing.created <= first and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            standing, shown = await self._one(alert)
        return shown

    async def _shows(self, alert: str, wanted: Callable[[Shown], bool]) -> None:
        await self._until(
            lambda standing: any(each.name == alert and wanted(each) for each in standing.objects), alert
        )

    async def _until(self, wanted: Callable[[Standing], bool], *names: str) -> Standing:
        """Return how everything stands once it is as wanted: the pipe gave no answer, this is the only one."""
        deadline = time.monotonic() + self._config.confirm_seconds
        while True:
            try:
                standing = await self._standing(*names)
            except Retryable as cause:
                raise UnknownOutcome(cause.text, remedy=cause.remedy) from cause
            if wanted(standing):
                return standing
            if time.monotonic() >= deadline:
                raise UnknownOutcome(
                    "Nagios was given the command, but its status does not show the effect.",
                    remedy="Check check_external_commands, status_update_interval and the log of Nagios.",
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _read_back(self, alert: str) -> Written:
        standing, shown = await self._one(alert)
        seen = self._observed(shown, _acknowledgements(standing))
        return Written(ref=seen.external, observation=seen)


def _said(text: str, idempotency_key: str) -> str:
    """Return a comment with its mark, cut before the mark: by the agent's limit, and by what Nagios' pipe takes."""
    return marks.marked(text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore"), idempotency_key)


def _acknowledgements(standing: Standing) -> dict[str, Comment]:
    """Return the latest acknowledgement of each object: older comments may outlive theirs."""
    return {
        each.name: each for each in sorted(standing.comments, key=lambda each: each.at) if each.acknowledges
    }


def _own(standing: Standing, own: str) -> Downtime | None:
    return next((each for each in standing.downtimes if marks.found(each.comment) == own), None)


def _named(matchers: Sequence[Mapping[str, str]]) -> str:
    """Return the one object that matchers name; `Rejected` if they are a pattern, or about something else."""
    found: dict[str, str] = {}
    for place, each in enumerate(matchers):
        label = each.get("label", "")
        if each.get("op", "=") != "=" or label not in {"host", "check"} or label in found:
            raise Rejected(
                "Nagios puts one host or service in downtime, not what fits a pattern.",
                remedy="Match host (and check) exactly, or silence one alert.",
                problems=(Problem(path=f"/matchers/{place}", message="cannot be expressed"),),
            )
        found[label] = each.get("value", "")
    if not found.get("host"):
        raise Rejected("No host is named.", remedy="Match host exactly, or silence one alert.")
    return mapping.key_of(found["host"], found.get("check", ""))
