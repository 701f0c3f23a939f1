"""Client of the REST API v2: reads incidents, and acts on them in the name of one user of PagerDuty."""

from __future__ import annotations

import asyncio
import email.utils
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, cast

import msgspec

from isthmus.connectors.kit import marks
from isthmus.connectors.kit.http import HttpClient
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.reactions import Answer
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.mapping import Incident
from isthmus.kernel import wild
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable
from isthmus.kernel.instant import SECOND, Instant

T = TypeVar("T")
_ACCEPT = "application/vnd.pagerduty+json;version=2"
ROWS_MAX = 10_000
"""PagerDuty refuses `offset + limit` beyond this."""
NOTE_CHARACTERS_MAX = 24_000
LOOKS = (0.0, 0.5, 1.5)
"""Seconds before each look for what an event did: events are worked on after their answer."""
_MERGED_MAX = 3


class Rest:
    """The REST API of one account, as far as its key may see."""

    def __init__(self, context: Context) -> None:
        self.config = cast("PagerDutyConfig", context.config)
        token = context.secret("api_token")
        self.usable = bool(self.config.url and token)
        self._http = HttpClient(
            self.config.url or "https://api.pagerduty.com",
            limits=context.limits,
            headers={"Authorization": f"Token token={token}", "Accept": _ACCEPT},
            secrets=tuple(context.secrets.values()),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Release the session."""
        await self._http.close()

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Read; `NeedsOperator` if the connection has no key."""
        if not self.usable:
            raise NeedsOperator(
                "The connection has no key of PagerDuty's REST API.",
                remedy="Set api_token, or set url to nothing if REST is not to be used.",
            )
        return await self._http.get(path, params=params)

    async def their_time(self) -> Instant:
        """Return the partner's clock: what happens while we read is read again later."""
        answer = await self.get("/incidents", {"limit": 1, "statuses[]": "triggered"})
        decoded(answer, "incidents", list[Incident])  # The date of a proxy's error page is not theirs.
        return _date(answer)

    async def incident(self, key: str) -> Incident:
        """Return one incident by its id."""
        return decoded(await self.get(f"/incidents/{safe(key)}"), "incident", Incident)

    async def open_by_key(self, key: str) -> Incident | None:
        """Return the open incident that holds the alert of a key, the newest if several integrations hold one."""
        query = "&".join(["statuses[]=triggered", "statuses[]=acknowledged", *self.of_services()])
        params: dict[str, str | int] = {
            "incident_key": key, "date_range": "all", "sort_by": "created_at:desc", "limit": 25,
        }  # fmt: skip
        rows = decoded(await self.get(f"/incidents?{query}", params), "incidents", list[Incident])
        for each in rows:
            if each.incident_key == key:
                return each
        # An incident with alerts of its own may leave the key out, and one that ours was grouped into has another.
        for each in rows[:_MERGED_MAX]:
            answer = await self.get(f"/incidents/{safe(each.id)}/alerts", {"alert_key": key, "limit": 25})
            alerts = answer.wild()["alerts"].items()
            if any(alert["alert_key"].tame(wild.optional(wild.text, "")) == key for alert in alerts):
                return each
        return None

    async def awaited(
        self, key: str, shown: Callable[[Incident | None], bool]
    ) -> tuple[Incident | None, bool]:
        """Look for the incident of a key until it is as `shown` wants it, a few times; return it and whether it was."""
        held: Incident | None = None
        for seconds in LOOKS:
            await asyncio.sleep(seconds)
            held = await self.open_by_key(key)
            if shown(held):
                return held, True
        return held, False

    async def turn(self, held: Incident, status: Literal["acknowledged", "resolved"]) -> Incident:
        """Bring an incident to a status, unless it is there or over."""
        if held.status in {status, "resolved"}:
            return held
        return await self._put(held.id, {"status": status})

    async def assign(self, held: Incident, by: str) -> Incident:
        """Assign an open incident to the user of PagerDuty behind a name of ours, if the connection knows one."""
        user = self.config.users.get(by, "")
        if not user or held.status == "resolved" or user in {each.id for each in held.assigned()}:
            return held
        assignee = {"id": safe(user), "type": "user_reference"}
        return await self._put(held.id, {"assignments": [{"assignee": assignee}]})

    async def note(self, key: str, text: str, idempotency_key: str) -> None:
        """Leave a note at an incident, once: it carries the effect's mark."""
        own = marks.tag(idempotency_key)
        path = f"/incidents/{safe(key)}/notes"
        notes = (await self.get(path)).wild()["notes"]
        if any(own in each["content"].tame(wild.text) for each in notes.items()):
            return
        content = f"{text[:NOTE_CHARACTERS_MAX]}\n{own}"
        await self._http.call("POST", path, json={"note": {"content": content}}, headers=self._from())

    def of_services(self) -> list[str]:
        """Return the query that narrows a list of incidents to the connection's services."""
        return [f"service_ids[]={safe(each)}" for each in self.config.services]

    async def _put(self, key: str, change: Mapping[str, Any]) -> Incident:
        body = {"incident": {"type": "incident_reference", **change}}
        answer = await self._http.call("PUT", f"/incidents/{safe(key)}", json=body, headers=self._from())
        return decoded(answer, "incident", Incident)

    def _from(self) -> dict[str, str]:
        if not self.config.from_:
            raise NeedsOperator(
                "The connection names no PagerDuty user to write as.",
                remedy="Set `from` to the e-mail address of a user of the account.",
            )
        return {"From": self.config.from_}


def decoded(answer: Answer, name: str, shape: type[T]) -> T:
    """Return what an answer holds under a name."""
    try:
        return msgspec.convert(answer.wild()[name].raw(), shape)
    except (msgspec.ValidationError, Rejected) as cause:
        raise Retryable(
            f"{answer.where} answered in a shape that is not REST v2.",
            remedy="Check that the address is PagerDuty's REST API.",
        ) from cause


def total(answer: Answer, offset: int, count: int) -> int | None:
    """Return how many rows a list has if this page is its last, None if more follow."""
    more: Any = answer.wild()["more"].raw()
    return None if more else offset + count


def safe(key: str) -> str:
    """Return an id that may stand in a path; `Rejected` for anything else."""
    if not key.isalnum() or len(key) > 100:
        raise Rejected("This is not an id of PagerDuty.", remedy="Ids are letters and digits.")
    return key


def _date(answer: Answer) -> Instant:
    stated = answer.headers.get("date", "")
    try:
        return Instant(round(email.utils.parsedate_to_datetime(stated).timestamp()) * SECOND)
    except (ValueError, TypeError) as cause:
        raise Retryable(
            f"{answer.where} answered without a date.", remedy="It is tried again by itself."
        ) from cause
