"""Sealing: gap-free positions per organisation, one sealer at a time, fenced, checkpointed, witnessed."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from tests.ledger.conftest import open_incident, seal

from isthmus.kernel.chain import signed_by
from isthmus.kernel.instant import SECOND
from isthmus.ledger import audit, checkpoint, lease, sealer, witness
from isthmus.ledger.models import Checkpoint, Entry, Head, Seal, SystemEvent, Unsealed


def test_each_organisation_has_its_own_gap_free_chain(book):
    other = book.add_organisation("Other")
    for n in range(6):
        open_incident(book, f"n{n}", organisation=other if n % 2 else book.organisation)
        if n == 3:
            sealer.seal_all(book.clock.now())
    sealer.seal_all(book.clock.now())
    for organisation in (book.organisation, other):
        seals = list(Seal.objects.filter(organisation=organisation).order_by("first"))
        positions = [p for each in seals for p in range(each.first, each.first + each.count)]
        assert positions == list(range(1, Entry.objects.filter(organisation=organisation).count() + 1))
        assert Head.objects.get(organisation=organisation).position == positions[-1]
    assert not Unsealed.objects.exists()


def test_sealing_again_seals_nothing(book):
    assert sealer.seal_all(book.clock.now()) > 0
    assert sealer.seal_all(book.clock.now()) == 0


def test_a_second_sealer_waits_for_the_lease(book):
    now = book.clock.now()
    assert sealer.seal_once(now, holder="one") > 0
    open_incident(book)
    assert sealer.seal_once(now, holder="two") == 0
    assert sealer.seal_once(now + lease.HELD_FOR + 1, holder="two") == 1


def test_a_sealer_that_lost_its_lease_without_noticing_is_fenced(book):
    now = book.clock.now()
    sealer.seal_once(now, holder="one")
    old = lease.take(sealer.LEASE, now=now, holder="one")
    later = now + lease.HELD_FOR + 1
    open_incident(book)
    sealer.seal_once(later, holder="two")
    open_incident(book)
    before = Head.objects.get(organisation=book.organisation).position
    with pytest.raises(sealer.Fenced):
        sealer.seal_under(old, later)
    assert Head.objects.get(organisation=book.organisation).position == before
    assert Unsealed.objects.count() == 1
    assert sealer.seal_once(later, holder="two") == 1
    seal(book)
    assert audit.verify_store().ok


def test_a_lease_is_given_back_and_taken_with_a_new_epoch(book):
    now = book.clock.now()
    first = lease.take("job", now=now, holder="one")
    assert lease.take("job", now=now, holder="two") is None
    assert lease.take("job", now=now + lease.HELD_FOR * 3 // 4, holder="one").epoch == first.epoch
    lease.drop(first)
    assert lease.take("job", now=now, holder="two").epoch == first.epoch + 1


def test_the_unsealed_tail_has_an_age_and_an_alarm(book):
    sealer.seal_all(book.clock.now())
    assert sealer.unsealed_age(book.clock.now()) == 0
    open_incident(book)
    book.clock.forward(seconds=11)
    assert sealer.unsealed_age(book.clock.now()) >= 11 * SECOND
    assert sealer.alarming(book.clock.now())
    sealer.seal_all(book.clock.now())
    assert not sealer.alarming(book.clock.now())


def test_an_entry_that_vanished_before_its_seal_is_journalled(book):
    sealer.seal_all(book.clock.now())
    made = open_incident(book)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ledger_entry WHERE record = %s", [made.id])
    sealer.seal_all(book.clock.now())
    assert SystemEvent.objects.filter(subject="book.entries_missing").count() == 1
    assert not audit.verify_store().ok


def test_checkpoints_are_signed_chained_and_witnessed(book):
    first = seal(book)
    open_incident(book)
    second = seal(book)
    assert seal(book) is None
    assert signed_by(second.key, second.body, second.signature)
    body = json.loads(second.body)
    import hashlib

    assert body["previous"] == hashlib.sha256(first.body).hexdigest()
    assert witness.last_number() == second.number == 2
    assert witness.gap() == 0


def test_a_torn_line_of_the_witness_is_written_again(book):
    seal(book)
    open_incident(book)
    seal(book)
    path = witness.path()
    path.write_bytes(path.read_bytes()[:-20])
    assert witness.last_number() == 1
    assert witness.catch_up() == 1
    assert witness.last_number() == 2
    assert audit.verify_store().ok


def test_a_checkpoint_is_due_only_after_a_while(book):
    now = book.clock.now()
    sealer.seal_all(now)
    assert checkpoint.due(now)
    checkpoint.make(now)
    assert not checkpoint.due(now)
    assert checkpoint.due(now + checkpoint.EVERY)
    assert Checkpoint.objects.count() == 1
