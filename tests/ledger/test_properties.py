"""Whatever is done to records, the book stays provable, the projections are its replay, the past stays readable."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import WHY, seal

from isthmus.ledger import audit, rebuild
from isthmus.ledger.reading import as_of
from isthmus.practices.incident.models import Incident

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXT,
        "state": st.sampled_from(["", "new", "in_progress", "resolved"]),
        "tags": st.lists(TEXT, max_size=3),
        "major": st.booleans(),
        "opened_at": st.none() | st.integers(0, 2**53),
        "collision_checked": JSON,
        "extra": JSON,
    },
)
STEPS = st.lists(st.tuples(st.integers(0, 2), VALUES, st.booleans()), min_size=1, max_size=8)
FIELDS = ("title", "state", "tags", "major", "opened_at", "collision_checked", "extra")


def seen(record):
    return {name: getattr(record, name) for name in FIELDS}


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_any_sequence_of_writes_is_provable_replayable_and_readable_as_of_then(book, steps):
    # All examples share the book and its clock: what an earlier one left unsealed would grow minutes old.
    seal(book)
    records: dict[int, str] = {}
    past = []
    for which, values, sealing in steps:

        def act(work, which=which, values=values):
            if which not in records:
                return work.create(Incident, organisation=book.organisation, values=values, why=WHY)
            return work.change(Incident.objects.get(id=records[which]), values, why=WHY)

        written = book.perform(act)
        records[which] = written.id
        stored = Incident.objects.get(id=written.id)
        assert seen(stored) == seen(written)
        past.append((written.id, book.clock.now(), seen(stored)))
        book.clock.forward(seconds=1)
        if sealing:
            seal(book)
    for record_id, when, then in past:
        found = as_of(Incident, record_id, recorded=when)
        assert {name: found[name] for name in FIELDS} == then
    report = audit.verify_store()
    assert report.ok, [str(each) for each in report.findings]
    before = {each.id: seen(each) for each in Incident.objects.all()}
    rebuild.rebuild(Incident)
    assert {each.id: seen(each) for each in Incident.objects.all()} == before
    assert audit.verify_store().ok
