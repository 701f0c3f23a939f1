"""ServiceNow's Table API: HTTP only, ServiceNow's own words in and out.

Every column comes as `{value, display_value}`. The product refuses mandatory fields with status 403, which
here is `Rejected` with the fields named; an answer that is not JSON leaves a write unknown, not failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.http import Basic, HttpClient
from isthmus.connectors.kit.paging import next_link
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.reactions import Answer, error
from isthmus.connectors.servicenow.config import ServiceNowConfig
from isthmus.kernel.errors import NeedsOperator, Problem, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.record import Json
from isthmus.kernel.wild import Wild

Row = Mapping[str, Json]

ATTACHMENTS = "/api/now/attachment"
JOURNAL = "sys_journal_field"
JOURNAL_FIELDS = ("sys_id", "element_id", "element", "value", "sys_created_on", "sys_created_by")
_JOURNAL_PAGE = 500
_JOURNAL_PAGES_MAX = 50
FILES_PAGE = 200
FILE_PAGES_MAX = 50
_IDS_PER_QUERY = 50
_TOKEN_MARGIN_SECONDS = 60
_POLICY = "Data Policy Exception"
_LABELS: Mapping[str, str] = {
    "Resolution code": "close_code",
    "Close code": "close_code",
    "Resolution notes": "close_notes",
    "Close notes": "close_notes",
    "Short description": "short_description",
    "Description": "description",
    "Category": "category",
    "Assignment group": "assignment_group",
    "Caller": "caller_id",
    "State": "state",
}
"""Labels by which a refusal names columns, in English as the integration user should have it."""


@dataclass(frozen=True, kw_only=True)
class TablePage:
    """Rows of one page. `more`: the product says that others follow, however short this page is. `total`: how many
    there are before access rules, where it says so (0: it does not)."""

    rows: list[Row]
    more: bool
    total: int = 0


class ServiceNowClient:
    """The session of one connection. `field_of` turns a column into a canonical field name ("" if none)."""

    def __init__(self, context: Context, config: ServiceNowConfig, field_of: Callable[[str], str]) -> None:
        self._field_of = field_of
        self._config = config
        self._password = context.secret("password")
        self._client_secret = context.secret("client_secret")
        self._token = ""
        self._token_until = 0.0
        self._groups: dict[str, str] = {}
        basic = None if config.client_id else Basic(user=config.username, password=self._password)
        self._http = HttpClient(
            config.url,
            limits=context.limits,
            headers={"Accept": "application/json"},
            basic=basic,
            secrets=(self._password, self._client_secret),
            allow_private_addresses=context.allow_private_addresses,
        )

    async def close(self) -> None:
        """Close the session. Idempotent."""
        await self._http.close()

    async def page(
        self, table: str, query: str, fields: Sequence[str], *, limit: int, offset: int = 0
    ) -> TablePage:
        """Return one page of a table. The limit counts rows before access rules, so pages may be short."""
        answer = await self._call(
            "GET",
            f"/api/now/table/{table}",
            params={
                "sysparm_query": query,
                "sysparm_fields": ",".join(fields),
                "sysparm_display_value": "all",
                "sysparm_exclude_reference_link": "true",
                "sysparm_limit": limit,
                "sysparm_offset": offset,
            },
        )
        rows: list[Row] = [each.value(dict) for each in answer.wild()["result"].items()]
        total = answer.headers.get("x-total-count", "")
        more = bool(next_link(answer.headers.get("link", "")))
        return TablePage(rows=rows, more=more, total=int(total) if total.isdigit() else 0)

    async def row(self, table: str, key: str, fields: Sequence[str]) -> Row:
        """Return one record; `NotFound` if it is gone or hidden from the account."""
        answer = await self._call("GET", f"/api/now/table/{table}/{key}", params=_shape(fields))
        return answer.wild()["result"].value(dict)

    async def insert(self, table: str, values: Mapping[str, str], fields: Sequence[str]) -> Row:
        """Create a record and return it."""
        answer = await self._call("POST", f"/api/now/table/{table}", params=_shape(fields), json=values)
        return _returned(answer)

    async def update(self, table: str, key: str, values: Mapping[str, str], fields: Sequence[str]) -> Row:
        """Change columns of a record and return the record."""
        path = f"/api/now/table/{table}/{key}"
        return _returned(await self._call("PATCH", path, params=_shape(fields), json=values))

    async def journal(self, keys: Sequence[str]) -> list[Row]:
        """Return the comments and work notes of some records, oldest first."""
        found: list[Row] = []
        for start in range(0, len(keys), _IDS_PER_QUERY):
            ids = ",".join(keys[start : start + _IDS_PER_QUERY])
            query = f"element_idIN{ids}^elementINcomments,work_notes^ORDERBYsys_created_on^ORDERBYsys_id"
            for page in range(_JOURNAL_PAGES_MAX):
                part = await self.page(
                    JOURNAL, query, JOURNAL_FIELDS, limit=_JOURNAL_PAGE, offset=page * _JOURNAL_PAGE
                )
                found += part.rows
                if not part.more:
                    break
        return found

    async def files(self, query: str, *, offset: int = 0) -> TablePage:
        """Return one page of attachment rows: plain texts, without content."""
        params: dict[str, str | int] = {
            "sysparm_query": query, "sysparm_limit": FILES_PAGE, "sysparm_offset": offset,
        }  # fmt: skip
        answer = await self._call("GET", ATTACHMENTS, params=params)
        rows: list[Row] = [each.value(dict) for each in answer.wild()["result"].items()]
        return TablePage(rows=rows, more=len(rows) == FILES_PAGE)

    async def file_content(self, key: str, *, bytes_max: int) -> Download:
        """Return the content of an attachment."""
        return await self._http.download(
            f"{ATTACHMENTS}/{key}/file", bytes_max=bytes_max, headers=await self._authorisation()
        )

    async def add_file(self, table: str, key: str, file: File) -> Row:
        """Add an attachment to a record and return its row."""
        params = {"table_name": table, "table_sys_id": key, "file_name": file.filename}
        answer = await self._call(
            "POST", f"{ATTACHMENTS}/file", params=params, data=file.content, content_type=file.content_type
        )
        return _returned(answer)

    async def group(self, name: str) -> str:
        """Return the sys_id of an assignment group by its name; `Rejected` if there is none."""
        if name not in self._groups:
            fields = ("sys_id", "name")
            page = await self.page("sys_user_group", f"name={name.replace('^', '^^')}", fields, limit=2)
            match = [each for each in page.rows if _value(each, "name") == name]
            if not match:
                raise Rejected(
                    f"ServiceNow has no assignment group {name!r}.",
                    remedy="Map the group's name in the connection's mapping, or create the group.",
                    problems=(Problem(path="/assignment_group", message="no such group"),),
                )
            self._groups[name] = _value(match[0], "sys_id")
        return self._groups[name]

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int],
        json: Mapping[str, str] | None = None,
        data: bytes | None = None,
        content_type: str = "",
    ) -> Answer:
        writes = method != "GET"
        typed = {"Content-Type": content_type} if content_type else {}
        for renewed in (False, True):
            answer = await self._http.exchange(
                method, path, params=params, json=json, data=data, headers={**typed, **await self._authorisation()},
                writes=writes,
            )  # fmt: skip
            if answer.status != 401 or not self._config.client_id or renewed:
                break
            self._token = ""
        if answer.status == 403 and (refused := self._refusal(answer)):
            raise refused
        found = error(answer, writes=writes, now=time.time(), problems=self._problems)
        if found is not None:
            raise found
        return answer

    async def _authorisation(self) -> dict[str, str]:
        """Return the bearer header, asking for a token when the last one is about to expire."""
        if not self._config.client_id:
            return {}
        if not self._token or time.monotonic() >= self._token_until:
            form = {"client_id": self._config.client_id, "client_secret": self._client_secret}
            if self._config.username:
                form |= {"username": self._config.username, "password": self._password}
            form["grant_type"] = "password" if self._config.username else "client_credentials"
            answer = await self._http.call("POST", "/oauth_token.do", data=form, writes=False)
            body = answer.wild()
            self._token = body["access_token"].value(str)
            lifetime = int(body["expires_in"].raw() or 0)
            self._token_until = time.monotonic() + max(lifetime - _TOKEN_MARGIN_SECONDS, 1)
        return {"Authorization": f"Bearer {self._token}"}

    def _refusal(self, answer: Answer) -> Rejected | NeedsOperator | None:
        """Return what a 403 means: mandatory fields, a value outside its choices, or an access rule."""
        detail = _detail(answer)
        problems = self._named(detail)
        if detail.startswith(_POLICY) or "Invalid choice" in detail:
            return Rejected(
                f"{answer.where}: ServiceNow refuses the values.",
                remedy="Give the named fields a value, or set close_code and close_notes on the connection.",
                problems=problems,
            )
        if "ACL Exception" in detail:
            return NeedsOperator(
                f"{answer.where}: an access rule of ServiceNow refuses the write.",
                remedy="Give the integration user the role itil, or leave the record to ServiceNow.",
                status=answer.status,
            )
        return None

    def _problems(self, body: Wild) -> tuple[Problem, ...]:
        detail = body["error"]["detail"].raw()
        return self._named(detail) if isinstance(detail, str) else ()

    def _named(self, detail: str) -> tuple[Problem, ...]:
        columns = dict.fromkeys(column for label, column in _LABELS.items() if label in detail)
        names = [self._field_of(each) or each for each in columns]
        return tuple(
            Problem(path=f"/{name}", message="ServiceNow demands or refuses a value") for name in names
        )


def _shape(fields: Sequence[str]) -> dict[str, str | int]:
    return {
        "sysparm_fields": ",".join(fields),
        "sysparm_display_value": "all",
        "sysparm_exclude_reference_link": "true",
    }


def _returned(answer: Answer) -> Row:
    """Return the record in the answer of a write; a 2xx that we cannot read proves nothing."""
    try:
        return answer.wild()["result"].value(dict)
    except (Retryable, Rejected) as cause:
        raise UnknownOutcome(
            f"{answer.where} answered {answer.status} without the record.",
            remedy="The hub looks whether the call took effect.",
        ) from cause


def _detail(answer: Answer) -> str:
    try:
        detail = answer.wild()["error"]["detail"].raw()
    except (Retryable, Rejected):
        return ""
    return detail if isinstance(detail, str) else ""


def _value(row: Row, column: str) -> str:
    cell = row.get(column)
    return str(cell.get("value") or "") if isinstance(cell, dict) else str(cell or "")
