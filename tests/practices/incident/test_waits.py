"""What an incident on hold waits for, and what that costs whoever opens and ends many at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from isthmus.practices.incident import service
from isthmus.practices.incident.models import Wait


@pytest.fixture
def watched(desk: Any) -> Any:
    desk.apply(waits={f"pending_{each}": {"limit": "PT1H"} for each in ("customer", "supplier")})
    return desk


def waiting() -> list[str]:
    return [each.workflow for each in Wait.objects.filter(state="waiting")]


def test_the_wait_follows_whom_the_incident_is_held_for(watched: Any) -> None:
    incident = watched.open()
    for values, expected in (
        ({"state": "on_hold", "hold_reason": "customer"}, ["pending_customer"]),
        ({"hold_reason": "supplier"}, ["pending_supplier"]),
        ({"hold_reason": "change"}, []),
        ({"hold_reason": "customer"}, ["pending_customer"]),
        ({"state": "in_progress"}, []),
        ({"state": "on_hold", "hold_reason": "supplier"}, ["pending_supplier"]),
        ({"state": "resolved", "resolution_code": "fixed", "resolution_notes": "Done."}, []),
    ):
        watched.on(incident, service.update, values)
        assert waiting() == expected, values
    assert Wait.objects.filter(state="ended").count() == 4


def test_many_incidents_are_not_asked_one_by_one_whether_they_wait(watched: Any) -> None:
    def open_many(work: Any) -> list[str]:
        return [service.create(work, watched.book.organisation, {"title": "One"}).id for _ in range(30)]

    def end_many(work: Any) -> None:
        for each in service.load(work, ids).values():
            service.update(work, each, {"state": "cancelled"})

    with CaptureQueriesContext(connection) as opening:
        ids = watched.act(open_many)
    with CaptureQueriesContext(connection) as ending:
        watched.act(end_many)
    asked = [[each for each in found if "incident_wait" in each["sql"]] for found in (opening, ending)]
    assert [len(each) for each in asked] == [0, 1]
