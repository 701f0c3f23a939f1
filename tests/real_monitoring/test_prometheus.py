"""A real Prometheus with its Alertmanager: firing, grouped, repeated, silenced, resolved, killed in between."""

from __future__ import annotations

import time

import pytest
from tests.real_monitoring.bench import Bench
from tests.real_monitoring.prometheus import Prometheus
from tests.real_monitoring.systems import until

pytestmark = pytest.mark.real_monitoring


def fired(bench: Bench, prometheus: Prometheus, host: str) -> dict:
    prometheus.metrics.set(host, 250)
    return bench.until_alert("prometheus", "an alert", host, state="firing")


def test_a_group_of_alerts_is_one_alert_and_one_incident_each_and_repeats_add_nothing(
    bench: Bench, prometheus: Prometheus
) -> None:
    hosts = ("pro-1", "pro-2", "pro-3")
    for host in hosts:
        prometheus.metrics.set(host, 250)
    alerts = [bench.until_alert("prometheus", "an alert", host, state="firing") for host in hosts]
    incidents = {each["incident"] for each in alerts}
    assert len(incidents) == 3
    assert all(bench.incident(each)["state"] == "new" for each in incidents)
    # Alertmanager repeats after eight seconds, with the same body.
    repeated = until(
        "a repetition",
        lambda: (
            (found := bench.alert("prometheus", host="pro-1"))["notifications"]
            > alerts[0]["notifications"] + 1
            and found
        ),
    )
    assert repeated["occurrences"] == 1
    assert {each["incident"] for each in bench.alerts("prometheus")} == incidents


def test_what_clears_is_resolved_and_the_others_go_on(bench: Bench, prometheus: Prometheus) -> None:
    gone, stays = fired(bench, prometheus, "pro-4"), fired(bench, prometheus, "pro-5")
    prometheus.metrics.set("pro-4", 3)
    bench.until_incident(gone["incident"], "resolved", seconds=90)
    assert bench.alert("prometheus", host="pro-5")["state"] == "firing"
    assert bench.incident(stays["incident"])["state"] == "new"


def test_a_silence_of_a_person_there_is_seen_here_and_its_end_too(
    bench: Bench, prometheus: Prometheus
) -> None:
    alert = fired(bench, prometheus, "pro-6")
    silence = prometheus.silence("pro-6", "ACK! looking at it")
    seen = bench.until_alert("prometheus", "the silence", "pro-6", silenced=True)
    assert (seen["acknowledged"], seen["acknowledged_by"]) == (True, "grace")
    prometheus.expire(silence)
    back = bench.until_alert("prometheus", "the end of the silence", "pro-6", silenced=False)
    assert (back["acknowledged"], back["incident"]) == (False, alert["incident"])


def test_a_silence_made_here_is_kept_there_and_ended_there(bench: Bench, prometheus: Prometheus) -> None:
    alert = fired(bench, prometheus, "pro-7")
    ends_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    made = bench.hub.ada.post(
        "/silences",
        {
            "matchers": [{"label": "host", "op": "=", "value": "pro-7"}],
            "ends_at": ends_at,
            "comment": "Window.",
        },
    )
    there = until(
        "the silence at Alertmanager",
        lambda: [
            each for each in prometheus.silences()
            if each["status"]["state"] == "active" and each["matchers"][0]["value"] == "pro-7"
        ],
    )  # fmt: skip
    assert len(there) == 1
    assert there[0]["comment"].startswith("Window.")
    bench.until_alert("prometheus", "the silence read back", "pro-7", silenced=True)
    bench.hub.ada.post(f"/silences/{made['id']}/expire", {})
    until(
        "the end of the silence at Alertmanager",
        lambda: all(
            each["status"]["state"] == "expired"
            for each in prometheus.silences()
            if each["id"] == there[0]["id"]
        ),
    )
    assert bench.alert("prometheus", host="pro-7")["incident"] == alert["incident"]


def test_what_ends_while_it_is_silenced_is_noticed_although_nobody_is_told(
    bench: Bench, prometheus: Prometheus
) -> None:
    """Alertmanager sends nothing about a silenced alert, not even its end: the poll compares what is listed."""
    alert = fired(bench, prometheus, "pro-8")
    prometheus.silence("pro-8", "quiet")
    bench.until_alert("prometheus", "the silence", "pro-8", silenced=True)
    prometheus.metrics.set("pro-8", 3)
    bench.until_incident(alert["incident"], "resolved", seconds=120)


def test_a_storm_over_a_hub_that_is_killed_gives_each_alert_one_incident(
    bench: Bench, prometheus: Prometheus
) -> None:
    hosts = [f"storm-{number:02d}" for number in range(30)]
    for host in hosts[:15]:
        prometheus.metrics.set(host, 250)
    until("the storm to begin", lambda: bench.alerts("prometheus", host=hosts[0]))
    bench.hub.hub.kill()
    for host in hosts[15:]:
        prometheus.metrics.set(host, 250)
    prometheus.metrics.set(hosts[0], 3)
    time.sleep(4)
    bench.hub.hub.start()
    alerts = [
        bench.until_alert("prometheus", "an alert of the storm", host, state="firing", seconds=90)
        for host in hosts[1:]
    ]
    over = bench.until_alert("prometheus", "the one that ended", hosts[0], state="resolved", seconds=90)
    incidents = [each["incident"] for each in (*alerts, over)]
    assert len(set(incidents)) == len(hosts), "one alert identity has one incident"
    assert all(len(bench.alerts("prometheus", host=host)) == 1 for host in hosts)
    bench.until_incident(over["incident"], "resolved", seconds=60)
    for host in hosts:
        prometheus.metrics.set(host, 3)
    for each in alerts:
        bench.until_incident(each["incident"], "resolved", seconds=90)
