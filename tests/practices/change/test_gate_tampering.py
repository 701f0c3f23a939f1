"""F3: a store that was edited by hand opens nothing."""

from __future__ import annotations

import pytest
from django.db import connection

from isthmus.kernel.errors import Conflict
from isthmus.kernel.instant import HOUR
from isthmus.practices.change import service


def tamper(statement: str, *values: object) -> None:
    """Edit the store by hand, past the book."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        assert cursor.rowcount == 1


def test_an_edited_projection_does_not_open_the_gate(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    tamper(
        "UPDATE change_change SET state = 'scheduled', authorisation = 'approved' WHERE id = %s", change.id
    )
    verdict, rules = world.gate(change)
    assert verdict == "deny"
    assert "book" in rules
    with pytest.raises(Conflict):
        world.do("ada", service.start, change)


def test_an_edited_approval_row_does_not_open_the_gate(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    tamper(
        "UPDATE approval_approval SET state = 'approved', approver = 'person-ben' WHERE subject = %s",
        change.id,
    )
    tamper(
        "UPDATE change_change SET state = 'scheduled', authorisation = 'approved' WHERE id = %s", change.id
    )
    assert world.gate(change)[0] == "deny"


def test_a_planted_approval_row_does_not_open_the_gate(world):
    change = world.raise_change()
    world.do("ada", service.submit, change)
    world.do("ada", service.request_approval, change)
    world.do("ben", service.refuse, change)
    columns = "organisation, version, created_at, updated_at, occurred_at, channel, synthetic, trace, subject_kind, subject, content_hash"
    columns += ", definition, definition_version, authority, terms, requester, decided_at, expires_at"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO approval_approval (id, state, approver, {columns}) SELECT 'PLANTED', 'approved', 'person-ben', {columns} FROM approval_approval"
        )
    tamper("DELETE FROM approval_approval WHERE id <> 'PLANTED'")
    assert world.gate(change)[0] != "allow"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_change SET artefact_hash = 'evil' WHERE id = %s",
        "UPDATE change_change SET window_end = window_end + 999999999999 WHERE id = %s",
        "UPDATE change_change SET risk = 'high' WHERE id = %s",
    ],
)
def test_an_edited_content_column_shuts_the_gate(world, statement):
    change = world.authorised()
    tamper(statement, change.id)
    verdict, rules = world.gate(change)
    assert (verdict, "book" in rules) == ("deny", True)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_freeze SET state = 'cancelled' WHERE id = %s",
        "UPDATE change_freeze SET ends_at = 1 WHERE id = %s",
        "DELETE FROM change_freeze WHERE id = %s",
    ],
)
def test_hiding_a_freeze_in_the_store_does_not_lift_it(world, statement):
    change = world.authorised()
    values = {"name": "Hidden", "starts_at": world.now - HOUR, "ends_at": world.now + HOUR}
    freeze = world.do("ada", service.create_freeze, values, organisation=world.organisation)
    tamper(statement, freeze.id)
    assert world.gate(change) == ("deny", {"freeze"})
