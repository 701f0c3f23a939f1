"""Erasing: the key of a person or a record is destroyed, and the book says so without saying what it held."""

from __future__ import annotations

from isthmus.kernel.actor import Actor, Origin
from isthmus.kernel.errors import NotFound
from isthmus.kernel.record import Reason
from isthmus.ledger import keys, search
from isthmus.ledger.door import perform
from isthmus.ledger.models import Entry
from isthmus.ledger.work import Work


def erase_person(person_id: str, *, actor: Actor, why: str) -> None:
    """Destroy a person's key: name, addresses and accounts become unreadable wherever they are copied."""
    _erase("person", person_id, actor, why)


def erase_record(record_id: str, *, actor: Actor, why: str) -> None:
    """Destroy a record's key: its free text, comments, link bases and conflict values become unreadable."""
    _erase("record", record_id, actor, why)


def _erase(what: str, record_id: str, actor: Actor, why: str) -> None:
    organisation = Entry.objects.filter(record=record_id).values_list("organisation", flat=True).first()
    if organisation is None:
        raise NotFound("There is no such record.")

    def act(work: Work) -> None:
        reason = Reason(rule="erasure", text=why)
        work.journal(organisation, "book.erased", {"what": what, "record": record_id}, [reason])
        search.forget(work, organisation, record_id)

    # Journal first: an erasure without its entry could not be told from a lost key.
    perform(act, actor=actor, origin=Origin(channel="hub"))
    keys.ring().destroy(f"{what}:{record_id}")
