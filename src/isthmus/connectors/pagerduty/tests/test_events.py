"""Events as PagerDuty takes them: one key per thing, limits kept, severities by table."""

import msgspec
import pytest

from isthmus.connectors.kit import marks
from isthmus.connectors.pagerduty import events
from isthmus.connectors.pagerduty.config import PagerDutyConfig
from isthmus.connectors.pagerduty.mapping import Incident, own_key

CONFIG = PagerDutyConfig()
MESSAGE = {
    "recipient": "Checkout", "title": "INC-000042 needs somebody", "text": "Tills are down", "facts": [["Priority", "1"]],
    "severity": "critical", "link": "https://hub.example.test/incidents/1", "thread": "", "about": "incident:01J",
    "actions": [{"id": "acknowledge", "label": "I take it", "url": "https://hub.example.test/on-call/1"}],
}  # fmt: skip


def test_every_message_about_one_thing_has_one_key_and_a_message_about_nothing_its_own():
    keys = {events.trigger(MESSAGE, key, CONFIG)["dedup_key"] for key in ("n1:0", "n1:1", "n2:0")}
    assert keys == {"isthmus/incident:01J"}
    bare = {**MESSAGE, "about": ""}
    found = [events.key_of(bare, key, CONFIG) for key in ("n1:0", "n1:1", "n2:0")]
    assert found == ["isthmus/notification:n1", "isthmus/notification:n1", "isthmus/notification:n2"]
    assert events.key_of({**bare, "thread": "isthmus/incident:01J"}, "n9:0", CONFIG) == "isthmus/incident:01J"
    assert events.key_of({**bare, "thread": "C1/17"}, "n9:0", CONFIG) == "isthmus/notification:n9"


def test_a_key_that_is_too_long_stays_one_key():
    first, again, other = (
        events.key_of({**MESSAGE, "about": "x" * 300 + tail}, "k", CONFIG) for tail in ("a", "a", "b")
    )
    assert first == again != other
    assert len(first) <= events.KEY_MAX
    assert events.is_own_key(first, CONFIG)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("critical", "critical"),
        ("error", "error"),
        ("warning", "warning"),
        ("informational", "info"),
        ("odd", "error"),
    ],
)
def test_severities_follow_the_table(ours, theirs):
    assert events.trigger({**MESSAGE, "severity": ours}, "k", CONFIG)["payload"]["severity"] == theirs
    table = PagerDutyConfig(severities={"critical": "warning"})
    assert events.trigger(MESSAGE, "k", table)["payload"]["severity"] == "warning"


def test_links_lead_back_and_details_say_what_the_message_says():
    found = events.trigger(MESSAGE, "k", CONFIG)
    assert [each["href"] for each in found["links"]] == [
        MESSAGE["link"],
        "https://hub.example.test/on-call/1",
    ]
    assert found["client_url"] == MESSAGE["link"]
    assert found["payload"]["custom_details"] == {"text": "Tills are down", "Priority": "1"}


def test_a_summary_is_cut_before_its_mark_by_which_the_incident_is_known_as_ours():
    found = events.trigger({**MESSAGE, "title": "ü" * 2_000}, "k", CONFIG)
    summary = found["payload"]["summary"]
    assert len(summary) == events.SUMMARY_MAX
    shown = Incident(id="P1", status="triggered", title=summary, created_at=None)
    assert own_key(shown, CONFIG) == f"#{marks.mark_of(found['dedup_key'])}"


def test_another_systems_key_is_not_ours_whatever_the_title_says():
    title = events.trigger(MESSAGE, "k", CONFIG)["payload"]["summary"]
    keyed = Incident(id="P1", status="triggered", title=title, created_at=None, incident_key="other/1")
    assert own_key(keyed, CONFIG) == ""
    assert own_key(Incident(id="P1", status="triggered", title="Slow", created_at=None), CONFIG) == ""


def test_an_event_beyond_512_kilobytes_goes_out_without_its_details():
    facts = [[f"name {number} " + "n" * 20_000, "v" * 4_000] for number in range(50)]
    found = events.trigger({**MESSAGE, "facts": facts}, "k", CONFIG)
    assert len(msgspec.json.encode(found)) < events.BYTES_MAX
    assert found["payload"]["custom_details"] == {"text": "Too long for PagerDuty: see the hub."}
    assert found["links"], "the way back stays"
    small = events.trigger({**MESSAGE, "facts": facts[:1]}, "k", CONFIG)
    assert len(small["payload"]["custom_details"]) == 2
