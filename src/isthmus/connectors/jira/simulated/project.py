"""The issues of a simulated project and the rules that Jira enforces on them.

Statuses change by transitions only, resolving demands a resolution, rich text must be a valid document,
a summary is one line of 255 characters, labels hold no blanks. Refusals name the fields, as Jira's do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from isthmus.connectors.jira.config import WORKFLOW
from isthmus.connectors.kit.shelf import Shelf

ISSUES, COMMENTS, CONTENTS = "issue", "comment", "content"
RESOLUTIONS = ("Done", "Won't Do", "Duplicate", "Cannot Reproduce", "Known Error")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
_INLINE = frozenset({"text", "hardBreak", "mention", "emoji", "inlineCard", "status", "date"})
_NOT_A_DOCUMENT = "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
_SUMMARY_CHARACTERS_MAX = 255
_EDITABLE = frozenset({"summary", "description", "priority", "labels", "resolution"})


class Refusal(Exception):
    """A 4xx of Jira: the status and the messages by field."""

    def __init__(self, status: int, errors: Mapping[str, str], *, message: str = "") -> None:
        super().__init__(message or str(dict(errors)))
        self.status, self.errors, self.message = status, dict(errors), message


class Project:
    """One project. `shelf` gives issues and comments, `clock` the current time in UTC."""

    def __init__(
        self, shelf: Callable[[str], Shelf], clock: Callable[[], dt.datetime], key: str, kind: str
    ) -> None:
        self._shelf, self._clock = shelf, clock
        self.key, self.issue_type = key, kind
        self.transition_ids = {status: str(11 + 10 * index) for index, status in enumerate(WORKFLOW)}

    def issue(self, key: str) -> dict[str, Any]:
        """Return an issue by id or key; 404 if there is none."""
        found = self._shelf(ISSUES).get(key)
        if found is None:
            found = next((each for _, each in self._shelf(ISSUES).all() if each["key"] == key), None)
        if found is None:
            text = "Issue does not exist or you do not have permission to see it."
            raise Refusal(404, {}, message=text)
        return found

    def create(self, fields: Mapping[str, Any], properties: list[Any], author: str) -> dict[str, Any]:
        """Create an issue in the workflow's first status."""
        missing = {
            name: f"{name} is required."
            for name in ("project", "issuetype", "summary")
            if not fields.get(name)
        }
        if missing:
            raise Refusal(400, missing)
        if fields["project"].get("key") != self.key or fields["issuetype"].get("name") != self.issue_type:
            raise Refusal(400, {"issuetype": "Specify a valid issue type"})
        given = {name: value for name, value in fields.items() if name not in {"project", "issuetype"}}
        self._check(given)
        number, now = self._shelf(ISSUES).next_number(), self._now()
        issue: dict[str, Any] = {
            "id": str(10000 + number),
            "key": f"{self.key}-{number}",
            "fields": {
                "description": None, "labels": [], "attachment": [], "priority": {"name": "Medium"}, "resolution": None,
                "status": {"name": next(iter(WORKFLOW))}, **given,
                "project": {"key": self.key}, "issuetype": {"name": self.issue_type},
                "creator": {"accountId": author}, "created": now, "updated": now,
            },
            "properties": {each["key"]: each["value"] for each in properties},
            "histories": [],
        }  # fmt: skip
        self._shelf(ISSUES).put(issue["id"], issue)
        return issue

    def edit(
        self, key: str, fields: Mapping[str, Any], update: Mapping[str, Any], author: str
    ) -> dict[str, Any]:
        """Change fields; `update` adds and removes labels. A field in both is refused, as is the status."""
        issue = self.issue(key)
        if both := set(fields) & set(update):
            raise Refusal(400, dict.fromkeys(both, "Field is in both fields and update."))
        wanted = dict(fields)
        for name, operations in update.items():
            wanted[name] = _updated(name, list(issue["fields"].get(name) or []), operations)
        self._check(wanted)
        return self._put(issue, wanted, author)

    def offered(self, key: str) -> list[str]:
        """Return the statuses that the workflow lets follow."""
        return WORKFLOW[self.issue(key)["fields"]["status"]["name"]]

    def transition(self, key: str, step: str, fields: Mapping[str, Any], author: str) -> dict[str, Any]:
        """Take a transition by id; into Resolved it demands a resolution, out of it clears it."""
        status = next((name for name in self.offered(key) if self.transition_ids[name] == step), None)
        if status is None:
            raise Refusal(
                400, {}, message="It seems that you have tried to perform an illegal workflow operation."
            )
        wanted: dict[str, Any] = {"status": {"name": status}}
        if status == "Resolved":
            if not fields.get("resolution"):
                raise Refusal(400, {"resolution": "Resolution is required."})
            wanted["resolution"] = fields["resolution"]
        elif set(fields) - {"resolution"} or "resolution" in fields:
            text = "Field cannot be set. It is not on the appropriate screen, or unknown."
            raise Refusal(400, dict.fromkeys(fields, text))
        if status == "Work in progress":
            wanted["resolution"] = None
        self._check({name: value for name, value in wanted.items() if name != "status"})
        return self._put(self.issue(key), wanted, author)

    def force(self, key: str, fields: Mapping[str, Any], author: str) -> dict[str, Any]:
        """Change an issue as a person with every right does, status included."""
        return self._put(self.issue(key), dict(fields), author)

    def comment(self, key: str, body: Any, properties: list[Any], author: str) -> dict[str, Any]:
        """Add a comment to an issue; its `updated` moves, its changelog does not."""
        if not is_document(body):
            raise Refusal(400, {"comment": _NOT_A_DOCUMENT})
        issue = self.issue(key)
        now = self._now()
        entry = {
            "id": str(50000 + self._shelf(COMMENTS).next_number()),
            "issue": issue["id"],
            "author": {"accountId": author, "displayName": author},
            "body": body,
            "created": now,
            "updated": now,
            "properties": properties,
        }
        self._shelf(COMMENTS).put(entry["id"], entry)
        issue["fields"]["updated"] = now
        self._shelf(ISSUES).put(issue["id"], issue)
        return entry

    def revise(self, key: str, comment: str, body: Any, author: str) -> dict[str, Any]:
        """Change a comment's text, or remove it (`body` None); 404 if there is none."""
        issue, entry = self.issue(key), self._shelf(COMMENTS).get(comment)
        if entry is None:
            raise Refusal(404, {}, message="Can not find a comment for the id: " + comment)
        if body is None:
            self._shelf(COMMENTS).remove(comment)
        elif not is_document(body):
            raise Refusal(400, {"comment": _NOT_A_DOCUMENT})
        else:
            entry |= {"body": body, "updated": self._now(), "updateAuthor": {"accountId": author}}
            self._shelf(COMMENTS).put(comment, entry)
        issue["fields"]["updated"] = self._now()
        self._shelf(ISSUES).put(issue["id"], issue)
        return entry

    def comments(self, key: str) -> list[dict[str, Any]]:
        """Return the comments of an issue, oldest first."""
        identity = self.issue(key)["id"]
        return [each for _, each in self._shelf(COMMENTS).all() if each["issue"] == identity]

    def attach(self, key: str, name: str, kind: str, content: bytes, author: str) -> dict[str, Any]:
        """Add a file to an issue: `updated` and the changelog move."""
        issue = self.issue(key)
        entry: dict[str, Any] = {
            "id": str(70000 + self._shelf(CONTENTS).next_number()), "filename": name, "mimeType": kind,
            "size": len(content), "created": self._now(), "author": {"accountId": author, "displayName": author},
        }  # fmt: skip
        self._shelf(CONTENTS).put(entry["id"], {"content": content, "issue": issue["id"], "filename": name})
        self._put(issue, {"attachment": [*issue["fields"].get("attachment", ()), entry]}, author)
        return entry

    def content(self, key: str) -> bytes:
        """Return the content of an attachment; 404 if there is none."""
        found = self._shelf(CONTENTS).get(key)
        if found is None:
            raise Refusal(404, {}, message="The attachment with id '" + key + "' does not exist")
        held: bytes = found["content"]
        return held

    def _put(self, issue: dict[str, Any], wanted: Mapping[str, Any], author: str) -> dict[str, Any]:
        held = issue["fields"]
        items = [
            {"field": name, "fromString": _shown(held.get(name)), "toString": _shown(value)}
            for name, value in wanted.items()
            if held.get(name) != value
        ]
        if not items:
            return issue
        now = self._now()
        issue["histories"].append(
            {
                "id": str(len(issue["histories"]) + 1),
                "author": {"accountId": author},
                "created": now,
                "items": items,
            }
        )
        issue["fields"] = {**held, **wanted, "updated": now}
        self._shelf(ISSUES).put(issue["id"], issue)
        return issue

    def _check(self, fields: Mapping[str, Any]) -> None:
        errors = dict(_faults(fields))
        if errors:
            raise Refusal(400, errors)

    def _now(self) -> str:
        moment = self._clock().astimezone(dt.timezone(dt.timedelta(hours=1)))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0100"


def _faults(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in fields:
        if name not in _EDITABLE and not name.startswith("customfield_"):
            yield name, f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
    if "summary" in fields and (fault := _summary_fault(fields["summary"])):
        yield "summary", fault
    if fields.get("description") is not None and not is_document(fields["description"]):
        yield "description", _NOT_A_DOCUMENT
    if "priority" in fields and (fields["priority"] or {}).get("name") not in PRIORITIES:
        yield "priority", "Specify a valid value for priority"
    if fields.get("resolution") and fields["resolution"].get("name") not in RESOLUTIONS:
        yield "resolution", "Specify a valid value for resolution"
    for label in fields.get("labels", ()):
        if not isinstance(label, str) or any(each.isspace() for each in label):
            yield "labels", f"The label '{label}' contains spaces which is invalid."


def _summary_fault(summary: Any) -> str:
    if not isinstance(summary, str) or not summary.strip():
        return "You must specify a summary of the issue."
    if "\n" in summary:
        return "The summary is invalid because it contains newline characters."
    return "Summary can't exceed 255 characters." if len(summary) > _SUMMARY_CHARACTERS_MAX else ""


def is_document(value: Any) -> bool:
    """Return whether a value is a document: version 1, known containers, no empty text nodes."""
    if not isinstance(value, dict) or value.get("type") != "doc" or value.get("version") != 1:
        return False
    return isinstance(value.get("content"), list) and all(_is_node(each, 0) for each in value["content"])


def _is_node(node: Any, depth: int) -> bool:
    if not isinstance(node, dict) or not isinstance(node.get("type"), str) or depth > 50:
        return False
    if node["type"] == "text":
        return isinstance(node.get("text"), str) and node["text"] != ""
    if node["type"] in _INLINE and depth == 0:
        return False
    content = node.get("content", [])
    return isinstance(content, list) and all(_is_node(each, depth + 1) for each in content)


def _updated(name: str, held: list[str], operations: Any) -> list[str]:
    if name != "labels" or not isinstance(operations, list):
        raise Refusal(400, {name: "Field does not support update."})
    for operation in operations:
        if "add" in operation and operation["add"] not in held:
            held.append(operation["add"])
        if "remove" in operation and operation["remove"] in held:
            held.remove(operation["remove"])
    return held


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(
            str(each.get("filename", "")) if isinstance(each, dict) else str(each) for each in value
        )
    return str(value.get("name", "")) if isinstance(value, dict) else "" if value is None else str(value)
