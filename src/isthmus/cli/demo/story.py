"""The ten rows of the main job, told and checked against what the other systems really hold."""

from __future__ import annotations

import datetime as dt
import shutil

from isthmus.cli.demo.stage import INCIDENTS, OTHER_ARTEFACT, SYSTEMS, Stage, text_of
from isthmus.connectors.kit.faults import Fault


class Story(Stage):
    """The main job, row by row."""

    def play(self) -> None:
        """Tell all ten rows."""
        self.configuration_items()
        self.storm()
        self.priority()
        self.crosswalk()
        self.both_ways()
        self.killed()
        self.conflict()
        self.suspects()
        self.gate()
        self.evidence()

    # The rows ------------------------------------------------------------------------------------------

    def configuration_items(self) -> None:
        """Rows 1 and 8 need a map: it comes from two CSV files."""
        self.tell.row(1, "Alerts find their configuration item and service")
        self.drop("cis.csv")
        self.drop("relations.csv")
        items = self.tell.until("the map to be imported", lambda: self.at_least(self.ada.all("/cis"), 64))
        relations = self.tell.until(
            "the relations to resolve", lambda: self.at_least(self.ada.all("/relations"), 99)
        )
        self.tell.check(
            len(items) == 64 and len(relations) == 99,
            "64 configuration items and 99 relations came from two CSV files.",
        )
        self.raise_change()
        self.tell.look(f"{self.hub.url}/map/")

    def storm(self) -> None:
        """Row 2: 500 alerts."""
        self.tell.row(2, "A storm of 500 alerts becomes 25 incidents; a parent outage becomes one")
        sent = self.replay(resolved=False)
        self.tell.say(f"{sent} alerts in the words of a real Alertmanager were sent, repeats included.")
        incidents = self.tell.until("the storm to settle", self.settled)
        alerts = self.ada.all("/alerts")
        self.tell.check(
            len(incidents) == INCIDENTS,
            f"{len(incidents)} incidents: 18 signatures, 6 single alerts, 1 outage.",
        )
        by_name = [each for each in alerts if each["labels"].get("alertname") == "QueryTimeout"]
        self.tell.check(
            all(each["occurrences"] == 25 for each in by_name),
            "Each signature counts 25 occurrences, whatever times and addresses its text held.",
        )
        down = next(each for each in alerts if each["labels"].get("alertname") == "NetworkDeviceDown")
        children = [each for each in alerts if each["labels"].get("alertname") == "HostUnreachable"]
        self.tell.check(
            len(children) == 40 and {each["incident"] for each in children} == {down["incident"]},
            "core-sw-01 is down: the 40 hosts behind it are children of its one incident.",
        )
        quiet = [each for each in alerts if each["severity"] == "informational"]
        self.tell.check(
            bool(quiet) and not any(each["incident"] for each in quiet),
            "Informational events are kept and open nothing.",
        )
        bound = next(each for each in alerts if each["labels"].get("alertname") == "QueueBacklog")
        self.tell.check(
            bool(bound["ci"] and bound["service"]),
            "QueueBacklog named its host by an alias and was bound to mq-01 and the service payments.",
        )
        gaps = self.ada.all("/cmdb-gaps")
        self.tell.check(
            len(gaps) == 1, "ghost-77 is on no map: its incident exists all the same, and the gap is listed."
        )
        self.main = next(each for each in incidents if each["id"] == bound["incident"])
        self.tell.look(f"{self.hub.url}/alerts/")

    def priority(self) -> None:
        """Row 3: who is hit decides how soon."""
        self.tell.row(3, "Priority and group follow from the service")
        incidents = {each["id"]: each for each in self.ada.all("/incidents")}
        alerts = self.ada.all("/alerts")
        sandbox = next(
            incidents[each["incident"]]
            for each in alerts
            if each["labels"].get("alertname") == "SandboxCrash"
        )
        self.tell.check(
            self.main["priority"] == "1" and self.main["assignment_group"] == "Payments platform",
            f"{self.main['number']} hits a gold service: priority 1, group {self.main['assignment_group']}.",
        )
        self.tell.check(
            sandbox["priority"] > self.main["priority"],
            f"The same severity on a test service is priority {sandbox['priority']}.",
        )

    def crosswalk(self) -> None:
        """Row 4: the same incident in three vocabularies."""
        self.tell.row(4, "One incident, three systems, three vocabularies")
        keys = self.tell.until("tickets in three systems", lambda: self.keys(self.main["id"]))
        shown = [self.desks.ticket(name, keys[name]) for name in SYSTEMS]
        for each in shown:
            self.tell.say(
                f"{each.connection:8} {each.key:34} priority {each.priority!r}, state {each.state!r}"
            )
        self.tell.check(len({each.title for each in shown}) == 1, "The title is the same in all three.")
        self.tell.check(
            len({each.priority for each in shown}) == 3, "The priority is said in each system's own words."
        )
        self.tell.look(f"{self.hub.url}/incidents/{self.main['id']}/")

    def both_ways(self) -> None:
        """Row 5: people work where they like."""
        self.tell.row(5, "A comment in one system, a state in another; all agree, nothing echoes")
        keys = self.keys(self.main["id"]) or {}
        self.desks.comment("jira", keys["jira"], "Consumer group rebalanced, watching the backlog.")
        self.tell.until(
            "the comment in ServiceNow and Roundup",
            lambda: all(
                any("rebalanced" in text for text in self.desks.ticket(name, keys[name]).comments)
                for name in ("snow", "tracker")
            ),
        )
        self.tell.check(True, "A comment written in Jira is in ServiceNow and in Roundup.")
        self.desks.edit("snow", keys["snow"], state="2")
        self.tell.until(
            "the state in Jira", lambda: self.desks.ticket("jira", keys["jira"]).state == "Work in progress"
        )
        self.tell.check(True, "Work started in ServiceNow; Jira says 'Work in progress'.")
        counts = [
            sum("rebalanced" in text for text in self.desks.ticket(name, keys[name]).comments)
            for name in SYSTEMS
        ]
        self.tell.check(counts == [1, 1, 1], "Each system holds that comment exactly once.")

    def killed(self) -> None:
        """Row 6: faults and kill -9."""
        self.tell.row(6, "A partner that commits and then hangs, a hub killed with -9: still one ticket")
        before = self.tell.until("every ticket of the storm", lambda: self.counts(INCIDENTS))
        snow = self.partners.all["snow"].inside
        self.partners.inside(
            lambda: snow.faults.plan(Fault.RESET_AFTER_COMMIT, method="POST", path="/incident", times=1)
        )
        made = self.ada.post(
            "/incidents",
            {"title": "Badge readers at the north gate reject every card", "impact": "3", "urgency": "2"},
        )
        self.hub.kill()
        self.tell.say("The hub was killed with -9 while it was writing; it starts again.")
        self.hub.start()
        keys = self.tell.until("one ticket in each system", lambda: self.keys(made["id"]), seconds=120)
        after = self.counts()
        self.tell.check(
            all(after[name] == before[name] + 1 for name in SYSTEMS),
            f"{made['number']} exists exactly once in each system ({', '.join(keys)}); tickets before {before}, after {after}.",
        )

    def conflict(self) -> None:
        """Row 7: two people, one field."""
        self.tell.row(7, "Two people edit the same field: a named winner, a loser that can be restored")
        keys = self.keys(self.main["id"]) or {}
        for name in SYSTEMS:
            self.ada.post(f"/systems/{name}/pause", {"reason": "the demonstration stages a conflict"})
        self.desks.edit("snow", keys["snow"], title="Payment queue stuck behind a poison message")
        self.ada.call(
            "PATCH", f"/incidents/{self.main['id']}", {"title": "Queue backlog on mq-01 (payments)"}
        )
        for name in SYSTEMS:
            self.ada.post(f"/systems/{name}/resume")
        found = self.tell.until(
            "the conflict record",
            lambda: next(
                (each for each in self.ada.all("/conflicts") if each["record"] == self.main["id"]), None
            ),
        )
        self.tell.say(
            f"{found['field']}: ours {found['ours']!r}, theirs {found['theirs']!r}; winner {found['winner']} by {found['rule']}."
        )
        self.tell.check(
            found["winner"] in {"ours", "theirs"} and bool(found["rule"]),
            "The rule that decided is named; the losing value is kept.",
        )
        self.ada.post(f"/conflicts/{found['id']}/restore")
        loser = found["theirs"] if found["winner"] == "ours" else found["ours"]
        self.tell.until(
            "the restored title everywhere",
            lambda: all(self.desks.ticket(name, keys[name]).title == loser for name in SYSTEMS),
        )
        self.tell.check(True, "Restored: all systems hold the losing value now.")
        self.tell.look(f"{self.hub.url}/conflicts/")

    def suspects(self) -> None:
        """Row 8: which change may have caused it."""
        self.tell.row(8, "The change that may have caused it stands on the incident")
        suspects = self.ada.get(f"/incidents/{self.main['id']}/suspects")["items"]
        self.tell.check(
            any(each["change"] == self.change["id"] for each in suspects),
            f"{self.change['number']} is named as a suspect: {suspects[0]['reason']}",
        )
        report = self.ada.post("/impact", {"cis": ["core-sw-01"]})
        names = {each["name"] for each in report["services"]}
        self.tell.check(
            "platform" in names, f"Impact of core-sw-01, read from the map: {', '.join(sorted(names))}."
        )
        self.tell.look(f"{self.hub.url}/changes/{self.change['id']}/")

    def gate(self) -> None:
        """Row 9: whether it may go in."""
        self.tell.row(9, "The deployment gate: closed, approved, open; a freeze closes it")
        number, change = self.change["number"], self.change["id"]
        self.tell.check(
            self.ask_gate(number) == 1, f"isthmus gate check --change {number}: exit 1, nobody approved it."
        )
        self.advance("submit", "assess", "request-approval")
        own = self.ada.call("POST", f"/changes/{change}/approve", {"comment": "my own"})
        self.tell.check(own.status == 403, "ada raised it, so ada may not approve it (403).")
        self.grace.post(f"/changes/{change}/approve", {"comment": "Backout rehearsed."})
        self.tell.check(self.ask_gate(number) == 0, "grace approved: exit 0.")
        self.tell.check(
            self.ask_gate(number, artefact=OTHER_ARTEFACT) == 1,
            "Another artefact than the approved one: exit 1.",
        )
        now = dt.datetime.now(dt.UTC)
        freeze = self.ada.post(
            "/freezes",
            {
                "name": "Quarter-end freeze",
                "starts_at": text_of(now - dt.timedelta(minutes=1)),
                "ends_at": text_of(now + dt.timedelta(hours=1)),
                "environments": ["production"],
            },
        )
        self.tell.check(
            self.ask_gate(number) == 1, "Under the quarter-end freeze: exit 1, with the freeze's name."
        )
        self.ada.call("DELETE", f"/freezes/{freeze['id']}")
        self.tell.check(
            self.ask_gate(number, url="http://127.0.0.1:9") == 3,
            "Hub not reachable: exit 3. It fails closed.",
        )
        self.tell.look(f"{self.hub.url}/changes/")

    def evidence(self) -> None:
        """Row 10: the whole story, and the proof."""
        self.tell.row(10, "The whole story can be read and verified")
        self.replay(resolved=True)
        story = self.ada.get(f"/traces/{self.main['number']}")
        self.tell.check(
            len(story["entries"]) >= 5 and {each["connection"] for each in story["external"]} >= set(SYSTEMS),
            f"isthmus trace {self.main['number']}: {len(story['entries'])} entries, {len(story['external'])} tickets in other systems.",
        )
        report = self.tell.until("a sound verification", self.sound)
        self.tell.check(
            report["ok"], f"isthmus audit verify: sound ({report['counts'].get('entries', '?')} entries)."
        )
        copy = self.hub.data_dir / "edited"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        self.copy_book(copy / "book.sqlite")
        found = self.tamper(copy / "book.sqlite")
        self.tell.check(
            "change_change" in found,
            "Somebody sets an approval by hand in a copy of the store: the verifier names the row.",
        )
        self.tell.look(f"{self.hub.url}/audit/")
