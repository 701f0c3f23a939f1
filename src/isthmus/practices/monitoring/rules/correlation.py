"""Which alerts belong together? Topology first, then declared groups, then storms; each answer has a reason.

- *Topology*: an alert whose item depends on an item that is down becomes a child of that alert, in its
  incident. If the parent's alert comes later, the children move to it: the order of arrival does not matter.
- *Groups*: alerts of one group key (a rule and the values that it groups by; without a rule, the identity)
  share an incident while they lie within the rule's window; below its threshold there is none yet.
- *Wait*: an alert that would open an incident, on an item that depends on others, is kept back for a short time:
  its cause may be on the way. Alerts that wait follow a cause that arrives without ever having had an incident.
- *Storm*: above a number of new groups in a short time, everything further joins one parent incident.

A closed incident never absorbs alerts (the caller does not even offer it). The correlator holds one batch's
view in memory, places alerts one after the other and says what to open, join, attach and absorb.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from isthmus.kernel.duration import in_words
from isthmus.kernel.record import Json, Reason
from isthmus.practices.monitoring.rules.groups import (
    ATTACHED,
    BELOW,
    HOLDING,
    UNPLACED,
    WAITING,
    Group,
    Member,
    Moved,
    Placed,
    Policy,
)


class Correlator:
    """Places the alerts of one organisation and batch.

    `upstream(ci)` gives items that it depends on with their distance, `downstream(ci)` the items that depend
    on it; `new_incident()` gives the id of an incident to be made; `opened_lately` counts recent groups;
    `storm_incident` is the id of a running storm's incident ("" if none).
    """

    def __init__(
        self,
        policy: Policy,
        *,
        members: Iterable[Member],
        groups: Mapping[str, Group],
        upstream: Callable[[str], Mapping[str, int]],
        downstream: Callable[[str], Mapping[str, int]],
        new_incident: Callable[[], str],
        opened_lately: int = 0,
        storm_incident: str = "",
    ) -> None:
        self.policy = policy
        self.groups = dict(groups)
        self._upstream = upstream
        self._downstream = downstream
        self._new_incident = new_incident
        self._opened_lately = opened_lately
        self._storm = storm_incident
        self._by_id: dict[str, Member] = {}
        self._on_ci: dict[str, list[Member]] = defaultdict(list)
        self._under: dict[str, set[str]] = defaultdict(set)
        for member in members:
            self._add(member)

    def _add(self, member: Member) -> None:
        self._by_id[member.id] = member
        if member.ci:
            self._on_ci[member.ci].append(member)
        if member.parent:
            self._under[member.parent].add(member.id)

    def place(self, member: Member) -> tuple[Placed, list[Moved]]:
        """Return where an alert goes and which others follow it there."""
        placed = self._attach(member) or self._group(member)
        member.incident, member.parent, member.decision = placed.incident, placed.parent, placed.decision
        if member.id not in self._by_id:
            self._add(member)
        for other in placed.takes:
            if other in self._by_id:
                self._by_id[other].incident, self._by_id[other].decision = placed.incident, "joined"
        moved = self._gather(member) if placed.decision in HOLDING else []
        # Alerts that the threshold has just put into an incident may be causes, too.
        for other in placed.takes:
            if other in self._by_id:
                moved += self._gather(self._by_id[other])
        return placed, moved

    # Topology ------------------------------------------------------------------------------------------

    def _topological(self, member: Member) -> bool:
        return self.policy.topology and bool(member.ci) and (member.rule is None or member.rule.topology)

    def _attach(self, member: Member) -> Placed | None:
        if not self._topological(member):
            return None
        reach = self._upstream(member.ci)
        causes = [
            (self._preference(parent, hops), parent)
            for ci, hops in reach.items()
            for parent in self._on_ci.get(ci, ())
            if self._explains(parent, member, hops)
        ]
        if not causes:
            return None
        (hops, *_), parent = min(causes, key=lambda each: each[0])
        text = f"Child of “{parent.summary or parent.id}”: its item depends on that one, {hops} hop(s) away."
        facts: dict[str, Json] = {"parent": parent.id, "ci": parent.ci, "hops": hops}
        return Placed(
            alert=member.id,
            decision=ATTACHED,
            incident=parent.incident,
            parent=parent.id,
            reason=Reason(rule="monitoring.correlation.topology", text=text, facts=facts),
        )

    @staticmethod
    def _preference(parent: Member, hops: int) -> tuple[int, str, int, str]:
        """Order causes: the nearest, then the earliest. Nothing in it depends on the order of arrival."""
        return hops, parent.ci, parent.at, parent.identity

    def _explains(self, parent: Member, child: Member, hops: int) -> bool:
        policy = self.policy
        return (
            hops <= policy.depth
            and parent.ci != child.ci
            and parent.severity in policy.parent_severities
            and bool(parent.incident)
            and parent.decision in HOLDING
            and child.at >= parent.at - policy.window
            and self._topological(parent)
            and not self._below(parent, child.id)
        )

    def _below(self, member: Member, ancestor: str) -> bool:
        """Return whether `member` hangs under `ancestor` already (items may depend on each other in circles)."""
        seen: set[str] = set()
        while member.parent and member.parent not in seen:
            if member.parent == ancestor:
                return True
            seen.add(member.parent)
            above = self._by_id.get(member.parent)
            if above is None:
                return False
            member = above
        return False

    def _gather(self, parent: Member) -> list[Moved]:
        """Have alerts on dependants follow a cause that came after them, if it explains them best."""
        if not self._topological(parent) or parent.severity not in self.policy.parent_severities:
            return []
        moved: list[Moved] = []
        # The nearest first: what waits hangs under the nearest cause, which may have come along itself just now.
        for ci, hops in sorted(self._downstream(parent.ci).items(), key=lambda each: (each[1], each[0])):
            for child in self._on_ci.get(ci, ()):
                if child.decision in UNPLACED:
                    moved += self._pick_up(child)
                    continue
                if (
                    child.decision not in HOLDING
                    or not self._topological(child)
                    or not self._explains(parent, child, hops)
                ):
                    continue
                if child.decision == ATTACHED and not self._prefers(child, parent, hops):
                    continue
                text = f"Now a child of “{parent.summary or parent.id}”, which came later and explains it, {hops} hop(s) away."
                reason = Reason(
                    rule="monitoring.correlation.topology",
                    text=text,
                    facts={"parent": parent.id, "hops": hops},
                )
                moved.append(self._moved(child, parent.incident, parent.id, reason))
                moved += self._followers(child, reason)
        return moved

    def _pick_up(self, child: Member) -> list[Moved]:
        """End the wait of an alert whose cause has arrived; it counts towards no threshold any more."""
        placed = self._attach(child)
        if placed is None:
            return []
        if (group := self.groups.get(child.group_key)) is not None:
            group.members.pop(child.id, None)
        return [self._moved(child, placed.incident, placed.parent, placed.reason)]

    def _prefers(self, child: Member, parent: Member, hops: int) -> bool:
        held = self._by_id.get(child.parent)
        distance = self._upstream(child.ci).get(held.ci) if held is not None else None
        if held is None or distance is None:
            return False
        return self._preference(parent, hops) < self._preference(held, distance)

    def _followers(self, top: Member, reason: Reason) -> list[Moved]:
        """Have everything below an alert that moved follow it into its new incident."""
        moved: list[Moved] = []
        front = [top]
        while front:
            above = front.pop()
            for member in sorted(
                (self._by_id[each] for each in self._under[above.id]), key=lambda each: each.id
            ):
                if member.incident != above.incident:
                    moved.append(self._moved(member, above.incident, above.id, reason))
                    front.append(member)
        return moved

    def _moved(self, child: Member, incident: str, parent: str, reason: Reason) -> Moved:
        left = child.incident if child.incident != incident else ""
        self._under[child.parent].discard(child.id)
        self._under[parent].add(child.id)
        child.incident, child.parent, child.decision = incident, parent, ATTACHED
        return Moved(alert=child.id, incident=incident, parent=parent, left=left, reason=reason)

    # Groups and storms ---------------------------------------------------------------------------------

    def _group(self, member: Member) -> Placed:
        rule = member.rule
        name = f"the rule “{rule.name}”" if rule else "the same identity"
        group = self.groups.get(member.group_key)
        if group is not None and not group.within(member.at, rule):
            group = None
        if group is None:
            group = self.groups[member.group_key] = Group(key=member.group_key)
        group.members[member.id] = member.at
        facts: dict[str, Json] = {"group": member.group_key, "alerts": len(group.members)}
        if member.likeness:
            name = f"{name} (its summary is {member.likeness} % like that of its group)"
            facts["likeness"] = member.likeness
        if group.incident:
            text = f"Joined the open incident of {name}."
            return Placed(
                alert=member.id,
                decision="joined",
                incident=group.incident,
                reason=Reason(rule="monitoring.correlation.group", text=text, facts=facts),
            )
        threshold = rule.threshold if rule else 1
        if len(group.members) < threshold:
            text = f"{len(group.members)} of {threshold} alerts that {name} asks for: no incident yet."
            return Placed(
                alert=member.id,
                decision=BELOW,
                reason=Reason(rule="monitoring.correlation.threshold", text=text, facts=facts),
            )
        if self._collects(member):
            text = f"{name[0].upper()}{name[1:]} waits {in_words(rule.wait if rule else 0)} for more of its kind."
            return Placed(
                alert=member.id,
                decision=WAITING,
                reason=Reason(rule="monitoring.correlation.group_wait", text=text, facts=facts),
            )
        if self._waits(member):
            text = f"Its item depends on others, one of which may be the cause: decided within {in_words(self.policy.wait)}."
            return Placed(
                alert=member.id,
                decision=WAITING,
                reason=Reason(rule="monitoring.correlation.wait", text=text, facts=facts),
            )
        takes = tuple(other for other in group.members if other != member.id)
        return self._storming(member, group, takes) or self._open(member, group, takes, name, facts)

    @staticmethod
    def _collects(member: Member) -> bool:
        """Return whether the rule of an alert waits before it opens anything."""
        return member.rule is not None and member.rule.wait > 0 and not member.waited

    def _waits(self, member: Member) -> bool:
        """Return whether a cause that has not arrived yet could explain an alert."""
        return (
            self.policy.wait > 0
            and not member.waited
            and self._topological(member)
            and any(hops <= self.policy.depth for hops in self._upstream(member.ci).values())
        )

    def _open(
        self, member: Member, group: Group, takes: tuple[str, ...], name: str, facts: dict[str, Json]
    ) -> Placed:
        group.incident = self._new_incident()
        self._opened_lately += 1
        text = (
            f"Opened: no open incident of {name}."
            if not takes
            else f"Opened: {name} reached its threshold with {len(takes) + 1} alerts."
        )
        reason = Reason(rule="monitoring.correlation.group", text=text, facts=dict(facts))
        return Placed(
            alert=member.id,
            decision="opened",
            incident=group.incident,
            opens=True,
            takes=takes,
            reason=reason,
        )

    def _storming(self, member: Member, group: Group, takes: tuple[str, ...]) -> Placed | None:
        policy = self.policy
        if not policy.storm or self._opened_lately < policy.storm:
            return None
        opens = not self._storm
        if opens:
            self._storm = self._new_incident()
        group.incident = self._storm
        self._opened_lately += 1
        text = f"Storm: {self._opened_lately} new groups in {in_words(policy.storm_window)}; further ones share one incident."
        reason = Reason(
            rule="monitoring.correlation.storm",
            text=text,
            facts={"groups": self._opened_lately, "limit": policy.storm},
        )
        return Placed(
            alert=member.id, decision="storm", incident=self._storm, opens=opens, takes=takes, reason=reason
        )
