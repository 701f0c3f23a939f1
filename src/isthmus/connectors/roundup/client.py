"""Roundup's REST interface: HTTP only, Roundup's own words in and out.

Every write carries `X-Requested-With` and matching Origin and Referer; every PATCH carries the ETag on which
it was decided. Roundup answers 409 for values that it does not accept: here that is `Rejected`.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.http import Basic, HttpClient, form
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.reactions import Answer, error
from isthmus.connectors.roundup.config import RoundupConfig
from isthmus.connectors.roundup.mapping import Message, instant_of
from isthmus.kernel import wild
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import SECOND, from_datetime
from isthmus.kernel.record import Json
from isthmus.kernel.wild import Wild

_PROPERTY = re.compile(r"(?:property|attribute|Property|edit) '?(\w+)")
TOKENS_MAX = 1000
TOKEN_SECONDS = 3600
SETTLED_SECONDS = 2


@dataclass(frozen=True, kw_only=True)
class Item:
    """An issue or message: its attributes by name, the ETag that a write of it must carry, and the
    tracker's own time of the answer (`Date`)."""

    attributes: Mapping[str, Json]
    etag: str
    date: str


class RoundupClient:
    """The session of one connection. `field_of` turns a Roundup property into a JSON Pointer's last part."""

    def __init__(self, context: Context, config: RoundupConfig, field_of: Callable[[str], str]) -> None:
        self._field_of = field_of
        self._tokens: dict[str, str] = {}
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"X-Requested-With": "rest", "Origin": _origin(config.url), "Referer": config.url + "/"},
            basic=Basic(user=config.username, password=context.secret("password")),
            allow_private_addresses=context.allow_private_addresses,
            problems=self._problems,
        )

    async def close(self) -> None:
        """Close the session. Idempotent."""
        await self._http.close()

    async def supported_versions(self) -> list[int]:
        """Return the REST versions that the tracker speaks."""
        data = (await self._http.get("/rest/")).wild()["data"]
        return [each.value(int) for each in data["supported_versions"].items()]

    async def item(self, kind: str, key: str) -> Item:
        """Return one item with names of linked items, protected fields and, for messages, the content."""
        verbose = 3 if kind == "msg" else 2
        answer = await self._http.get(
            f"/rest/data/{kind}/{key}", params={"@verbose": verbose, "@protected": "true"}
        )
        data = answer.wild()["data"]
        return Item(
            attributes=data["attributes"].value(dict),
            etag=data["@etag"].value(str),
            date=answer.headers.get("date", ""),
        )

    async def message(self, key: str) -> Message:
        """Return one message with its content."""
        item = await self.item("msg", key)
        found = item.attributes
        author = found.get("author") or found.get("creator")
        return Message(
            id=key,
            content=str(found.get("content") or ""),
            messageid=str(found.get("messageid") or ""),
            author=str(author.get("username", "")) if isinstance(author, dict) else "",
            written=str(found["creation"]),
            stamp=str(found["activity"]) if _settled(str(found["activity"]), item.date) else "",
        )

    async def changed(self, since: str, page: int, size: int) -> list[tuple[str, str]]:
        """Return (id, activity) of issues active at or after `since` ("" = all), oldest first."""
        params: dict[str, str | int] = {
            "@sort": "activity,id", "@fields": "title,activity", "@page_size": size, "@page_index": page,
        }  # fmt: skip
        if since:
            params["activity"] = f"{since};"
        rows = (await self._http.get("/rest/data/issue", params=params)).wild()["data"]["collection"]
        return [(each["id"].value(str), each["activity"].value(str)) for each in rows.items()]

    async def find_message(self, messageid: str) -> str:
        """Return the id of the message with exactly this Message-Id, or ""."""
        found = await self._ids("msg", {"messageid:": messageid})
        return found[0] if found else ""

    async def issues_with(self, message: str) -> list[str]:
        """Return the ids of the issues that hold a message."""
        return await self._ids("issue", {"messages": message})

    async def add_message(self, content: str, messageid: str, author: str) -> str:
        """Create a message unless one with this Message-Id exists; return its id either way."""
        known = await self.find_message(messageid)
        if known:
            return known
        # Without an author the tracker's own nosy detector fails; REST does not fill it in by itself.
        values = {"content": content, "messageid": messageid, "author": author, "date": "."}
        return await self._post("/rest/data/msg", values)

    async def file_content(self, key: str, *, bytes_max: int) -> Download:
        """Return the content of a file."""
        return await self._http.download(f"/rest/data/file/{key}/binary_content", bytes_max=bytes_max)

    async def add_file(self, file: File) -> str:
        """Make a file; return its id. Only a form carries bytes unchanged."""
        fields = {"name": file.filename, "type": file.content_type}
        data = form(file, name="content", fields=fields)
        answer = self._accept(await self._http.exchange("POST", "/rest/data/file", data=data))
        return answer.wild()["data"]["id"].value(str)

    async def ensure_keyword(self, name: str) -> None:
        """Create a keyword unless it exists."""
        path = "/rest/data/keyword"
        answer = await self._http.exchange("POST", path, json={"name": name})
        if "exists" not in _message(answer):
            self._accept(answer)

    async def create_issue(self, values: Mapping[str, Json], idempotency_key: str) -> str:
        """Create an issue through a post-once-exactly token; return its id.

        The token of a key is kept: a second call with the same key, or the first one arriving late, can
        only fail. `Rejected` at `/@poe` says that the token was used before.
        """
        token = self._tokens.get(idempotency_key)
        if token is None:
            answer = await self._http.call(
                "POST", "/rest/data/issue/@poe", json={"lifetime": TOKEN_SECONDS}, writes=False
            )
            token = answer.wild()["data"]["link"].value(str).rsplit("/", 1)[-1]
            if len(self._tokens) >= TOKENS_MAX:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[idempotency_key] = token
        return await self._post(f"/rest/data/issue/@poe/{token}", values)

    def forget_token(self, idempotency_key: str) -> None:
        """Forget a token that turned out to be used or expired."""
        self._tokens.pop(idempotency_key, None)

    async def patch(self, kind: str, key: str, etag: str, values: Mapping[str, Json]) -> None:
        """Replace properties of one item on the state that `etag` names; `Conflict` if it has moved on."""
        path = f"/rest/data/{kind}/{key}"
        self._accept(await self._http.exchange("PATCH", path, json=values, headers={"If-Match": etag}))

    async def _ids(self, kind: str, params: Mapping[str, str]) -> list[str]:
        rows = (await self._http.get(f"/rest/data/{kind}", params=params)).wild()["data"]["collection"]
        return [each["id"].value(str) for each in rows.items()]

    async def _post(self, path: str, values: Mapping[str, Json]) -> str:
        answer = self._accept(await self._http.exchange("POST", path, json=values))
        return answer.wild()["data"]["id"].value(str)

    def _accept(self, answer: Answer) -> Answer:
        """Return the answer of a write, or raise what fits; a 409 is a value that Roundup refuses."""
        if answer.status == 409 and _message(answer):
            raise Rejected(
                f"{answer.where} answered 409: the tracker does not accept a value.",
                remedy="Correct the named fields or the mapping, then retry the delivery.",
                problems=self._problems(wild.from_json(answer.body)),
            )
        found = error(answer, writes=True, now=time.time(), problems=self._problems)
        if found is not None:
            raise found
        return answer

    def _problems(self, body: Wild) -> tuple[Problem, ...]:
        message: Any = body["error"]["msg"].raw()
        text = message if isinstance(message, str) else ""
        if text.startswith("POE token"):
            return (Problem(path="/@poe", message="the post-once-exactly token was used before"),)
        name = self._field_of(found[1]) if (found := _PROPERTY.search(text)) else ""
        return (Problem(path=f"/{name}", message="the tracker does not accept this value"),) if name else ()


def _settled(activity: str, date: str) -> bool:
    """Return whether `activity` (whole seconds) is so old by the tracker's clock that no later edit can
    have the same."""
    try:
        read = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return False
    return from_datetime(read) - instant_of(activity) > SETTLED_SECONDS * SECOND


def _message(answer: Answer) -> str:
    """Return Roundup's own words in a refusal, "" if the answer is somebody else's."""
    try:
        found = wild.from_json(answer.body)["error"]["msg"].raw()
    except Rejected:
        return ""
    return found if isinstance(found, str) else ""


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
