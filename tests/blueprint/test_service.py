"""Applying a blueprint is all or nothing, journalled, and can be taken back."""

from __future__ import annotations

import msgspec
import pytest

from isthmus import blueprint
from isthmus.blueprint import running, sections, service
from isthmus.blueprint.sections import Section
from isthmus.blueprint.source import Source
from isthmus.blueprint.validate import Invalid
from isthmus.kernel.errors import Conflict, NotFound


class Desk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    group: str = "service desk"
    seats: int = 1


@pytest.fixture(autouse=True)
def a_section(monkeypatch, book):
    known = dict(sections._sections)
    known["desk"] = Section(name="desk", schema=Desk, help="Desk.", default=Desk)
    monkeypatch.setattr(sections, "_sections", known)
    running.forget()
    yield
    running.forget()


def desk(**values: object) -> Source:
    return Source(sections={"desk": values})


def apply(book, source: Source, **more: object):
    found = book.perform(lambda work: service.apply(work, source, **more))
    running.forget()
    return found


def test_an_applied_blueprint_is_in_force_and_in_the_journal(book):
    generation = apply(book, desk(group="night desk"))
    assert generation.sequence == 1
    assert blueprint.current(fresh=True).section("desk").group == "night desk"
    from isthmus.ledger import reading

    entries = reading.history(generation.id)
    assert entries[0].why[0].rule == "blueprint.apply"
    assert entries[0].changes["content_hash"][1] == generation.content_hash


def test_without_any_blueprint_the_defaults_rule(book):
    assert blueprint.current(fresh=True).generation == 0
    assert blueprint.current().section("desk").group == "service desk"


def test_an_invalid_blueprint_changes_nothing(book):
    apply(book, desk(group="night desk"))
    with pytest.raises(Invalid) as refused:
        apply(book, desk(grup="x"))
    assert "Did you mean 'group'" in refused.value.problems[0].remedy
    assert blueprint.current(fresh=True).generation == 1


def test_applying_the_same_twice_makes_one_generation(book):
    apply(book, desk(seats=3))
    assert apply(book, desk(seats=3)) is None
    assert len(service.history()) == 1


def test_two_people_applying_at_once_do_not_both_win(book):
    apply(book, desk(seats=3))
    with pytest.raises(Conflict):
        apply(book, desk(seats=4), expected=0)
    assert apply(book, desk(seats=4), expected=1).sequence == 2


def test_rollback_brings_the_content_back_as_a_new_generation(book):
    first = apply(book, desk(seats=3))
    apply(book, desk(seats=4))
    again = book.perform(lambda work: service.rollback(work, 1))
    assert (again.sequence, again.content_hash, again.rolled_back_from) == (3, first.content_hash, 2)
    assert blueprint.current(fresh=True).section("desk").seats == 3
    with pytest.raises(NotFound):
        book.perform(lambda work: service.rollback(work, 99))


def test_each_work_records_the_generation_that_it_read(book):
    apply(book, desk(seats=3))
    later = apply(book, desk(seats=4))
    from isthmus.ledger import reading

    assert reading.history(later.id)[0].generation == 1
