from __future__ import annotations

from isthmus.kernel.record import Reason
from isthmus.ledger.models import Entry, SystemEvent

WHY = [Reason(rule="test", text="Because.")]


def test_a_created_record_has_one_entry_and_can_be_read(book):
    made = book.perform(
        lambda work: work.create(
            SystemEvent,
            organisation=book.organisation,
            values={"subject": "hello", "facts": {"a": [1, "x"]}},
            why=WHY,
        )
    )
    read = SystemEvent.objects.get(id=made.id)
    assert (read.subject, read.facts, read.version) == ("hello", {"a": [1, "x"]}, 1)
    assert Entry.objects.filter(record=made.id).count() == 1
