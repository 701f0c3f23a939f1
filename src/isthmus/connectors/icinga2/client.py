"""Client of Icinga 2's API: how every object stands, downtimes, the event stream, and the actions of the hub.

Names never become part of a filter expression: they travel as `filter_vars`, so a host whose name holds a quote cannot
change what is asked.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from isthmus.connectors.icinga2 import mapping
from isthmus.connectors.icinga2.config import Icinga2Config
from isthmus.connectors.icinga2.filters import of_matchers
from isthmus.connectors.icinga2.following import Following
from isthmus.connectors.icinga2.mapping import Comment, Downtime, Object
from isthmus.connectors.kit import marks
from isthmus.connectors.kit.http import Basic, HttpClient, Trust
from isthmus.connectors.kit.paging import in_pages
from isthmus.connectors.kit.ports import Context, Page, Probe, Written
from isthmus.connectors.kit.reactions import error
from isthmus.connectors.kit.standing import Listing
from isthmus.connectors.kit.webhook import decoder
from isthmus.kernel.errors import NotFound, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.instant import SECOND, Instant
from isthmus.kernel.observation import ExternalRef, Observation

T = TypeVar("T")
SCOPES = (
    "objects/query/Host", "objects/query/Service", "objects/query/Comment", "objects/query/Downtime", "events/*",
    "actions/acknowledge-problem", "actions/remove-acknowledgement", "actions/schedule-downtime",
    "actions/remove-downtime", "actions/add-comment",
)  # fmt: skip
PROBLEMS = "{}.last_hard_state != 0"
LINE_BYTES_MAX = 2_000_000


class _Named(msgspec.Struct, frozen=True):
    name: str
    attrs: Any


class _Permission(msgspec.Struct, frozen=True):
    permission: str = ""


class _User(msgspec.Struct, frozen=True):
    version: str
    permissions: list[str | _Permission]


class _Results(msgspec.Struct, frozen=True):
    results: list[msgspec.Raw]


_results = decoder(_Results)


class Icinga2Client:
    """A `Poller`, `Streamer`, `Acknowledger`, `Silencer` and `Annotator`."""

    def __init__(self, context: Context) -> None:
        config = self._config = cast("Icinga2Config", context.config)
        self._context = context
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Accept": "application/json"},
            basic=Basic(user=config.user, password=context.secret("password")),
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
            trust=Trust(ca=config.ca, name=config.tls_name),
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def probe(self) -> Probe:
        """Return the version, and the permissions that the API user lacks."""
        answer = await self._http.get("/v1")
        user = _each(_User, answer.body)[0]
        held = [each if isinstance(each, str) else each.permission for each in user.permissions]
        missing = tuple(scope for scope in SCOPES if not any(_allows(each, scope) for each in held))
        return Probe(product="Icinga 2", version=user.version, missing_scopes=missing)

    # Reading ------------------------------------------------------------------------------------------

    async def changed_since(self, kind: str, watermark: str) -> AsyncIterator[Page]:
        """Yield every problem and what recovered since, or the downtimes, in pages of the connection's size."""
        listing = Listing(watermark)
        found = await (self._downtimes(listing) if kind == "silence" else self._problems(listing))
        size = self._context.limits.page_size_max
        for page in in_pages(found, size=size, watermark=watermark, following=listing.watermark()):
            yield page

    async def _problems(self, listing: Listing) -> list[Observation]:
        objects = [each for each in await self.objects(PROBLEMS, {}) if mapping.fires(each)]
        seen = [listing.seen(each) for each in await self.observed(objects)]
        gone = listing.ended()
        now = Instant(int(time.time() * SECOND))
        if gone:
            recovered = await self.objects("{}.__name in names", {"names": sorted(gone)})
            checked = [each for each in recovered if not mapping.pending(each)]
            seen += [each for each in await self.observed(checked) if each.values["state"] == "resolved"]
            for each in recovered:
                if mapping.pending(each):
                    # Icinga has lost its memory of it and has not looked yet.
                    listing.keep(each.name, now)
            # An object that was deleted while it was a problem cannot recover any more.
            deleted = gone.keys() - {each.name for each in recovered}
            seen += [self._deleted(key, gone[key].values, now) for key in sorted(deleted)]
        return seen

    def _deleted(self, key: str, held: Mapping[str, Any], now: Instant) -> Observation:
        return Observation(
            kind="alert",
            external=ExternalRef(connection=self._context.connection, kind="alert", key=key),
            values={**held, "state": "resolved", "ends_at": now, "acknowledged": False, "silenced": False},
            event_id=f"{key}:{held.get('starts_at')}:deleted",
            occurred_at=now,
        )

    async def _downtimes(self, listing: Listing) -> list[Observation]:
        connection = self._context.connection
        found = [
            listing.seen(mapping.from_downtime(each.name, msgspec.convert(each.attrs, Downtime), connection))
            for each in await self._query("downtimes", "", {}, _Named)
        ]
        now = Instant(int(time.time() * SECOND))
        return found + [
            mapping.removed(name, held.values, connection, now) for name, held in listing.ended().items()
        ]

    async def objects(self, condition: str, variables: Mapping[str, Any]) -> list[Object]:
        """Return the hosts and services that fit a condition on `{}`, the object."""
        hosts = await self._query(
            "hosts", condition.format("host"), variables, Object, attrs=[*mapping.ATTRIBUTES, "address"]
        )
        services = await self._query(
            "services",
            condition.format("service"),
            variables,
            Object,
            attrs=[*mapping.ATTRIBUTES, "host_name"],
            joins=["host.address", "host.vars"],
        )
        return hosts + services

    async def observed(self, objects: Sequence[Object]) -> list[Observation]:
        """Return the observations of objects; who acknowledged them is asked for once, if anybody did."""
        who: dict[str, Comment] = {}
        if any(each.attrs.acknowledgement for each in objects):
            who = await self.acknowledgements()
        return [
            mapping.from_object(each, self._context.connection, self._config, who.get(each.name))
            for each in objects
        ]

    async def acknowledgements(self) -> dict[str, Comment]:
        """Return the acknowledgement in force of each object that has one, by the object's name."""
        found = await self._query(
            "comments", "comment.entry_type == t", {"t": mapping.ACKNOWLEDGEMENT}, _Named
        )
        comments = [msgspec.convert(each.attrs, Comment) for each in found]
        return {mapping.key_of(each.host_name, each.service_name): each for each in comments}

    async def _query(
        self, kind: str, condition: str, variables: Mapping[str, Any], shape: type[T], **more: Any
    ) -> list[T]:
        asked = {**more, "filter": condition, "filter_vars": dict(variables)} if condition else dict(more)
        answer = await self._http.exchange(
            "POST",
            f"/v1/objects/{kind}",
            json=asked,
            headers={"X-HTTP-Method-Override": "GET"},
            writes=False,
        )
        # Icinga answers 404 where nothing fits a filter; a proxy's 404 must not look like "no problems".
        if answer.status == 404 and answer.wild()["error"].raw() == 404:
            return []
        if (fault := error(answer, writes=False, now=time.time())) is not None:
            raise fault
        return _each(shape, answer.body)

    # The event stream -----------------------------------------------------------------------------------

    async def stream(self, kind: str) -> AsyncIterator[Page]:
        """Yield how everything stands once the stream is open, then what happens."""
        del kind
        following = Following(self, self._context.connection, self._config)
        asked = {"queue": f"isthmus-{self._context.connection}", "types": list(mapping.EVENTS)}
        lines = self._http.lines(
            "POST",
            "/v1/events",
            json=asked,
            quiet_seconds=float(self._config.quiet_seconds),
            line_bytes_max=LINE_BYTES_MAX,
        )
        size = self._context.limits.page_size_max
        async for bunch in lines:
            found = await following.told(bunch)
            for page in in_pages(found, size=size, watermark="", following=""):
                yield page

    # Actions --------------------------------------------------------------------------------------------

    async def acknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Acknowledge a problem, unless it is acknowledged already or has recovered."""
        del labels
        held = await self._one(alert)
        if mapping.fires(held) and not held.attrs.acknowledgement:
            await self._act(
                "acknowledge-problem", alert, author=by or "Isthmus", comment=_said(comment, idempotency_key),
                sticky=self._config.sticky, notify=self._config.notify, persistent=False,
            )  # fmt: skip
        return await self._read_back(alert)

    async def unacknowledge(
        self, *, alert: str, labels: Mapping[str, str], by: str, comment: str, idempotency_key: str
    ) -> Written:
        """Take an acknowledgement back."""
        del labels, comment, idempotency_key
        if (await self._one(alert)).attrs.acknowledgement:
            await self._act("remove-acknowledgement", alert, author=by or "Isthmus")
        return await self._read_back(alert)

    async def annotate(
        self, *, alert: str, labels: Mapping[str, str], by: str, text: str, idempotency_key: str
    ) -> Written:
        """Add a comment to an object, unless it is there already."""
        del labels
        own = {"m": f"*{marks.tag(idempotency_key)}"}
        if not await self._query("comments", "match(m, comment.text)", own, _Named):
            await self._act(
                "add-comment", alert, author=by or "Isthmus", comment=_said(text, idempotency_key)
            )
        return Written(ref=self._ref("alert", alert))

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
        """Schedule a fixed downtime of one object, or of every object that fits the matchers."""
        own = marks.tag(idempotency_key)
        if not await self._own_downtimes(own):
            what = _target(alert) if alert else of_matchers(matchers)
            asked = {
                **what, "author": by or "Isthmus", "comment": _said(comment, idempotency_key), "fixed": True,
                "start_time": starts_at / SECOND, "end_time": ends_at / SECOND,
            }  # fmt: skip
            await self._http.call("POST", "/v1/actions/schedule-downtime", json=asked)
        made = await self._own_downtimes(own)
        if not made:
            raise UnknownOutcome("Icinga scheduled the downtime, but does not show it.")
        first = made[0]
        if len(made) > 1:
            # One act, many downtimes: its mark names them all.
            return Written(ref=self._ref("silence", own))
        seen = mapping.from_downtime(
            first.name, msgspec.convert(first.attrs, Downtime), self._context.connection
        )
        return Written(ref=seen.external, observation=seen)

    async def unsilence(self, *, silence: str, by: str, comment: str, idempotency_key: str) -> Written:
        """Remove a downtime by its name, or all that one act of ours scheduled by their mark."""
        del comment, idempotency_key
        if marks.found(silence):
            what = {"filter": "match(m, downtime.comment)", "filter_vars": {"m": f"*{silence}"}}
            there = await self._own_downtimes(silence)
        else:
            what = {"filter": "downtime.__name == n", "filter_vars": {"n": silence}}
            there = await self._query("downtimes", str(what["filter"]), {"n": silence}, _Named)
        if there:
            await self._http.call(
                "POST",
                "/v1/actions/remove-downtime",
                json={"type": "Downtime", **what, "author": by or "Isthmus"},
            )
        return Written(ref=self._ref("silence", silence))

    async def _own_downtimes(self, own: str) -> list[_Named]:
        return await self._query("downtimes", "match(m, downtime.comment)", {"m": f"*{own}"}, _Named)

    async def _act(self, action: str, alert: str, **said: Any) -> None:
        await self._http.call("POST", f"/v1/actions/{action}", json={**_target(alert), **said})

    async def _one(self, alert: str) -> Object:
        kind = "services" if mapping.split(alert)[1] else "hosts"
        target = _target(alert)
        attrs = [*mapping.ATTRIBUTES, "host_name" if kind == "services" else "address"]
        joins = {"joins": ["host.address", "host.vars"]} if kind == "services" else {}
        found = await self._query(kind, target["filter"], target["filter_vars"], Object, attrs=attrs, **joins)
        if not found:
            raise NotFound(
                "Icinga has no such host or service (any more).", remedy="It was deleted or renamed."
            )
        return found[0]

    async def _read_back(self, alert: str) -> Written:
        seen = (await self.observed([await self._one(alert)]))[0]
        return Written(ref=seen.external, observation=seen)

    def _ref(self, kind: str, key: str) -> ExternalRef:
        return ExternalRef(connection=self._context.connection, kind=kind, key=key)


def _target(alert: str) -> dict[str, Any]:
    """Return how an action names one object."""
    kind = "service" if mapping.split(alert)[1] else "host"
    return {"type": kind.capitalize(), "filter": f"{kind}.__name == n", "filter_vars": {"n": alert}}


def _said(text: str, idempotency_key: str) -> str:
    return marks.marked((text or "By Isthmus.")[: mapping.OUTPUT_MAX], idempotency_key)


def _allows(held: str, scope: str) -> bool:
    """Return whether a permission, which may end in a wildcard, covers a scope."""
    return held == scope or (held.endswith("*") and scope.startswith(held[:-1]))


def _each(shape: type[T], body: bytes) -> list[T]:
    """Return the results of an answer in the shape asked for."""
    try:
        return [msgspec.json.decode(each, type=shape) for each in _results(body).results]
    except (Rejected, msgspec.ValidationError) as cause:
        raise Retryable(
            "Icinga answered in a shape that is not that of API v1.",
            remedy="Check that the address is Icinga's API; compare its version with the manifest.",
        ) from cause
