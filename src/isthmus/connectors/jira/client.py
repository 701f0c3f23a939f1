"""Jira's REST interface version 3: HTTP only, Jira's own words in and out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isthmus.connectors.jira.adf import to_adf
from isthmus.connectors.jira.config import JiraConfig
from isthmus.connectors.jira.mapping import PROPERTY
from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.http import Basic, HttpClient, form
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.reactions import Answer, error
from isthmus.kernel.errors import Problem, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.wild import Wild

Issue = dict[str, Any]
_COMMENTS_PER_PAGE = 100
_COMMENT_PAGES_MAX = 50
_API = "/rest/api/3"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A step that the workflow offers now. `fields` are those of its screen, `required` those it demands."""

    id: str
    to: str
    fields: frozenset[str]
    required: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Found:
    """A page of a search: ids with their `updated` as the index has it, and the token of the next page."""

    rows: list[tuple[str, str]]
    following: str


class JiraClient:
    """The session of one connection. `field_of` turns a Jira field into a canonical name ("" if none)."""

    def __init__(self, context: Context, config: JiraConfig, field_of: Callable[[str], str]) -> None:
        self._field_of = field_of
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Accept": "application/json"},
            basic=Basic(user=config.email, password=context.secret("api_token")),
            allow_private_addresses=context.allow_private_addresses,
            problems=self._problems,
        )

    async def close(self) -> None:
        """Close the session. Idempotent."""
        await self._http.close()

    async def myself(self) -> str:
        """Return our own account id."""
        return (await self._http.get(f"{_API}/myself")).wild()["accountId"].value(str)

    async def server_version(self) -> str:
        """Return the product's version."""
        return (await self._http.get(f"{_API}/serverInfo")).wild()["version"].value(str)

    async def permissions(self, project: str, names: Sequence[str]) -> dict[str, bool]:
        """Return which of some permissions we have in a project."""
        params = {"projectKey": project, "permissions": ",".join(names)}
        found = (await self._http.get(f"{_API}/mypermissions", params=params)).wild()["permissions"]
        return {name: found[name]["havePermission"].raw() is True for name in names}

    async def issue(self, key: str, fields: Sequence[str]) -> Issue:
        """Return one issue from the primary store, with its hidden property and its changelog."""
        params = {"fields": ",".join(fields), "properties": PROPERTY, "expand": "changelog"}
        return _issue((await self._http.get(f"{_API}/issue/{key}", params=params)).wild())

    async def create(self, fields: Mapping[str, Any], correlation: str) -> str:
        """Create an issue that carries the correlation from its first instant; return its id."""
        body = {"fields": fields, "properties": [{"key": PROPERTY, "value": {"correlation": correlation}}]}
        answer = await self._write("POST", "/issue", body)
        return _read(answer)["id"].value(str)

    async def edit(self, key: str, fields: Mapping[str, Any], update: Mapping[str, Any]) -> None:
        """Change fields; `update` holds additions and removals of labels."""
        await self._write("PUT", f"/issue/{key}", {"fields": fields, "update": update})

    async def transitions(self, key: str) -> list[Transition]:
        """Return the steps that the workflow offers from the issue's status."""
        params = {"expand": "transitions.fields"}
        found = (await self._http.get(f"{_API}/issue/{key}/transitions", params=params)).wild()
        return [_transition(each) for each in found["transitions"].items()]

    async def transition(self, key: str, step: str, fields: Mapping[str, Any]) -> None:
        """Take one step of the workflow."""
        await self._write("POST", f"/issue/{key}/transitions", {"transition": {"id": step}, "fields": fields})

    async def comments(self, key: str) -> list[dict[str, Any]]:
        """Return all comments with their properties, oldest first."""
        found: list[dict[str, Any]] = []
        for page in range(_COMMENT_PAGES_MAX):
            params: dict[str, str | int] = {
                "startAt": page * _COMMENTS_PER_PAGE, "maxResults": _COMMENTS_PER_PAGE,
                "orderBy": "created", "expand": "properties",
            }  # fmt: skip
            body = (await self._http.get(f"{_API}/issue/{key}/comment", params=params)).wild()
            found += [each.value(dict) for each in body["comments"].items()]
            if len(found) >= body["total"].value(int):
                break
        return found

    async def add_comment(self, key: str, text: str, *, public: bool, correlation: str) -> dict[str, Any]:
        """Add a comment with our hidden property; return it as Jira does."""
        properties = [
            {"key": "sd.public.comment", "value": {"internal": not public}},
            {"key": PROPERTY, "value": {"correlation": correlation}},
        ]
        body = {"body": to_adf(text), "properties": properties}
        found = _read(await self._write("POST", f"/issue/{key}/comment", body)).value(dict)
        return {**found, "properties": properties}

    async def revise_comment(self, key: str, comment: str, text: str) -> None:
        """Give a comment another text; its properties stay."""
        await self._touch("PUT", f"{_API}/issue/{key}/comment/{comment}", {"body": to_adf(text)})

    async def remove_comment(self, key: str, comment: str) -> None:
        """Remove a comment."""
        await self._touch("DELETE", f"{_API}/issue/{key}/comment/{comment}", None)

    async def _touch(self, method: str, path: str, body: Mapping[str, Any] | None) -> None:
        """Revise one comment. A 403 is about this comment (another's), not about the connection."""
        answer = await self._http.exchange(method, path, json=body)
        if answer.status == 403:
            raise Rejected(
                f"{answer.where}: this comment may not be revised by us.",
                remedy="Give the account EDIT_ALL_COMMENTS and DELETE_ALL_COMMENTS, or revise it there.",
            )
        if (found := error(answer, writes=True, now=time.time(), problems=self._problems)) is not None:
            raise found

    async def file_content(self, key: str, *, bytes_max: int) -> Download:
        """Return the content of an attachment, straight from the site."""
        path = f"{_API}/attachment/content/{key}"
        return await self._http.download(path, bytes_max=bytes_max, params={"redirect": "false"})

    async def add_file(self, key: str, added: File) -> dict[str, Any]:
        """Add an attachment; return it as Jira does. Jira demands a header against forged forms."""
        answer = await self._http.exchange(
            "POST",
            f"{_API}/issue/{key}/attachments",
            data=form(added),
            headers={"X-Atlassian-Token": "no-check"},
        )
        if (found := error(answer, writes=True, now=time.time(), problems=self._problems)) is not None:
            raise found
        return _first(answer)

    async def search(self, jql: str, size: int, token: str = "") -> Found:
        """Search the index, which lags: ids only, each to be read from the primary store."""
        params: dict[str, str | int] = {"jql": jql, "fields": "updated", "maxResults": size}
        if token:
            params["nextPageToken"] = token
        found = (await self._http.get(f"{_API}/search/jql", params=params)).wild()
        rows = [
            (each["id"].value(str), each["fields"]["updated"].value(str)) for each in found["issues"].items()
        ]
        following = found["nextPageToken"].raw()
        return Found(rows=rows, following=following if isinstance(following, str) else "")

    async def _write(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        answer = await self._http.exchange(method, _API + path, json=body)
        found = error(answer, writes=True, now=time.time(), problems=self._problems)
        if found is not None:
            raise found
        return answer

    def _problems(self, body: Wild) -> tuple[Problem, ...]:
        """Name the fields of a refusal; Jira's words about them stay out, they may quote values."""
        errors = body["errors"]
        names = [] if errors.missing else errors.names()
        return tuple(
            Problem(path=f"/{self._field_of(each) or each}", message="Jira does not accept the value")
            for each in names
        )


def _issue(found: Wild) -> Issue:
    for name in ("id", "key"):
        found[name].value(str)
    found["fields"]["updated"].value(str)
    return found.value(dict)


def _transition(found: Wild) -> Transition:
    fields = found["fields"].raw()
    screen = fields if isinstance(fields, dict) else {}
    required = (
        name for name, each in screen.items() if isinstance(each, dict) and each.get("required") is True
    )
    return Transition(
        id=found["id"].value(str),
        to=found["to"]["name"].value(str),
        fields=frozenset(screen),
        required=frozenset(required),
    )


def _first(answer: Answer) -> dict[str, Any]:
    """Return the one attachment in the answer of an upload."""
    try:
        entry = answer.wild()[0]
        entry["id"].value(str)
        return entry.value(dict)
    except (Retryable, Rejected) as cause:
        raise UnknownOutcome(
            f"{answer.where} answered {answer.status} without the file.",
            remedy="The hub looks whether the call took effect.",
        ) from cause


def _read(answer: Answer) -> Wild:
    """Return the body of a write's answer; one that we cannot read leaves the write unknown."""
    try:
        found = answer.wild()
        found["id"].value(str)
    except (Retryable, Rejected) as cause:
        raise UnknownOutcome(
            f"{answer.where} answered {answer.status} without the object.",
            remedy="The hub looks whether the call took effect.",
        ) from cause
    return found
