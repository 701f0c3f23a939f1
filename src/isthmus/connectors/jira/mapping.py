"""Jira's issues in canonical words: pure tables and the way from an issue to an observation.

Status names and priorities are data of a site; the tables hold the names of the service project template
and are overlaid in the blueprint where a site has others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.connectors.jira.adf import from_adf
from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import Instant, from_datetime, to_rfc3339
from isthmus.kernel.mapping import FieldMapping, RecordMapping
from isthmus.kernel.observation import ExternalRef, Observation, ObservedAttachment, ObservedComment
from isthmus.kernel.record import Json

ISSUE = "issue"
PROPERTY = "isthmus"
LABEL_PREFIX = "isthmus-"
"""The label `isthmus-<correlation>` finds an issue of ours; labels so named are never tags."""

INCIDENT = RecordMapping(
    kind="incident",
    external_kind=ISSUE,
    fields={
        "title": FieldMapping(
            external="summary", normalise=("collapse", "cut 255", "trim"), loss="One line of 255 characters."
        ),
        "description": FieldMapping(
            external="description",
            normalise=("newlines", "trim", "cut 32000", "trim"),
            loss="Plain text: what people format in Jira comes in without its formatting.",
        ),
        "state": FieldMapping(
            external="status",
            outward={
                "new": "Open",
                "in_progress": "Work in progress",
                "on_hold": "Pending",
                "resolved": "Resolved",
                "closed": "Closed",
                "cancelled": "Canceled",
            },
        ),
        "priority": FieldMapping(
            external="priority",
            outward={"1": "Highest", "2": "High", "3": "Medium", "4": "Low"},
            inward={"Highest": "1", "High": "2", "Medium": "3", "Low": "4", "Lowest": "4"},
            loss="Lowest comes in as 4, which goes out as Low.",
        ),
        "tags": FieldMapping(external="labels", loss="Labels with blanks are refused."),
    },
)
MAPPINGS: Mapping[str, RecordMapping] = {"incident": INCIDENT}


def label_of(correlation: str) -> str:
    """Return the label that carries a link's correlation."""
    return LABEL_PREFIX + correlation


def instant_of(text: str) -> Instant:
    """Return the instant of `2026-11-20T21:09:44.123+0100`."""
    try:
        return from_datetime(dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z"))
    except ValueError as cause:
        raise Rejected(f"Jira sent {text!r} where a time belongs.") from cause


def version_of(updated: str) -> str:
    """Return `updated` in UTC, so that versions compare as text whatever zone the account shows."""
    return to_rfc3339(instant_of(updated))


def external(connection: str, url: str, issue: Mapping[str, Any]) -> ExternalRef:
    """Return the identity of an issue: the id never changes, the key does when an issue is moved."""
    key = str(issue.get("key", ""))
    return ExternalRef(
        connection=connection, kind=ISSUE, key=str(issue["id"]), label=key, url=f"{url}/browse/{key}"
    )


def observation(
    connection: str,
    url: str,
    issue: Mapping[str, Any],
    mapping: RecordMapping,
    comments: Sequence[ObservedComment] | None = None,
) -> Observation:
    """Return what one issue of REST version 3 says. Fields that are not among its `fields` are left out."""
    fields = issue["fields"]
    values: dict[str, Json] = {
        name: spelled(fields[mapping.fields[name].external])
        for name in mapping.read()
        if mapping.fields[name].external in fields
    }
    return Observation(
        kind=mapping.kind,
        external=external(connection, url, issue),
        values=values,
        version=version_of(fields["updated"]),
        coarse=True,
        occurred_at=instant_of(fields["updated"]),
        source_zone=fields["updated"][-5:],
        partner_actor=last_modifier(issue),
        comments=None if comments is None else tuple(comments),
        attachments=tuple(file(each) for each in fields["attachment"]) if "attachment" in fields else None,
        correlation=correlation_of(issue),
    )


def correlation_of(issue: Mapping[str, Any]) -> str:
    """Return the link's correlation: from the hidden property if it was asked for, else from the label."""
    held = issue.get("properties", {}).get(PROPERTY)
    if isinstance(held, dict) and held.get("correlation"):
        return str(held["correlation"])
    labels = issue["fields"].get("labels") or []
    marks = [str(each).removeprefix(LABEL_PREFIX) for each in labels if str(each).startswith(LABEL_PREFIX)]
    return marks[0] if marks else ""


def last_modifier(issue: Mapping[str, Any]) -> str:
    """Return who changed fields last, by the changelog if it was asked for ("" if nobody is named)."""
    histories = issue.get("changelog", {}).get("histories") or []
    if histories:
        newest = max(histories, key=lambda each: instant_of(each["created"]))
        return str(newest.get("author", {}).get("accountId", ""))
    creator = issue["fields"].get("creator")
    return str(creator.get("accountId", "")) if isinstance(creator, dict) else ""


def comment(entry: Mapping[str, Any]) -> ObservedComment:
    """Return a comment of REST version 3, read with its properties."""
    properties = {each["key"]: each["value"] for each in entry.get("properties", []) if "key" in each}
    ours, visibility = properties.get(PROPERTY), properties.get("sd.public.comment")
    internal = isinstance(visibility, dict) and visibility.get("internal") is True
    author = entry.get("author")
    return ObservedComment(
        key=str(entry["id"]),
        body=from_adf(entry.get("body")),
        author=str(author.get("displayName", "")) if isinstance(author, dict) else "",
        public=bool(entry.get("jsdPublic", not internal)) and not internal,
        at=instant_of(entry["created"]),
        correlation=str(ours.get("correlation", "")) if isinstance(ours, dict) else "",
    )


def file(entry: Mapping[str, Any]) -> ObservedAttachment:
    """Return an attachment of an issue, as the field `attachment` and the answer of an upload show it."""
    author = entry.get("author")
    return ObservedAttachment(
        key=str(entry["id"]),
        filename=str(entry.get("filename", "")),
        size=int(entry.get("size") or 0),
        content_type=str(entry.get("mimeType", "")),
        author=str(author.get("displayName", "")) if isinstance(author, dict) else "",
        at=instant_of(entry["created"]),
    )


def spelled(value: Any) -> Json:
    """Return the plain spelling of a field: a name, a text, the sorted names of a list, "" for nothing."""
    if value is None:
        return ""
    if isinstance(value, dict):
        if value.get("type") == "doc":
            return from_adf(value)
        return str(
            value.get("name") or value.get("value") or value.get("displayName") or value.get("id") or ""
        )
    if isinstance(value, list):
        names = {str(spelled(each)) for each in value}
        return list[Json](sorted(each for each in names if not each.startswith(LABEL_PREFIX)))
    return value if isinstance(value, bool | int | str) else str(value)
