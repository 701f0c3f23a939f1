"""Client of Zabbix' API: open problems and how they stand, maintenance periods, and updates of problems."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from isthmus.connectors.kit import marks
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.kit.standing import Listing
from isthmus.connectors.zabbix import mapping
from isthmus.connectors.zabbix.config import ZabbixConfig
from isthmus.connectors.zabbix.mapping import Acknowledged, Host, Maintenance, Shown, Trigger
from isthmus.connectors.zabbix.rpc import Rpc
from isthmus.kernel.errors import NeedsOperator, NotFound, Problem, Rejected
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation

PAGES_MAX = 1_000
NAME_MAX = 100  # Zabbix' own limit of a name is 128; our mark takes 27.
_KEY = re.compile(r"(maintenance|event):(\d{1,20})")
_PROBLEM = ["eventid", "objectid", "clock", "name", "severity", "acknowledged", "suppressed", "opdata"]
_UPDATE = ["clock", "action", "message", "username", "name", "surname"]


class _Updated(msgspec.Struct, frozen=True):
    eventid: str
    acknowledges: list[Acknowledged] = []


class _Event(msgspec.Struct, frozen=True):
    eventid: str
    objectid: str
    clock: str


class _Made(msgspec.Struct, frozen=True):
    maintenanceids: list[str]


class ZabbixClient:
    """A `Poller`, `Acknowledger`, `Silencer`, `Annotator` and `Resolver`."""

    def __init__(self, context: Context) -> None:
        config = self._config = cast("ZabbixConfig", context.config)
        if not config.url:
            raise NeedsOperator(
                "The connection has no url, so Zabbix cannot be asked or told anything.",
                remedy="Set url and api_token, or do not schedule polls.",
            )
        self._context = context
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )
        self._rpc = Rpc(self._http, context.secret("api_token"))

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return the version; the second call shows that the token is accepted."""
        version = await self._rpc.call("apiinfo.version", [], str, bare=True)
        await self._rpc.call("problem.get", {"output": ["eventid"], "limit": 1}, list[Any])
        return Probe(product="Zabbix", version=version)

    # Reading ------------------------------------------------------------------------------------------

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield every open problem and what ended since, or the maintenance periods, in pages."""
        listing = Listing(watermark)
        now = Instant(int(time.time() * SECOND))
        found = await (
            self._maintenances(listing, now) if kind == "silence" else self._problems(listing, now)
        )
        size = self._context.limits.page_size_max
        for page in in_pages(found, size=size, watermark=watermark, following=listing.watermark()):
            yield page

    async def _problems(self, listing: Listing, now: Instant) -> list[Observation]:
        open_now = await self._open()
        observed = await self._observed(open_now)
        # A trigger may have several open problems; the oldest is the alert's, the others are part of it.
        first = {each.external.key: each for each in reversed(observed)}
        found = [listing.seen(each) for each in reversed(first.values())]
        gone = listing.ended()
        recoveries = await self._recoveries(sorted(gone)) if gone else {}
        for key, held in gone.items():
            event = recoveries.get(key)
            started = int(held.values.get("starts_at") or 0)
            over = event is not None and int(event.clock) * SECOND >= started
            at = Instant(int(event.clock) * SECOND) if event is not None and over else now
            recovery = event.eventid if event is not None and over else ""
            found.append(mapping.ended(key, held.values, self._context.connection, at, recovery))
        return found

    async def _open(self, triggers: Sequence[str] = (), *, events: Sequence[str] = ()) -> list[Shown]:
        """Return the open problems (of triggers, or by their ids), the oldest first; by keyset, so that none falls between pages."""
        found: list[Shown] = []
        size = self._context.limits.page_size_max
        for _ in range(PAGES_MAX):
            asked: dict[str, Any] = {
                "output": _PROBLEM, "selectTags": "extend", "source": 0, "object": 0, "recent": False,
                "sortfield": ["eventid"], "sortorder": "ASC", "limit": size,
            }  # fmt: skip
            if triggers:
                asked["objectids"] = list(triggers)
            if events:
                asked["eventids"] = list(events)
            if found:
                asked["eventid_from"] = str(int(found[-1].eventid) + 1)
            page = await self._rpc.call("problem.get", asked, list[Shown])
            found += page
            if len(page) < size:
                return found
        raise NeedsOperator(
            f"Zabbix' list of problems did not end within {PAGES_MAX} pages.",
            remedy="Narrow the user's permissions.",
        )

    async def _observed(self, problems: Sequence[Shown]) -> list[Observation]:
        if not problems:
            return []
        wanted = {"triggerids": sorted({each.objectid for each in problems}), "output": ["triggerid", "url"],
                  "selectHosts": ["hostid", "host"]}  # fmt: skip
        triggers = {
            each.triggerid: each for each in await self._rpc.call("trigger.get", wanted, list[Trigger])
        }
        who = await self._acknowledged([each.eventid for each in problems if each.acknowledged == "1"])
        return [
            mapping.from_shown(
                each,
                triggers.get(each.objectid),
                self._context.connection,
                self._config,
                who.get(each.eventid),
            )
            for each in problems
        ]

    async def _updates(self, events: Sequence[str]) -> dict[str, list[Acknowledged]]:
        if not events:
            return {}
        asked = {"eventids": list(events), "output": ["eventid"], "selectAcknowledges": _UPDATE}
        return {
            each.eventid: each.acknowledges
            for each in await self._rpc.call("event.get", asked, list[_Updated])
        }

    async def _acknowledged(self, events: Sequence[str]) -> dict[str, Acknowledged]:
        """Return the update that acknowledged each event, the latest."""
        found: dict[str, Acknowledged] = {}
        for event, updates in (await self._updates(events)).items():
            for each in sorted(updates, key=lambda update: int(update.clock)):
                if int(each.action) & mapping.ACKNOWLEDGE:
                    found[event] = each
        return found

    async def _recoveries(self, triggers: Sequence[str]) -> dict[str, Any]:
        """Return the latest event of each trigger that says OK."""
        asked = {
            "objectids": list(triggers), "source": 0, "object": 0, "value": [0], "output": ["eventid", "objectid", "clock"],
            "sortfield": ["eventid"], "sortorder": "DESC", "limit": len(triggers) * 4,
        }  # fmt: skip
        events = await self._rpc.call("event.get", asked, list[_Event])
        return {each.objectid: each for each in reversed(events)}

    async def _maintenances(self, listing: Listing, now: Instant) -> list[Observation]:
        connection = self._context.connection
        found = [
            listing.seen(mapping.from_maintenance(each, connection, now)) for each in await self._periods()
        ]
        gone = listing.ended()
        return found + [mapping.removed(key, held.values, connection, now) for key, held in gone.items()]

    async def _periods(self, *ids: str) -> list[Maintenance]:
        asked: dict[str, Any] = {
            "output": ["maintenanceid", "name", "active_since", "active_till", "description"],
            "selectHosts": ["hostid", "host"], "selectHostGroups": ["name"], "selectTimeperiods": "extend",
        }  # fmt: skip
        if ids:
            asked["maintenanceids"] = list(ids)
        return await self._rpc.call("maintenance.get", asked, list[Maintenance])

    # Updating problems --------------------------------------------------------------------------------

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Acknowledge the open problems of a trigger that nobody has acknowledged."""
        del labels
        wanted = [each.eventid for each in await self._open([alert]) if each.acknowledged != "1"]
        bits = mapping.ACKNOWLEDGE | mapping.MESSAGE
        await self._update(wanted, bits, message=_said(by, comment, idempotency_key))
        return await self._read_back(alert)

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Take the acknowledgement of the open problems back."""
        del labels
        wanted = [each.eventid for each in await self._open([alert]) if each.acknowledged == "1"]
        bits = mapping.UNACKNOWLEDGE | mapping.MESSAGE
        await self._update(wanted, bits, message=_said(by, comment, idempotency_key))
        return await self._read_back(alert)

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Leave a message at the open problems of a trigger, unless it is there already."""
        del labels
        own = marks.mark_of(idempotency_key)
        updates = await self._updates([each.eventid for each in await self._open([alert])])
        wanted = [
            event
            for event, held in updates.items()
            if not any(marks.found(each.message) == own for each in held)
        ]
        await self._update(wanted, mapping.MESSAGE, message=_said(by, text, idempotency_key))
        return Written(ref=self._ref("alert", alert))

    async def resolve(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Close the open problems of a trigger, which must allow manual closing; none open is done."""
        del labels
        wanted = [each.eventid for each in await self._open([alert])]
        bits = mapping.CLOSE | mapping.MESSAGE
        await self._update(wanted, bits, message=_said(by, comment, idempotency_key))
        return Written(ref=self._ref("alert", alert))

    async def _update(self, events: Sequence[str], bits: int, **more: Any) -> None:
        if events:
            asked = {"eventids": list(events), "action": bits, **more}
            await self._rpc.call("event.acknowledge", asked, Any, writes=True)

    async def _read_back(self, alert: str) -> Written:
        observed = await self._observed(await self._open([alert]))
        ref = self._ref("alert", alert)
        return Written(ref=ref, observation=observed[0] if observed else None)

    # Silences -----------------------------------------------------------------------------------------

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
        """Suppress the open problem of a trigger until then, or put hosts in maintenance."""
        if alert:
            return await self._suppress(alert, starts_at, ends_at, _said(by, comment, idempotency_key))
        own = marks.mark_of(idempotency_key)
        held = next((each for each in await self._periods() if marks.found(each.name) == own), None)
        if held is None:
            hosts = await self._hosts(matchers)
            since, till = starts_at // SECOND, max(ends_at // SECOND, starts_at // SECOND + 300)
            asked = {
                "name": marks.marked((comment or "Isthmus")[:NAME_MAX], idempotency_key), "description": f"{by or 'Isthmus'}: {comment}",
                "active_since": since, "active_till": till, "maintenance_type": 0,
                "hosts": [{"hostid": each.hostid} for each in hosts],
                "timeperiods": [{"timeperiod_type": 0, "start_date": since, "period": till - since}],
            }  # fmt: skip
            made = await self._rpc.call("maintenance.create", asked, _Made, writes=True)
            held = (await self._periods(*made.maintenanceids))[0]
        seen = mapping.from_maintenance(held, self._context.connection, Instant(int(time.time() * SECOND)))
        return Written(ref=seen.external, observation=seen)

    async def _suppress(self, alert: str, starts_at: int, ends_at: int, message: str) -> Written:
        if starts_at > time.time() * SECOND + 60 * SECOND:
            raise Rejected(
                "Zabbix suppresses a problem from now on, not from a later time.",
                remedy="Silence it when it is time, or put its host in maintenance by matchers.",
            )
        problems = await self._open([alert])
        if not problems:
            raise NotFound("The trigger has no open problem (any more).", remedy="It has ended.")
        wanted = [each.eventid for each in problems if each.suppressed != "1"]
        bits = mapping.SUPPRESS | mapping.MESSAGE
        await self._update(wanted, bits, suppress_until=ends_at // SECOND, message=message)
        return Written(ref=self._ref("silence", f"event:{problems[0].eventid}"))

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """End a maintenance period early, or take the suppression of a problem back; gone already is done."""
        found = _KEY.fullmatch(silence)
        if found is None:
            raise Rejected(
                "This is not the key of a silence of Zabbix.", remedy="Keys are maintenance:1 or event:1."
            )
        kind, key = found.groups()
        if kind == "maintenance":
            if await self._periods(key):
                await self._rpc.call("maintenance.delete", [key], Any, writes=True)
        else:
            wanted = [each.eventid for each in await self._open(events=[key]) if each.suppressed == "1"]
            bits = mapping.UNSUPPRESS | mapping.MESSAGE
            await self._update(wanted, bits, message=_said(by, comment, idempotency_key))
        return Written(ref=self._ref("silence", silence))

    async def _hosts(self, matchers: Sequence[Mapping[str, str]]) -> list[Host]:
        """Return the hosts that matchers name; `Rejected` if Zabbix cannot say them."""
        names = []
        for place, each in enumerate(matchers):
            if each.get("label") != "host" or each.get("op", "=") != "=":
                raise Rejected(
                    "Zabbix puts hosts in maintenance that are named, not what fits a pattern.",
                    remedy="Match host exactly, or silence one alert.",
                    problems=(Problem(path=f"/matchers/{place}", message="cannot be expressed"),),
                )
            names.append(each.get("value", ""))
        asked = {"output": ["hostid", "host"], "filter": {"host": names}}
        hosts = await self._rpc.call("host.get", asked, list[Host]) if len(set(names)) == 1 else []
        if not hosts:
            raise Rejected("No host fits the matchers.", remedy="Match one host by its technical name.")
        return hosts

    def _ref(self, kind: str, key: str) -> ExternalRef:
        return ExternalRef(connection=self._context.connection, kind=kind, key=key)


def _said(by: str, text: str, idempotency_key: str) -> str:
    """Return a message in the name of a person: to Zabbix it comes from the token's user."""
    return marks.marked(f"{by or 'Isthmus'}: {text}"[: mapping.TEXT_MAX], idempotency_key)
