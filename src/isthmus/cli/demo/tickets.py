"""What stands in the other systems: read inside the vendors themselves, not from what the hub believes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isthmus.cli.demo.partners import Partner, Partners


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """A ticket as its own system holds it, in that system's words."""

    connection: str
    key: str
    title: str
    state: str
    priority: str
    comments: tuple[str, ...]


class Desks:
    """Look at, and work in, the other systems, as their own people do."""

    def __init__(self, partners: Partners) -> None:
        self._partners = partners

    def ticket(self, connection: str, key: str) -> Ticket:
        """Return one ticket."""
        partner = self._partners.all[connection]
        read = {"servicenow": _servicenow, "jira": _jira, "roundup": _roundup}[partner.connector]
        if partner.connector == "roundup":
            return read(partner, key)
        return self._partners.inside(lambda: read(partner, key))

    def edit(self, connection: str, key: str, **values: Any) -> None:
        """Change a ticket as a person there would (canonical field names, that system's words)."""
        inside: Any = self._partners.all[connection].inside
        if connection == "tracker":
            inside.human_edit("incident", key, values)
        else:
            self._partners.inside(lambda: inside.human_edit("incident", key, values))

    def comment(self, connection: str, key: str, text: str) -> None:
        """Write a comment as a person there would."""
        inside: Any = self._partners.all[connection].inside
        if connection == "tracker":
            inside.human_comment("incident", key, text)
        else:
            self._partners.inside(lambda: inside.human_comment("incident", key, text, public=True))

    def count(self, connection: str) -> int:
        """Return how many tickets the hub and people made there."""
        partner = self._partners.all[connection]
        if partner.connector == "roundup":
            inside: Any = partner.inside
            return int(inside._person().get("issue?@page_size=1")["@total_size"])  # noqa: SLF001 - the demonstration's own peer
        name = {"servicenow": "incident", "jira": "issue"}[partner.connector]
        return self._partners.inside(lambda: len(partner.inside.shelf(name)))


def _servicenow(partner: Partner, key: str) -> Ticket:
    inside: Any = partner.inside
    row = inside.shelf("incident").get(key)
    journal = tuple(each["value"] for each in inside.instance.journals(key))
    return Ticket(
        connection=partner.connection,
        key=key,
        title=row["short_description"],
        state=row["state"],
        priority=row["priority"],
        comments=journal,
    )


def _jira(partner: Partner, key: str) -> Ticket:
    inside: Any = partner.inside
    fields = inside.project.issue(key)["fields"]
    return Ticket(
        connection=partner.connection,
        key=key,
        title=fields["summary"],
        state=fields["status"]["name"],
        priority=(fields.get("priority") or {}).get("name", ""),
        comments=tuple(str(each) for each in inside.project.comments(key)),
    )


def _roundup(partner: Partner, key: str) -> Ticket:
    inside: Any = partner.inside
    person = inside._person()  # noqa: SLF001 - the demonstration's own peer
    found = person.get(f"issue/{key}?@verbose=2")["attributes"]
    messages = [
        person.get(f"msg/{each['id']}?@verbose=3")["attributes"]["content"]
        for each in found["messages"] or []
    ]
    return Ticket(
        connection=partner.connection,
        key=key,
        title=found["title"],
        state=(found["status"] or {}).get("name", ""),
        priority=(found["priority"] or {}).get("name", ""),
        comments=tuple(str(each) for each in messages),
    )
