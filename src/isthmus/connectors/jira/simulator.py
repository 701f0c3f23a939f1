"""The Jira-shaped vendor of tests and demonstration: REST version 3, a lagging search, signed webhooks."""

from __future__ import annotations

import base64
import datetime as dt
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from isthmus.connectors.jira.adf import from_adf, to_adf
from isthmus.connectors.jira.mapping import LABEL_PREFIX, MAPPINGS
from isthmus.connectors.jira.simulated import jql
from isthmus.connectors.jira.simulated.project import CONTENTS, ISSUES, Project, Refusal
from isthmus.connectors.jira.simulated.shown import comment_as, issue_as, picked
from isthmus.connectors.jira.simulated.upload import uploaded
from isthmus.connectors.kit.simulator import Simulator
from isthmus.kernel.instant import Instant
from isthmus.kernel.signature import SCHEMES

_KEY = "OPS"
_ISSUE_TYPE = "[System] Incident"
_EMAIL = "isthmus@example.test"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class JiraSimulator(Simulator):
    """A stateful site with one service project. `index_lag_seconds`: how long search misses what
    changed; tests of that raise it."""

    name = "Jira simulator"
    token = "simulated-api-token"  # noqa: S105 - the fake vendor's own token

    def __init__(self) -> None:
        super().__init__()
        self.webhook_secret = "jira-simulator-webhook-secret"  # noqa: S105 - as above
        self.index_lag_seconds = 0.0
        self.project = Project(self.shelf, lambda: dt.datetime.now(dt.UTC), _KEY, _ISSUE_TYPE)

    def routes(self) -> list[web.RouteDef]:
        """Return the part of REST version 3 that the connector calls."""
        api, issue = "/rest/api/3", "/rest/api/3/issue/{key}"
        return [
            web.get(f"{api}/serverInfo", self._server_info),
            web.get(f"{api}/myself", self._myself),
            web.get(f"{api}/mypermissions", self._permissions),
            web.get(f"{api}/search/jql", _answered(self._search)),
            web.post(f"{api}/issue", _answered(self._create)),
            web.get(issue, _answered(self._get)),
            web.put(issue, _answered(self._edit)),
            web.get(f"{issue}/transitions", _answered(self._transitions)),
            web.post(f"{issue}/transitions", _answered(self._transition)),
            web.get(f"{issue}/comment", _answered(self._comments)),
            web.post(f"{issue}/comment", _answered(self._comment)),
            web.put(f"{issue}/comment/{{comment}}", _answered(self._revise)),
            web.delete(f"{issue}/comment/{{comment}}", _answered(self._revise)),
            web.post(f"{issue}/attachments", _answered(self._attach)),
            web.get(f"{api}/attachment/content/{{key}}", _answered(self._content)),
        ]

    def config(self, url: str) -> dict[str, Any]:
        """Return the configuration of a connection to this site."""
        return {
            "url": url,
            "email": _EMAIL,
            "api_token": {"secret": "env:JIRA_API_TOKEN"},
            "project": _KEY,
            "webhook_secret": {"secret": "env:JIRA_WEBHOOK_SECRET"},
        }

    def secrets(self) -> dict[str, str]:
        """Return the secrets behind those references."""
        return {"api_token": self.token, "webhook_secret": self.webhook_secret}

    def authorised(self, request: web.Request) -> bool:
        """Accept e-mail and API token."""
        pair = base64.b64encode(f"{_EMAIL}:{self.token}".encode()).decode()
        return request.headers.get("Authorization", "") == f"Basic {pair}"

    def refuse(self, request: web.Request) -> web.Response:
        """Answer as Jira does to a wrong token."""
        del request
        return web.json_response({"errorMessages": ["Client must be authenticated."]}, status=401)

    def sign(self, body: bytes) -> dict[str, str]:
        """Sign the raw body, as an admin webhook with a secret is signed."""
        return SCHEMES["hub_sha256"].sign(body, self.webhook_secret, Instant(time.time_ns() // 1000))

    def seed(self, kind: str, count: int) -> list[str]:
        """Create issues as a person would."""
        del kind
        made = [self._new({"summary": f"Seeded incident {index}"}, [], self.human) for index in range(count)]
        return [issue["id"] for issue in made]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an issue as a person; a status is set whatever the workflow says."""
        fields: dict[str, Any] = {}
        for name, value in values.items():
            external = MAPPINGS[kind].fields[name].external if name in MAPPINGS[kind].fields else name
            if external == "description":
                fields[external] = to_adf(str(value)) if value else None
            elif external in {"priority", "status", "resolution"}:
                fields[external] = {"name": value} if value else None
            elif external == "labels":
                kept = [
                    each
                    for each in self.project.issue(key)["fields"]["labels"]
                    if each.startswith(LABEL_PREFIX)
                ]
                fields[external] = [*kept, *value]
            else:
                fields[external] = value
        if fields.get("status", {}).get("name") == "Resolved" and "resolution" not in fields:
            fields["resolution"] = {"name": "Done"}
        self._tell("jira:issue_updated", self.project.force(key, fields, self.human), self.human)

    def human_comment(self, kind: str, key: str, text: str, *, public: bool = True) -> None:
        """Comment as a person."""
        del kind
        properties = [{"key": "sd.public.comment", "value": {"internal": not public}}]
        self.project.comment(key, to_adf(text), properties, self.human)
        self._tell("comment_created", self.project.issue(key), self.human)

    def human_attach(self, kind: str, key: str, name: str, content: bytes) -> None:
        """Add a file as a person."""
        del kind
        self.project.attach(key, name, "application/octet-stream", content, self.human)
        self._tell("jira:issue_updated", self.project.issue(key), self.human)

    def files(self, key: str) -> dict[str, list[bytes]]:
        """Return the contents of an issue's files by name."""
        found: dict[str, list[bytes]] = {}
        for _, held in self.shelf(CONTENTS).all():
            if held["issue"] == key:
                found.setdefault(held["filename"], []).append(held["content"])
        return found

    def find_all(self, kind: str, correlation: str) -> list[str]:
        """Return the ids of the issues that carry the correlation's label."""
        del kind
        label = LABEL_PREFIX + correlation
        return [key for key, issue in self.shelf(ISSUES).all() if label in issue["fields"]["labels"]]

    def _new(self, fields: Mapping[str, Any], properties: list[Any], author: str) -> dict[str, Any]:
        whole = {"project": {"key": _KEY}, "issuetype": {"name": _ISSUE_TYPE}, **fields}
        issue = self.project.create(whole, properties, author)
        self._tell("jira:issue_created", issue, author)
        return issue

    def _tell(self, event: str, issue: Mapping[str, Any], author: str) -> None:
        """Send a webhook: rich text goes as plain markup there, not as a document."""
        fields = {**issue["fields"], "description": from_adf(issue["fields"]["description"]) or None}
        payload = {
            "timestamp": time.time_ns() // 1_000_000,
            "webhookEvent": event,
            "user": {"accountId": author},
            "issue": {"id": issue["id"], "key": issue["key"], "fields": fields},
        }
        self.emit(payload, {"X-Atlassian-Webhook-Identifier": uuid.uuid4().hex})

    async def _server_info(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"version": "1001.0.0-SNAPSHOT", "deploymentType": "Cloud"})

    async def _myself(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"accountId": self.integration_user, "emailAddress": _EMAIL})

    async def _permissions(self, request: web.Request) -> web.Response:
        names = request.query["permissions"].split(",")
        return web.json_response({"permissions": {name: {"havePermission": True} for name in names}})

    async def _search(self, request: web.Request) -> web.Response:
        asked = request.query
        lag = max(self.index_lag_seconds, self.replica_lag_seconds)
        fresh = set(asked.getall("reconcileIssues", []))
        issues = [issue for key, issue in self.shelf(ISSUES).all(lag_seconds=lag) if key not in fresh]
        issues += [issue for key, issue in self.shelf(ISSUES).all() if key in fresh]
        found = jql.select(issues, asked["jql"], dt.datetime.now(dt.UTC))
        start, size = int(asked.get("nextPageToken", "0")), int(asked.get("maxResults", 50))
        part = found[start : start + size]
        names = asked.get("fields", "").split(",")
        body: dict[str, Any] = {
            "issues": [
                {"id": each["id"], "key": each["key"], "fields": picked(each, names)} for each in part
            ],
            "isLast": start + size >= len(found),
        }
        if not body["isLast"]:
            body["nextPageToken"] = str(start + size)
        return web.json_response(body)

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        issue = self._new(asked["fields"], asked.get("properties", []), self.integration_user)
        body = {"id": issue["id"], "key": issue["key"], "self": str(request.url / issue["id"])}
        return web.json_response(body, status=201)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(issue_as(self.project.issue(request.match_info["key"]), request.query))

    async def _edit(self, request: web.Request) -> web.Response:
        asked = await request.json()
        key, fields, update = request.match_info["key"], asked.get("fields", {}), asked.get("update", {})
        issue = self.project.edit(key, fields, update, self.integration_user)
        self._tell("jira:issue_updated", issue, self.integration_user)
        return web.Response(status=204)

    async def _transitions(self, request: web.Request) -> web.Response:
        offered = self.project.offered(request.match_info["key"])
        return web.json_response({"transitions": [self._offer(name) for name in offered]})

    def _offer(self, name: str) -> dict[str, Any]:
        fields = {"resolution": {"required": True, "name": "Resolution"}} if name == "Resolved" else {}
        return {
            "id": self.project.transition_ids[name],
            "name": f"To {name}",
            "to": {"name": name},
            "fields": fields,
        }

    async def _transition(self, request: web.Request) -> web.Response:
        asked = await request.json()
        key, step = request.match_info["key"], str(asked["transition"]["id"])
        issue = self.project.transition(key, step, asked.get("fields") or {}, self.integration_user)
        self._tell("jira:issue_updated", issue, self.integration_user)
        return web.Response(status=204)

    async def _comments(self, request: web.Request) -> web.Response:
        found = self.project.comments(request.match_info["key"])
        start, size = int(request.query.get("startAt", 0)), int(request.query.get("maxResults", 50))
        expanded = "properties" in request.query.get("expand", "")
        part = [comment_as(each, expanded=expanded) for each in found[start : start + size]]
        return web.json_response(
            {"startAt": start, "maxResults": size, "total": len(found), "comments": part}
        )

    async def _comment(self, request: web.Request) -> web.Response:
        asked = await request.json()
        key = request.match_info["key"]
        entry = self.project.comment(
            key, asked.get("body"), asked.get("properties", []), self.integration_user
        )
        self._tell("comment_created", self.project.issue(key), self.integration_user)
        return web.json_response(comment_as(entry, expanded=False), status=201)

    async def _revise(self, request: web.Request) -> web.Response:
        removed = request.method == "DELETE"
        body = None if removed else (await request.json()).get("body")
        key, comment = request.match_info["key"], request.match_info["comment"]
        entry = self.project.revise(key, comment, body, self.integration_user)
        self._tell(
            "comment_deleted" if removed else "comment_updated",
            self.project.issue(key),
            self.integration_user,
        )
        return web.Response(status=204) if removed else web.json_response(comment_as(entry, expanded=False))

    async def _attach(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Atlassian-Token") != "no-check":
            return web.Response(status=403, text="XSRF check failed")
        name, kind, content = uploaded(request.headers["Content-Type"], await request.read())
        key = request.match_info["key"]
        entry = self.project.attach(key, name, kind, content, self.integration_user)
        self._tell("jira:issue_updated", self.project.issue(key), self.integration_user)
        return web.json_response([entry])

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.project.content(request.match_info["key"]))


def _answered(handler: Handler) -> Handler:
    """Turn refusals of the project into Jira's error bodies."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            body = {"errorMessages": [refusal.message] if refusal.message else [], "errors": refusal.errors}
            return web.json_response(body, status=refusal.status)
        except (jql.JqlError, msgspec.DecodeError, ValueError) as fault:
            return web.json_response({"errorMessages": [str(fault)], "errors": {}}, status=400)

    return answer
