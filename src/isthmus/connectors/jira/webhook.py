"""Jira's admin webhooks: signed hints that an issue has changed.

Their rich texts are in wiki markup and their comments lack our hidden properties, so a webhook never carries
a version: the hub reads the issue afresh. Identity of an event is `X-Atlassian-Webhook-Identifier`, which
stays the same over retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.connectors.jira import mapping as spelling
from isthmus.connectors.jira.config import JiraConfig
from isthmus.connectors.jira.mapping import MAPPINGS
from isthmus.connectors.kit.ports import Context
from isthmus.connectors.kit.webhook import WebhookSource, decoder
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Json


class User(msgspec.Struct, frozen=True):
    """Who did it."""

    accountId: str = ""  # noqa: N815 - the partner's spelling


class Issue(msgspec.Struct, frozen=True):
    """The issue as webhooks show it."""

    id: str
    key: str
    fields: dict[str, Any] = {}


class Delivery(msgspec.Struct, frozen=True):
    """The body of an admin webhook; members that we do not need are ignored."""

    webhookEvent: str  # noqa: N815 - the partner's spelling
    timestamp: int
    issue: Issue | None = None
    user: User | None = None


EVENTS = (
    "jira:issue_created", "jira:issue_updated", "jira:issue_deleted",
    "comment_created", "comment_updated", "comment_deleted",
)  # fmt: skip
_PLAIN = frozenset({"summary", "status", "priority", "labels"})
"""Fields whose spelling in a webhook is that of REST version 3."""
_decode = decoder(Delivery)


class JiraSource(WebhookSource):
    """Webhooks registered by an administrator with a secret (`X-Hub-Signature`)."""

    scheme_name = "hub_sha256"
    secret_names = ("webhook_secret",)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Return one hint for an event about an issue of our project and type, else nothing."""
        found = _decode(body)
        if found.webhookEvent not in EVENTS:
            return []
        issue = found.issue
        if issue is None:
            problem = Problem(path="/issue", message="is missing")
            raise Rejected(f"The event {found.webhookEvent} names no issue.", problems=(problem,))
        _check(issue)
        config = context.config
        if isinstance(config, JiraConfig) and not _concerns(issue, config):
            return []
        mapping = context.mappings.get("incident", MAPPINGS["incident"])
        values: dict[str, Json] = {
            name: spelling.spelled(issue.fields[each.external])
            for name, each in mapping.fields.items()
            if each.external in _PLAIN and each.external in issue.fields and each.direction != "out"
        }
        url = config.url if isinstance(config, JiraConfig) else ""
        identifier = headers.get("x-atlassian-webhook-identifier", "")
        return [
            Observation(
                kind="incident",
                external=spelling.external(context.connection, url, {"id": issue.id, "key": issue.key}),
                values=values,
                event_id=identifier or f"{found.webhookEvent}:{issue.id}:{found.timestamp}",
                coarse=True,
                occurred_at=Instant(found.timestamp * 1000),
                partner_actor=found.user.accountId if found.user else "",
                correlation=spelling.correlation_of({"fields": issue.fields}),
                deleted=found.webhookEvent == "jira:issue_deleted",
            )
        ]


def _check(issue: Issue) -> None:
    for name in ("id", "key"):
        if not getattr(issue, name):
            problem = Problem(path=f"/issue/{name}", message="is empty")
            raise Rejected(f"The event is wrong at {problem.path}: {problem.message}.", problems=(problem,))
    labels = issue.fields.get("labels")
    if labels is not None and not (
        isinstance(labels, list) and all(isinstance(each, str) for each in labels)
    ):
        problem = Problem(path="/issue/fields/labels", message="must be a list of texts")
        raise Rejected(f"The event is wrong at {problem.path}: {problem.message}.", problems=(problem,))


def _concerns(issue: Issue, config: JiraConfig) -> bool:
    """Return whether the issue is of our project and type; what the event does not say is not held against it."""
    project, kind = issue.fields.get("project"), issue.fields.get("issuetype")
    ours = issue.key.rsplit("-", 1)[0]
    if isinstance(project, dict) and project.get("key"):
        ours = str(project["key"])
    if ours != config.project:
        return False
    return not isinstance(kind, dict) or kind.get("name") in {None, config.issue_type}
