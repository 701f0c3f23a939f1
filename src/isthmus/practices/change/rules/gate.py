"""The deployment gate: may this go in now? Pure, fails closed, names every reason at once.

`Facts` is everything that the decision looks at; it is stored with the decision, so that anybody can compute
it again (`decide(facts) == stored decision`). Facts about authority were read from entries, never from a
projection column alone; where both disagree, the gate stays shut.

Four kinds of calendar meet here: a *window* allows, a *freeze* denies, a *peak* denies high risk, and the
*maintenance* of another authorised change denies everything else on its items.
"""

from __future__ import annotations

from isthmus.practices.change.rules.gate_facts import (
    Asked,
    Authority,
    Decision,
    Effect,
    Facts,
    Reason,
    Span,
    Told,
)

__all__ = ["Asked", "Authority", "Decision", "Effect", "Facts", "Reason", "Span", "Told", "closed", "decide"]

_PROGRESSING = frozenset({"new", "assessment", "authorisation"})
_OPEN = frozenset({"scheduled", "implementation"})


def decide(facts: Facts) -> Decision:
    """Return the decision with all its reasons."""
    if facts.change is None:
        return _sum(
            [
                Reason(
                    rule="gate.change",
                    verdict="deny",
                    text=f"There is no change {facts.asked.reference!r}.",
                    remedy="Raise one, or correct the number.",
                )
            ]
        )
    change = facts.change
    return _sum(
        [
            *_book(change),
            *_state(change),
            *_authority(change, facts.authority),
            *_items(facts.asked, change),
            *_artefact(facts, change),
            *_window(facts, change),
            *_assessment(facts, change),
            *_calendar(facts, change),
        ]
    )


def closed(reference: str, why: str) -> Decision:
    """Return the decision for when facts cannot be had: shut."""
    return _sum(
        [
            Reason(
                rule="gate.unavailable",
                verdict="deny",
                text=f"The facts about {reference!r} could not be read: {why}",
                remedy="Try again; the gate stays shut meanwhile.",
            )
        ]
    )


def _sum(reasons: list[Reason]) -> Decision:
    verdicts = {each.verdict for each in reasons}
    if "deny" in verdicts:
        return Decision(verdict="deny", reasons=reasons)
    if "wait" in verdicts:
        times = [each.until for each in reasons if each.verdict == "wait" and each.until is not None]
        return Decision(verdict="wait", reasons=reasons, look_again_at=min(times, default=None))
    allowed = Reason(
        rule="gate.open", verdict="allow", text="Authorised, in its window, nothing stands against it."
    )
    return Decision(verdict="allow", reasons=[*reasons, allowed])


def _deny(rule: str, text: str, remedy: str = "") -> Reason:
    return Reason(rule=f"gate.{rule}", verdict="deny", text=text, remedy=remedy)


def _wait(rule: str, text: str, remedy: str = "", until: int | None = None) -> Reason:
    return Reason(rule=f"gate.{rule}", verdict="wait", text=text, remedy=remedy, until=until)


def _book(change: Told) -> list[Reason]:
    if not change.differs:
        return []
    return [
        _deny(
            "book",
            f"The stored change differs from its entries in: {', '.join(change.differs)}.",
            "Run `isthmus audit verify`; somebody edited the store.",
        )
    ]


def _state(change: Told) -> list[Reason]:
    if change.state in _OPEN:
        return []
    if change.state in _PROGRESSING:
        return [
            _wait("state", f"{change.number} is in state {change.state!r}.", "It must be authorised first.")
        ]
    return [_deny("state", f"{change.number} is in state {change.state!r}.", "Raise a new change.")]


def _authority(change: Told, authority: Authority | None) -> list[Reason]:
    if authority is None:
        return [_deny("authority", f"Nothing authorises {change.number}.", "Request approval.")]
    found = [_deny("model", text, "Submit it as a normal change.") for text in authority.model_refusals]
    if not authority.approved:
        undecided = authority.awaiting or change.state in {"new", "assessment"}
        say = _wait if undecided else _deny
        found += [
            say("authority", text, "Request approval of the current content.")
            for text in authority.reasons or ["It is not approved."]
        ]
    elif change.authorisation != "approved":
        found.append(
            _deny(
                "authorisation",
                f"{change.number} is not authorised ({change.authorisation}).",
                "Request approval again.",
            )
        )
    return found


def _items(asked: Asked, change: Told) -> list[Reason]:
    found: list[Reason] = []
    if change.unresolved:
        found.append(
            _deny(
                "ci_unresolved",
                f"CI unresolved: {', '.join(change.unresolved)}.",
                "Import the configuration item; the change follows by itself.",
            )
        )
    if asked.unresolved:
        found.append(
            _deny(
                "ci_unresolved", f"CI unresolved: {', '.join(asked.unresolved)}.", "Name an item of the map."
            )
        )
    strangers = sorted(set(asked.cis) - set(change.cis))
    if strangers:
        found.append(
            _deny(
                "ci_match",
                f"{len(strangers)} of the items are not part of {change.number}.",
                "Deploy what the change names, or change it and have it approved.",
            )
        )
    if asked.environment and change.environment and asked.environment != change.environment:
        found.append(
            _deny(
                "environment",
                f"{change.number} is for {change.environment!r}, not {asked.environment!r}.",
                "Deploy to the approved environment.",
            )
        )
    return found


def _artefact(facts: Facts, change: Told) -> list[Reason]:
    given, approved = facts.asked.artefact_hash, change.artefact_hash
    if approved and not given and facts.artefact_needed:
        return [
            _deny(
                "artefact",
                "The change was approved for one artefact and the request names none.",
                "Send the hash of what is deployed.",
            )
        ]
    if approved and given and given != approved:
        return [
            _deny(
                "artefact",
                "This is not the artefact that was approved.",
                "Deploy the approved one, or have this one approved.",
            )
        ]
    if given and not approved and facts.artefact_needed:
        return [
            _deny(
                "artefact",
                "The change names no artefact, so none was approved.",
                "Put the hash into the change and have it approved.",
            )
        ]
    return []


def _window(facts: Facts, change: Told) -> list[Reason]:
    now = facts.now
    if change.type == "emergency":
        return _box(change, now)
    if change.window_start is None or change.window_end is None:
        return [_deny("window", f"{change.number} has no window.", "Plan one and have it approved.")]
    if now < change.window_start:
        return [_wait("window", "Its window has not begun.", "Wait for it.", until=change.window_start)]
    if now >= change.window_end:
        return [_deny("window", "Its window is over.", "Plan a new window and have it approved.")]
    return []


def _assessment(facts: Facts, change: Told) -> list[Reason]:
    if facts.assessed or change.state not in _OPEN:
        return []
    return [
        _deny(
            "assessment",
            "The map has changed where this change reaches: its impact report is outdated.",
            "Assess it again.",
        )
    ]


def _box(change: Told, now: int) -> list[Reason]:
    found: list[Reason] = []
    if not change.incident:
        found.append(
            _deny(
                "emergency_incident",
                "An emergency change must cite an incident.",
                "Link the incident that it is for.",
            )
        )
    if change.review_due_at is None:
        found.append(_deny("emergency_review", "No review is set for this emergency.", "Submit it again."))
    if change.authorisation != "approved":
        return found
    if change.authorised_until is None or now >= change.authorised_until:
        found.append(_deny("emergency_box", "The emergency opening is over.", "Have it approved again."))
    return found


def _calendar(facts: Facts, change: Told) -> list[Reason]:
    found: list[Reason] = []
    standing = [each for each in facts.calendar if each.starts_at <= facts.now < each.ends_at]
    emergency = change.type == "emergency"
    for each in standing:
        # An emergency goes through a freeze on purpose: its own authority, box and review stand for that.
        if each.effect == "freeze" and not emergency:
            found.append(
                _deny(
                    "freeze",
                    f"Freeze {each.name!r} is in force.",
                    "Wait until it ends, or raise an emergency change.",
                )
            )
        elif each.effect == "peak" and change.risk not in {"low", "medium"} and not emergency:
            found.append(
                _deny(
                    "peak",
                    f"Business peak {each.name!r}: nothing of high risk goes in.",
                    "Choose a time outside the peak.",
                )
            )
        elif each.effect == "maintenance":
            found.append(
                _deny(
                    "maintenance", f"{each.name} works on the same items now.", "Wait until its window ends."
                )
            )
    windows = [each for each in facts.calendar if each.effect == "window"]
    if (
        facts.windowed
        and not emergency
        and not any(each.starts_at <= facts.now < each.ends_at for each in windows)
    ):
        following = [each.starts_at for each in windows if each.starts_at > facts.now]
        if following:
            found.append(
                _wait(
                    "change_window",
                    "No change window of these items is open.",
                    "Wait for the next.",
                    until=min(following),
                )
            )
        else:
            found.append(
                _deny("change_window", "No change window of these items is open.", "See the change calendar.")
            )
    return found
