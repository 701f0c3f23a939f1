"""What people are called at partners: who may say so, and what counts."""

from __future__ import annotations

import pytest
from django.db import connection

from isthmus.identity import partner_names, people
from isthmus.identity.models import Person
from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Rejected
from isthmus.ledger import reading


@pytest.fixture
def joined(book):
    def make(name):
        return book.perform(
            lambda work: people.create_person(work, organisation=book.organisation, username=name)
        ).id

    return {name: make(name) for name in ("ben", "cleo", "admin")}


def act(book, person, step, *, by="", **given):
    actor = book.actor("administrator", **({"name": by} if by else {}))
    return book.perform(lambda work: step(work, Person.objects.get(id=person), **given), actor=actor)


def find(book, name, at="snow"):
    return partner_names.find(at, name, book.organisation)


def test_a_name_finds_its_person_with_who_gave_it_and_is_in_the_journal(book, joined):
    act(book, joined["ben"], partner_names.give, by=joined["admin"], connection="snow", name="b.jones")
    assert find(book, "b.jones") == partner_names.Known(person=joined["ben"], given_by=joined["admin"])
    assert find(book, "b.jones", at="jira") == partner_names.Known()
    assert find(book, "B.Jones") == partner_names.Known()
    assert find(book, "") == partner_names.Known()
    last = reading.history(joined["ben"])[-1]
    assert last.changes["partner_names"][1] == {"snow": "b.jones"}
    assert (last.actor, last.why[0].rule) == (joined["admin"], "identity.partner_name")


def test_who_gave_another_name_later_has_not_given_this_one(book, joined):
    act(book, joined["ben"], partner_names.give, by=joined["admin"], connection="snow", name="b.jones")
    act(book, joined["ben"], partner_names.give, by=joined["cleo"], connection="jira", name="5f-1")
    assert find(book, "b.jones").given_by == joined["admin"]
    assert find(book, "5f-1", at="jira").given_by == joined["cleo"]


def test_the_same_name_again_is_no_entry_and_a_new_one_takes_the_place(book, joined):
    for name in ("b.jones", "b.jones"):
        act(book, joined["ben"], partner_names.give, connection="snow", name=name)
    assert len(reading.history(joined["ben"])) == 2
    act(book, joined["ben"], partner_names.give, connection="snow", name="ben.jones")
    assert not find(book, "b.jones").person
    assert find(book, "ben.jones").person == joined["ben"]


def test_nobody_names_themselves_and_one_name_is_one_person(book, joined):
    with pytest.raises(Forbidden):
        act(book, joined["ben"], partner_names.give, by=joined["ben"], connection="snow", name="b.jones")
    act(book, joined["ben"], partner_names.give, connection="snow", name="b.jones")
    with pytest.raises(Forbidden):
        act(book, joined["ben"], partner_names.take, by=joined["ben"], connection="snow")
    with pytest.raises(Conflict):
        act(book, joined["cleo"], partner_names.give, connection="snow", name="b.jones")
    act(book, joined["cleo"], partner_names.give, connection="jira", name="b.jones")
    assert find(book, "b.jones").person == joined["ben"]


def test_a_name_taken_away_is_nobodys_and_may_be_given_to_another(book, joined):
    act(book, joined["ben"], partner_names.give, connection="snow", name="b.jones")
    act(book, joined["ben"], partner_names.take, connection="snow")
    assert find(book, "b.jones") == partner_names.Known()
    with pytest.raises(NotFound):
        act(book, joined["ben"], partner_names.take, connection="snow")
    act(book, joined["cleo"], partner_names.give, connection="snow", name="b.jones")
    assert find(book, "b.jones").person == joined["cleo"]


@pytest.mark.parametrize("name", ["", " ben", "ben ", "b\nen", "x" * 201])
def test_what_cannot_be_a_name_is_refused(book, joined, name):
    with pytest.raises(Rejected):
        act(book, joined["ben"], partner_names.give, connection="snow", name=name)
    assert len(reading.history(joined["ben"])) == 1


def test_somebody_who_has_left_decides_nothing_there(book, joined):
    act(book, joined["ben"], partner_names.give, connection="snow", name="b.jones")
    book.perform(lambda work: work.change(Person.objects.get(id=joined["ben"]), {"state": "left"}, why=[]))
    assert find(book, "b.jones") == partner_names.Known()


def test_a_name_written_into_the_table_past_the_book_is_nobodys(book, joined):
    """The row of Ben is copied over Cleo's: she would be called what he is called."""
    act(book, joined["ben"], partner_names.give, connection="snow", name="b.jones")
    act(book, joined["cleo"], partner_names.give, connection="snow", name="c.ray")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM identity_person WHERE id = %s", [joined["cleo"]])
        cursor.execute("UPDATE identity_person SET id = %s WHERE id = %s", [joined["cleo"], joined["ben"]])
    assert not find(book, "b.jones").person
