"""Rows by their keys: the same rows as the ORM reads, converted alike, and never past an open scope."""

from __future__ import annotations

import pytest
from tests.ledger.conftest import open_incident

from isthmus.ledger import rows, scope
from isthmus.ledger.scope import OutsideScope
from isthmus.practices.incident.models import Incident


def facts(record):
    return {name: value for name, value in vars(record).items() if name != "_state"}


def test_instances_equal_those_of_the_orm_column_by_column(book):
    made = [open_incident(book, f"No. {n}", extra={"n": n}, major=bool(n)) for n in range(3)]
    with scope.everywhere("test"):
        read = {each.id: each for each in Incident.objects.all()}
        found = rows.instances(Incident, "id", [each.id for each in made], organisation=[book.organisation])
    assert {each.id: facts(each) for each in found} == {key: facts(each) for key, each in read.items()}
    assert not found[0]._state.adding, "they count as loaded"
    assert {each.title for each in found} == {"No. 0", "No. 1", "No. 2"}, "sealed texts are opened"


def test_conditions_narrow_and_nothing_asked_is_nothing_read(book):
    made = open_incident(book)
    with scope.everywhere("test"):
        assert rows.instances(Incident, "id", []) == []
        assert rows.instances(Incident, "id", [made.id], state=[]) == []
        assert rows.instances(Incident, "id", [made.id], state="closed") == []
        assert rows.tuples(Incident, ("id", "state"), "id", [made.id], state="new") == [(made.id, "new")]


def test_many_keys_are_read_in_parts(book, monkeypatch):
    made = [open_incident(book, f"No. {n}") for n in range(5)]
    monkeypatch.setattr(rows, "CHUNK", 2)
    with scope.everywhere("test"):
        assert len(rows.instances(Incident, "id", [each.id for each in made])) == 5


def test_an_open_scope_hides_what_it_hides_from_the_orm(book):
    made = open_incident(book)
    with scope.within(["somebody else"]):
        assert rows.instances(Incident, "id", [made.id]) == []
        assert rows.tuples(Incident, ("id",), "id", [made.id]) == []
    with scope.within([book.organisation]):
        assert [each.id for each in rows.instances(Incident, "id", [made.id], state=["new"])] == [made.id]


@pytest.mark.usefixtures("book")
def test_outside_of_any_scope_records_are_refused():
    token = scope._scope.set(None)
    try:
        with pytest.raises(OutsideScope):
            rows.instances(Incident, "id", ["x"])
    finally:
        scope._scope.reset(token)
