"""The screens of the console: what each asks, who may see it, and the key that opens it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Screen:
    """`permission` decides who sees the entry; `question` is what the screen answers."""

    name: str
    path: str
    permission: str
    question: str
    group: str = "Work"


SCREENS: Final[tuple[Screen, ...]] = (
    Screen(name="Overview", path="/", permission="overview:read", question="What needs me now?"),
    Screen(name="Alerts", path="/alerts", permission="alert:read", question="What is firing, and what became of it?"),
    Screen(
        name="Incidents", path="/incidents", permission="incident:read", question="What happened, who has it, what next?"
    ),
    Screen(name="Problems", path="/problems", permission="problem:read", question="What keeps causing incidents, and why?"),
    Screen(
        name="Known errors", path="/known-errors", permission="problem:read", question="What do we know how to work around?"
    ),
    Screen(name="Service levels", path="/sla", permission="sla:read", question="Which promise runs out next, and why?"),
    Screen(
        name="Waiting", path="/waiting", permission="incident:read", question="What waits for whom, how long already?"
    ),
    Screen(name="Drafts", path="/drafts", permission="alert:read", question="Is this an incident?"),
    Screen(name="Changes", path="/changes", permission="change:read", question="What will touch what, and may it?"),
    Screen(name="On call", path="/on-call", permission="oncall:read", question="Who is on call, and who was told?"),
    Screen(name="Map", path="/map", permission="ci:read", question="What depends on this?"),
    Screen(name="Silences", path="/silences", permission="alert:read", question="What is quiet, by whom, until when?"),
    Screen(name="Systems", path="/systems", permission="system:read", question="Is every spoke healthy?", group="Hub"),
    Screen(
        name="Deliveries", path="/deliveries", permission="delivery:read", question="What waits, why, what fixes it?",
        group="Hub",
    ),
    Screen(
        name="Conflicts", path="/conflicts", permission="conflict:read", question="Which value is right?", group="Hub"
    ),
    Screen(name="Sources", path="/sources", permission="alert:read", question="Is every source heard from?", group="Hub"),
    Screen(
        name="Accuracy", path="/accuracy", permission="alert:read", question="How far may the hub decide alone?",
        group="Proof",
    ),
    Screen(name="Trace", path="/trace", permission="trace:read", question="How did this come to be?", group="Proof"),
    Screen(name="Audit", path="/audit", permission="audit:read", question="Can I believe this?", group="Proof"),
    Screen(
        name="Configuration", path="/configuration", permission="configuration:read", question="What rules are in force?",
        group="Admin",
    ),
    Screen(
        name="Correlation", path="/rules", permission="configuration:read", question="Which alerts belong together?",
        group="Admin",
    ),
    Screen(name="People", path="/people", permission="people:read", question="Who may do what?", group="Admin"),
    Screen(name="Tokens", path="/tokens", permission="token:read", question="Which programs may call?", group="Admin"),
)  # fmt: skip


def entries(held: AbstractSet[str], path: str) -> list[dict[str, object]]:
    """Return menu groups `{"name", "screens": [{"name", "path", "question", "here"}]}` for what the reader may see."""
    groups: dict[str, list[dict[str, object]]] = {}
    for each in SCREENS:
        if each.permission in held:
            here = path == "/" if each.path == "/" else path == each.path or path.startswith(each.path + "/")
            groups.setdefault(each.group, []).append(
                {"name": each.name, "path": each.path, "question": each.question, "here": here}
            )
    return [{"name": name, "screens": screens} for name, screens in groups.items()]
