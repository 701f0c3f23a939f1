"""A real Nagios with the shipped script: notified, repeated, acknowledged and in downtime both ways, its hub killed."""

from __future__ import annotations

import time

import pytest
from tests.real_monitoring.bench import Bench
from tests.real_monitoring.nagios import Nagios
from tests.real_monitoring.systems import until

pytestmark = pytest.mark.real_monitoring


def broken(bench: Bench, nagios: Nagios, host: str) -> dict:
    nagios.breaks(host)
    return bench.until_alert("nagios", "the problem", host, state="firing")


def test_a_problem_is_one_incident_repeats_add_nothing_and_a_recovery_resolves(
    bench: Bench, nagios: Nagios
) -> None:
    host = nagios.hosts[0]
    alert = broken(bench, nagios, host)
    assert alert["severity"] == "critical"
    repeated = until(
        "a repetition",
        lambda: (
            (found := bench.alert("nagios", host=host))["notifications"] > alert["notifications"] + 1
            and found
        ),
    )
    assert (repeated["occurrences"], repeated["incident"]) == (1, alert["incident"])
    nagios.breaks(host, 1)
    bench.until_alert("nagios", "the milder state", host, severity="warning")
    nagios.mends(host)
    bench.until_incident(alert["incident"], "resolved")
    assert len(bench.alerts("nagios", host=host)) == 1


def test_acknowledging_here_is_seen_there_and_a_persons_there_is_seen_here(
    bench: Bench, nagios: Nagios
) -> None:
    host = nagios.hosts[1]
    alert = broken(bench, nagios, host)
    bench.act("acknowledge", alert, "mine")
    until(
        "the acknowledgement at Nagios", lambda: nagios.status(host)["problem_has_been_acknowledged"] == "1"
    )
    bench.until_alert(
        "nagios", "the acknowledgement read back", host, acknowledged=True, acknowledged_by="Ada"
    )
    # Nagios notifies nobody of a withdrawal: only the poll of the agent can see it.
    nagios.tell(f"REMOVE_SVC_ACKNOWLEDGEMENT;{host};{nagios.check}")
    bench.until_alert("nagios", "the withdrawal", host, acknowledged=False)
    nagios.tell(f"ACKNOWLEDGE_SVC_PROBLEM;{host};{nagios.check};2;1;0;grace;I have it")
    seen = bench.until_alert("nagios", "a person's acknowledgement", host, acknowledged=True)
    assert seen["acknowledged_by"] == "grace"
    nagios.mends(host)
    bench.until_incident(alert["incident"], "resolved")


def test_a_downtime_there_is_a_silence_here(bench: Bench, nagios: Nagios) -> None:
    host = nagios.hosts[2]
    alert = broken(bench, nagios, host)
    now = int(time.time())
    nagios.tell(f"SCHEDULE_SVC_DOWNTIME;{host};{nagios.check};{now};{now + 600};1;0;600;grace;change")
    bench.until_alert("nagios", "the downtime", host, silenced=True)
    listed = until(
        "the downtime among the silences",
        lambda: [
            each for each in bench.hub.ada.get("/silences", limit="100")["items"]
            if each.get("connection") == "nagios" and {"label": "host", "op": "=", "value": host} in each["matchers"]
        ],
    )  # fmt: skip
    assert (listed[0]["comment"], listed[0]["owner_label"]) == ("change", "grace")
    nagios.tell(f"DEL_SVC_DOWNTIME;{nagios.downtimes()[0]['downtime_id']}")
    bench.until_alert("nagios", "the end of the downtime", host, silenced=False)
    nagios.mends(host)
    bench.until_incident(alert["incident"], "resolved")


def test_what_nagios_could_not_tell_a_killed_hub_is_polled_when_it_is_back(
    bench: Bench, nagios: Nagios
) -> None:
    comes, goes = nagios.hosts[0], nagios.hosts[3]
    ended = broken(bench, nagios, goes)
    bench.hub.hub.kill()
    nagios.breaks(comes)
    nagios.mends(goes)
    until(
        "both at Nagios",
        lambda: (nagios.status(comes)["last_hard_state"], nagios.status(goes)["current_state"]) == ("2", "0"),
    )
    bench.hub.hub.start()
    bench.until_incident(ended["incident"], "resolved", seconds=90)
    alert = bench.until_alert("nagios", "the problem", comes, state="firing", seconds=90)
    assert len([each for each in bench.alerts("nagios", host=comes) if each["state"] == "firing"]) == 1
    nagios.mends(comes)
    bench.until_incident(alert["incident"], "resolved", seconds=90)
