"""What a batch costs does not grow with the number of alerts and incidents there are: no statement reads them all."""

from __future__ import annotations

import os
from typing import Any

import pytest
from tests import plans
from tests.practices.monitoring.test_partner_silences import hold
from tests.practices.monitoring.test_quiet import INHIBIT

from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring.models import Alert

pytestmark = pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") == "postgres", reason="PostgreSQL plans by the sizes of tables"
)
GROWING = (
    "hub_due", "incident_comment", "incident_incident", "ledger_entry", "monitoring_alert", "monitoring_silence",
    "service_level_clock", "sync_delivery", "sync_link",
)  # fmt: skip
"""Changes are left out: the calendar reads them once per revision of it."""


def test_no_step_of_taking_alerts_reads_a_whole_table(monitor: Any) -> None:
    monitor.configure(**INHIBIT)
    with plans.told() as found:
        monitor.send(monitor.event("SiteDown", site="ber"), monitor.event("HostDown", site="ber", host="a"))
        monitor.fire("HostDown", site="muc", host="b")
        monitor.repeat(monitor.event("SiteDown", site="ber"))
        hold(monitor)
        monitor.clear("SiteDown", site="ber")
        monitor.pass_time(minutes=30)
    assert plans.whole(found, *GROWING) == []


def test_an_incident_is_found_by_its_number(monitor: Any) -> None:
    monitor.fire("Down", host="a")
    (incident,) = monitor.incidents()
    with plans.told() as found:
        monitor.book.perform(lambda work: incidents.get(work, incident.number))
    assert plans.whole(found, *GROWING) == []


def test_a_statement_that_reads_them_all_is_told(monitor: Any) -> None:
    with plans.told() as found:
        list(Alert.objects.filter(summary="Down on a"))
    assert len(plans.whole(found, "monitoring_alert")) == 1
