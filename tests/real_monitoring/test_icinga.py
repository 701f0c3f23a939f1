"""A real Icinga 2: hard states only, acknowledgements and downtimes both ways, its stream broken and its hub killed."""

from __future__ import annotations

import time

import pytest
from tests.real_monitoring.bench import Bench
from tests.real_monitoring.icinga import Icinga
from tests.real_monitoring.systems import until

pytestmark = pytest.mark.real_monitoring


def broken(bench: Bench, icinga: Icinga, host: str) -> dict:
    icinga.breaks(host)
    return bench.until_alert("icinga", "the problem", host, state="firing")


def test_a_hard_state_is_one_incident_a_soft_one_none_and_a_recovery_resolves(
    bench: Bench, icinga: Icinga
) -> None:
    host = icinga.hosts[0]
    alert = broken(bench, icinga, host)
    assert (alert["severity"], alert["labels"]["team"]) == ("critical", "payments")
    assert bench.incident(alert["incident"])["state"] == "new"
    icinga.breaks(host, 1)
    bench.until_alert("icinga", "the milder state", host, severity="warning")
    icinga.mends(host)
    bench.until_incident(alert["incident"], "resolved")
    assert len(bench.alerts("icinga", host=host)) == 1


def test_acknowledging_here_is_seen_there_and_taken_back_there_is_seen_here(
    bench: Bench, icinga: Icinga
) -> None:
    host = icinga.hosts[1]
    alert = broken(bench, icinga, host)
    bench.act("acknowledge", alert, "mine")
    until("the acknowledgement at Icinga", lambda: icinga.service(host)["acknowledgement"] == 2)
    comments = icinga.api("GET", "/v1/objects/comments")["results"]
    assert "Ada" in {each["attrs"]["author"] for each in comments if each["attrs"]["host_name"] == host}
    bench.until_alert(
        "icinga", "the acknowledgement read back", host, acknowledged=True, acknowledged_by="Ada"
    )
    icinga.act("remove-acknowledgement", host)
    bench.until_alert("icinga", "the withdrawal", host, acknowledged=False)
    icinga.act("acknowledge-problem", host, author="grace", comment="I have it", sticky=True, notify=False)
    seen = bench.until_alert("icinga", "a person's acknowledgement", host, acknowledged=True)
    assert seen["acknowledged_by"] == "grace"
    icinga.mends(host)
    bench.until_incident(alert["incident"], "resolved")


def test_a_downtime_there_is_a_silence_here(bench: Bench, icinga: Icinga) -> None:
    host = icinga.hosts[2]
    alert = broken(bench, icinga, host)
    now = time.time()
    icinga.act(
        "schedule-downtime",
        host,
        author="grace",
        comment="change",
        start_time=now,
        end_time=now + 600,
        fixed=True,
    )
    bench.until_alert("icinga", "the downtime", host, silenced=True)
    listed = until(
        "the downtime among the silences",
        lambda: [
            each for each in bench.hub.ada.get("/silences", limit="100")["items"]
            if each.get("connection") == "icinga" and {"label": "host", "op": "=", "value": host} in each["matchers"]
        ],
    )  # fmt: skip
    assert (listed[0]["comment"], listed[0]["owner_label"]) == ("change", "grace")
    name = icinga.api("GET", "/v1/objects/downtimes")["results"][0]["name"]
    icinga.api(
        "POST", "/v1/actions/remove-downtime",
        {"type": "Downtime", "filter": "downtime.__name == n", "filter_vars": {"n": name}},
    )  # fmt: skip
    bench.until_alert("icinga", "the end of the downtime", host, silenced=False)
    icinga.mends(host)
    bench.until_incident(alert["incident"], "resolved")


def test_what_failed_while_icinga_and_then_the_hub_were_away_is_read_when_they_are_back(
    bench: Bench, icinga: Icinga
) -> None:
    stays, comes, goes = icinga.hosts[1:4]
    first = broken(bench, icinga, stays)
    ended = broken(bench, icinga, goes)
    icinga.kill(icinga.daemon)
    icinga.run()
    icinga.breaks(comes)
    second = bench.until_alert(
        "icinga", "what failed after the stream broke", comes, state="firing", seconds=90
    )
    bench.hub.hub.kill()
    icinga.mends(goes)
    until("the recovery at Icinga", lambda: icinga.service(goes)["last_hard_state"] == 0)
    bench.hub.hub.start()
    bench.until_incident(ended["incident"], "resolved", seconds=90)
    alerts = {host: bench.alerts("icinga", host=host) for host in (stays, comes)}
    assert [each["incident"] for each in alerts[stays] if each["state"] == "firing"] == [first["incident"]]
    assert [each["incident"] for each in alerts[comes] if each["state"] == "firing"] == [second["incident"]]
    for host in (stays, comes):
        icinga.mends(host)
    for each in (first, second):
        bench.until_incident(each["incident"], "resolved", seconds=90)
