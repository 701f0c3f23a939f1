"""The ServiceNow-shaped vendor of tests and demonstration: Table API, OAuth, signed business-rule posts."""

from __future__ import annotations

import base64
import datetime as dt
import time
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.servicenow.mapping import MAPPINGS, PAIRS
from isthmus.connectors.servicenow.simulated.attachment_api import AttachmentApi
from isthmus.connectors.servicenow.simulated.instance import (
    CHANGE,
    FILE,
    GROUP,
    INCIDENT,
    JOURNALS,
    Instance,
    Refusal,
)
from isthmus.connectors.servicenow.simulated.query import select
from isthmus.connectors.servicenow.simulated.service_levels import SlaEngine
from isthmus.connectors.servicenow.simulated.shown import cells
from isthmus.kernel.instant import Instant
from isthmus.kernel.signature import SCHEMES

_TABLES = {"incident": INCIDENT, "change": CHANGE}
_GROUPS = (
    "Service desk", "Payments platform", "Discovery", "Platform engineering", "Workplace", "Network", "Database",
)  # fmt: skip
_RATE_LIMIT = 100_000


class ServiceNowSimulator(Simulator):
    """A stateful instance. `instance` holds its rules: tests turn on hidden records and ignored columns; `sla` is its
    SLA engine, without a promise until one is defined."""

    name = "ServiceNow simulator"
    token = "simulated-password"  # noqa: S105 - the fake vendor's own password

    def __init__(self) -> None:
        super().__init__()
        self.webhook_secret = base64.b64encode(b"servicenow-simulator-shared-key!").decode()
        self.bearer = uuid.uuid4().hex
        self.instance = Instance(
            shelf=self.shelf,
            clock=lambda: dt.datetime.now(dt.UTC),
            changed=self._changed,
            integration_user=self.integration_user,
            extra_columns=("u_isthmus_ci", "u_isthmus_change"),
        )
        self.sla = SlaEngine(self.shelf, lambda: self.instance.clock())  # noqa: PLW0108 - tests set another clock
        for name in _GROUPS:
            self.instance.add_group(name)

    def routes(self) -> list[web.RouteDef]:
        """Return the Table API and the token endpoint."""
        return [
            web.post("/oauth_token.do", self._issue_token),
            web.get("/api/now/table/{table}", self._list),
            web.post("/api/now/table/{table}", self._insert),
            web.get("/api/now/table/{table}/{key}", self._get),
            web.patch("/api/now/table/{table}/{key}", self._update),
            web.put("/api/now/table/{table}/{key}", self._update),
            *AttachmentApi(self.instance).routes(),
        ]

    def config(self, url: str) -> dict[str, Any]:
        """Return the configuration of a connection to this instance."""
        return {
            "url": url,
            "username": self.integration_user,
            "password": {"secret": "env:SERVICENOW_PASSWORD"},
            "webhook_secret": {"secret": "env:SERVICENOW_WEBHOOK_SECRET"},
            "close_code": "Solution provided",
            "close_notes": "Resolved in a linked system.",
        }

    def secrets(self) -> dict[str, str]:
        """Return the secrets behind those references."""
        return {"password": self.token, "webhook_secret": self.webhook_secret}

    def authorised(self, request: web.Request) -> bool:
        """Accept the integration user's password or the issued bearer token."""
        if request.path == "/oauth_token.do":
            return True
        pair = base64.b64encode(f"{self.integration_user}:{self.token}".encode()).decode()
        return request.headers.get("Authorization", "") in {f"Basic {pair}", f"Bearer {self.bearer}"}

    def refuse(self, request: web.Request) -> web.Response:
        """Answer as the product does to a wrong password."""
        del request
        message, detail = "User Not Authenticated", "Required to provide Auth information"
        return web.json_response(
            {"error": {"message": message, "detail": detail}, "status": "failure"}, status=401
        )

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign as `business_rule.js` does, under the delivery's own id."""
        now = Instant(time.time_ns() // 1000)
        identity = msgspec.json.decode(body)["id"]
        return SCHEMES["standard_webhooks"].sign(body, self.webhook_secret, now, identity)

    def seed(self, kind: str, count: int) -> list[str]:
        """Create records as a person would."""
        table = _TABLES[kind]
        rows = [
            self.instance.insert(table, {"short_description": f"Seeded {kind} {index}"}, self.human)
            for index in range(count)
        ]
        return [row["sys_id"] for row in rows]

    def sample(self, kind: str) -> dict[str, Any]:
        """Return values that this instance holds: its groups, and no text where it has choices."""
        common = {
            "title": "",
            "description": "Größe\nzweite Zeile",
            "priority": "2",
            "assignment_group": "Network",
        }
        return {**common, **({"category": "network"} if kind == "incident" else {"type": "normal"})}

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change a record as a person; a priority is set by impact and urgency, a group by its name."""
        columns: dict[str, str] = {}
        for name, value in values.items():
            external = MAPPINGS[kind].fields[name].external if name in MAPPINGS[kind].fields else name
            text = "" if value is None else str(value)
            if external == "priority" and kind == "incident":
                columns["impact"], columns["urgency"] = PAIRS[text]
            elif external == "assignment_group" and text:
                columns[external] = self._group(text)
            else:
                columns[external] = text
        self.instance.update(_TABLES[kind], key, columns, self.human)

    def human_comment(self, kind: str, key: str, text: str, *, public: bool = True) -> None:
        """Write into a journal as a person."""
        element = "comments" if public else "work_notes"
        self.instance.update(_TABLES[kind], key, {element: text}, self.human)

    def human_attach(self, kind: str, key: str, name: str, content: bytes) -> None:
        """Add a file as a person; no business rule of ours sees it."""
        self.instance.attach(_TABLES[kind], key, name, "application/octet-stream", content, self.human)

    def files(self, key: str) -> dict[str, list[bytes]]:
        """Return the contents of a record's files by name."""
        found: dict[str, list[bytes]] = {}
        for file_key, row in self.shelf(FILE).all():
            if row["table_sys_id"] == key:
                found.setdefault(row["file_name"], []).append(self.instance.content(file_key))
        return found

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the sys_ids of the records with this correlation_id."""
        return [row["sys_id"] for row in self.shelf(_TABLES[kind]).having("correlation_id", correlation)]

    def _group(self, name: str) -> str:
        known = (key for key, row in self.shelf(GROUP).all() if row["name"] == name)
        return next(known, "") or self.instance.add_group(name)

    def _changed(self, table: str, operation: str, row: dict[str, str]) -> None:
        """Post what the business rule posts; it is asynchronous, so the journal is complete by then."""
        self.sla.changed(table, row)
        journal = self.instance.journals(row["sys_id"])
        self.emit(
            {
                "id": uuid.uuid4().hex,
                "table": table,
                "operation": operation,
                "record": cells(self.shelf, row),
                "journal": [cells(self.shelf, each) for each in journal],
            }
        )

    async def _issue_token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("client_id") != "isthmus" or form.get("client_secret") != self.token:
            return web.json_response({"error": "access_denied"}, status=401)
        return web.json_response({"access_token": self.bearer, "expires_in": 1799, "token_type": "Bearer"})

    async def _list(self, request: web.Request) -> web.Response:
        table, query = request.match_info["table"], request.query
        limit, offset = int(query.get("sysparm_limit", "10000")), int(query.get("sysparm_offset", "0"))
        try:
            columns = self.instance.columns(table)
            self.instance.require(table)
        except Refusal as refusal:
            return _failure(refusal)
        shelf, asked = self.shelf(table), query.get("sysparm_query", "")
        found = select(shelf.rows, asked, columns, having=shelf.having)
        part = [
            row
            for row in found[offset : offset + limit]
            if self.instance.sees(self.integration_user, row["sys_id"])
        ]
        headers = {"X-Total-Count": str(len(found)), **_rate_headers()}
        if offset + limit < len(found):
            following = request.rel_url.update_query({"sysparm_offset": str(offset + limit)})
            headers["Link"] = f'<{request.url.origin()}{following}>;rel="next"'
        return web.json_response({"result": [self._shown(request, row) for row in part]}, headers=headers)

    async def _get(self, request: web.Request) -> web.Response:
        try:
            row = self.instance.row(*_target(request), self.integration_user)
        except Refusal as refusal:
            return _failure(refusal)
        return self._record(request, row, 200)

    async def _insert(self, request: web.Request) -> web.Response:
        values = _texts(await request.json())
        try:
            row = self.instance.insert(request.match_info["table"], values, self.integration_user)
        except Refusal as refusal:
            return _failure(refusal)
        return self._record(request, row, 201)

    async def _update(self, request: web.Request) -> web.Response:
        values = _texts(await request.json())
        try:
            row = self.instance.update(*_target(request), values, self.integration_user)
        except Refusal as refusal:
            return _failure(refusal)
        return self._record(request, row, 200)

    def _record(self, request: web.Request, row: Mapping[str, str], status: int) -> web.Response:
        return web.json_response(
            {"result": self._shown(request, row)}, status=status, headers=_rate_headers()
        )

    def _shown(self, request: web.Request, row: Mapping[str, str]) -> dict[str, Any]:
        """Return a row in the spelling that `sysparm_display_value` asks for."""
        readable = {name: value for name, value in row.items() if name not in self.instance.blank}
        both = cells(self.shelf, {**dict.fromkeys(JOURNALS, ""), **readable})
        wanted = [each for each in request.query.get("sysparm_fields", "").split(",") if each in both]
        kept = {name: both[name] for name in wanted or both}
        match request.query.get("sysparm_display_value", "false"):
            case "all":
                return kept
            case "true":
                return {name: cell["display_value"] for name, cell in kept.items()}
            case _:
                return {name: cell["value"] for name, cell in kept.items()}


def _target(request: web.Request) -> tuple[str, str]:
    return request.match_info["table"], request.match_info["key"]


def _texts(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in body.items()}


def _failure(refusal: Refusal) -> web.Response:
    error = {"message": refusal.message, "detail": refusal.detail}
    return web.json_response({"error": error, "status": "failure"}, status=refusal.status)


def _rate_headers() -> dict[str, str]:
    reset = (int(time.time()) // 3600 + 1) * 3600
    return {
        "X-RateLimit-Limit": str(_RATE_LIMIT), "X-RateLimit-Reset": str(reset), "X-RateLimit-Rule": "default",
    }  # fmt: skip
