"""Forwarding between desks on a real book: of one organisation, of two, with everything that a contract carries."""

from __future__ import annotations

import os
import random
import string
from typing import Any

import pytest
from django.db import connection

from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Conflict, Forbidden, NotFound, Rejected
from isthmus.kernel.instant import MINUTE, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import audit, reading, scope, sealer
from isthmus.practices.incident import custody, forwarding, hooks, ledger, reactions, service
from isthmus.practices.incident.models import Comment, Custody, Incident, Wait
from isthmus.practices.incident.rules import custody as rules
from isthmus.practices.service_level import service as service_levels


def word() -> str:
    return "".join(random.choices(string.ascii_lowercase, k=12))


@pytest.fixture
def two(desk: Any) -> Any:
    """Our desk, and the desk of a supplier in an organisation of its own that never sees ours."""
    desk.vendor = desk.book.add_organisation("Vendor")
    desk.apply(
        desks={
            "service-desk": {"roles": ["agent"]},
            "network": {"members": ["nora"], "groups": ["network-team"]},
            "vendor": {"kind": "supplier", "organisation": "Vendor", "groups": ["vendor-support"]},
        },
        forwarding={
            "home": "service-desk",
            "contracts": [
                {"name": "inside", "from": ["service-desk"], "to": ["network"], "accept_within": "PT10M"},
                {
                    "name": "support", "from": ["service-desk", "network"], "to": ["vendor"], "requires": ["root_cause"],
                    "accept_within": "PT30M",
                },
            ],
        },
    )  # fmt: skip
    desk.ann = desk.person("ann", "agent")
    desk.vic = desk.person("vic", "agent", organisation=desk.vendor)
    return desk


def offer(desk: Any, incident: Any, taker: str, by: Actor | None = None, reason: str = "Please.") -> Custody:
    found: Custody = desk.by(
        by or desk.ann,
        lambda work: custody.offer(work, service.get(work, incident.id), taker=taker, reason=reason),
    )
    return found


def answer(desk: Any, row: Custody, by: Actor, act: Any, **more: Any) -> Custody:
    found: Custody = desk.by(by, lambda work: act(work, ledger.offer(row.id, work), **more))
    return found


def theirs(row: Custody) -> Incident:
    found: Incident = Incident.objects.get(id=row.counterpart)
    return found


def test_forwarded_with_everything_the_contract_carries_and_edits_come_back(two):
    cause, steps = word(), [{"text": word(), "done": True} for _ in range(3)]
    incident = two.open(title=f"Till {word()}")
    values = {"root_cause": cause, "cause_code": "hw-7", "workaround": "Use till 5.", "steps": steps}
    two.on(incident, service.update, values)
    row = offer(two, incident, "vendor")
    other = theirs(row)
    assert other.organisation == two.vendor
    assert (other.root_cause, other.steps, other.workaround, other.cause_code) == (
        cause,
        steps,
        "Use till 5.",
        "hw-7",
    )
    assert "Timeline" in Comment.objects.get(record=other.id).body
    answer(two, row, two.vic, custody.accept)
    mended = [*steps, {"text": word(), "done": True}]
    edits = {"root_cause": f"{cause} after all", "steps": mended}
    two.by(two.vic, lambda work: service.update(work, service.get(work, other.id), edits))
    two.by(two.vic, lambda work: service.comment(work, service.get(work, other.id), "A part is on its way"))
    two.sweep(seconds=1)
    ours = two.again(incident)
    assert (ours.root_cause, ours.steps) == (f"{cause} after all", mended)
    assert [each.body for each in service.comments_of(ours.id)] == ["A part is on its way"]
    two.sweep(seconds=5)
    assert len(service.comments_of(ours.id)) == 1, "a copy is never copied back"
    assert Incident.objects.count() == 2, "one incident per desk"


def test_the_same_desk_is_not_given_a_second_incident(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    first = offer(two, incident, "vendor")
    answer(two, first, two.vic, custody.accept)
    answer(two, first, two.vic, custody.hand_back, reason="Not ours.")
    second = offer(two, incident, "vendor")
    assert second.counterpart == first.counterpart
    assert Incident.objects.count() == 2


def test_at_a_hundred_random_instants_exactly_one_party_and_minutes_sum_up_from_both_sides(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    nora = two.person("nora", "agent")
    opened = two.again(incident).opened_at
    told: list[tuple[int, str]] = [(opened, "service-desk")]

    def after(seconds: float) -> None:
        two.book.clock.forward(seconds=seconds)

    after(random.uniform(1, 500))
    inside = offer(two, incident, "network")
    after(random.uniform(1, 500))
    told.append((answer(two, inside, nora, custody.accept).answered_at, "network"))
    after(random.uniform(1, 500))
    outside = offer(two, incident, "vendor", by=nora)
    after(random.uniform(1, 500))
    told.append((answer(two, outside, two.vic, custody.accept).answered_at, "vendor"))
    after(random.uniform(1, 500))
    told.append((answer(two, outside, two.vic, custody.hand_back, reason="Done.").returned_at, "network"))
    after(random.uniform(1, 500))
    told.append((answer(two, inside, nora, custody.hand_back, reason="Done.").returned_at, "service-desk"))
    now = two.book.clock.now()
    moves = ledger.of(two.again(incident)).moves
    for _ in range(100):
        at = random.randint(opened, now)
        expected = [party for since, party in told if since <= at][-1]
        assert rules.holder_at(moves, Instant(at)) == expected
    ours = service.custody_intervals(two.again(incident), now)
    assert service.custody_intervals(theirs(outside), now) == ours, "both views read one ledger"
    assert sum(until - since for _, since, until in ours) == now - opened
    assert [party for party, _, _ in ours] == [party for _, party in told]


def test_an_unanswered_offer_escalates_once_at_its_time_and_leaves_the_giver_accountable(two, monkeypatch):
    heard: list[Any] = []
    monkeypatch.setattr(
        hooks, "_stalled", [lambda _work, found: heard.append((found.workflow, found.partner))]
    )
    incident = two.open()
    row = offer(two, incident, "network")
    two.sweep(minutes=9)
    assert heard == []
    two.sweep(minutes=2)
    assert heard == [("custody_offer", "network")]
    two.sweep(minutes=60)
    assert len(heard) == 1, "once"
    assert Custody.objects.get(id=row.id).escalated_at is not None
    assert ledger.of(two.again(incident)).holder == "service-desk"
    assert any("has not answered" in why.text for each in reading.history(row.id) for why in each.why)


def test_an_accepted_offer_does_not_escalate(two, monkeypatch):
    monkeypatch.setattr(hooks, "_stalled", [lambda *_: pytest.fail("it was accepted")])
    incident = two.open()
    row = offer(two, incident, "network")
    answer(two, row, two.person("nora", "agent"), custody.accept)
    two.sweep(minutes=60)
    assert Wait.objects.get(about=row.id).state == "ended"
    assert two.again(incident).assignment_group == "network-team"


def test_only_the_desk_that_is_asked_may_accept_and_only_the_holder_may_forward(two):
    incident = two.open()
    row = offer(two, incident, "network")
    with pytest.raises(Forbidden, match="Only network"):
        answer(two, row, two.ann, custody.accept)
    with pytest.raises(Conflict, match="offered to network already"):
        offer(two, incident, "network")
    nora = two.person("nora", "agent")
    answer(two, row, nora, custody.accept)
    with pytest.raises(Forbidden, match="Only network"):
        offer(two, incident, "vendor", by=two.ann)
    with pytest.raises(Rejected, match="No contract lets network forward"):
        offer(two, incident, "service-desk", by=nora)
    with pytest.raises(Conflict, match="asks for root cause"):
        offer(two, incident, "vendor", by=nora)


def test_a_refused_offer_stays_with_the_giver_and_ends_the_other_incident(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    row = offer(two, incident, "vendor")
    with pytest.raises(Rejected, match="Say why"):
        answer(two, row, two.vic, custody.reject, reason=" ")
    answer(two, row, two.vic, custody.reject, reason="Out of contract.")
    assert theirs(row).state == "cancelled"
    assert two.again(incident).state == "new"
    assert ledger.of(two.again(incident)).holder == "service-desk"
    with pytest.raises(Conflict, match="rejected already"):
        answer(two, row, two.vic, custody.accept)


def test_a_third_organisation_sees_neither_offer_nor_answers_it(two):
    other = two.book.add_organisation("Stranger")
    stranger = two.person("sam", *("agent", "administrator"), organisation=other)
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    row = offer(two, incident, "vendor")
    with pytest.raises(NotFound):
        answer(two, row, stranger, custody.accept)
    with scope.within({two.vendor}):
        assert [each.id for each in Incident.objects.all()] == [row.counterpart]


def test_closing_while_another_desk_holds_it_is_held_up(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    row = offer(two, incident, "vendor")
    answer(two, row, two.vic, custody.accept)
    two.on(incident, service.resolve, code="x", notes="y")
    with pytest.raises(Conflict, match="vendor still holds it"):
        two.on(incident, service.close)
    answer(two, row, two.vic, custody.hand_back, reason="Done.")
    two.on(incident, service.close)
    assert two.again(incident).state == "closed"


def test_an_end_by_a_partner_that_cannot_be_held_up_is_flagged_and_taken_back(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    row = offer(two, incident, "vendor")
    answer(two, row, two.vic, custody.accept)
    two.book.perform(
        lambda work: reactions.apply_merged(
            work,
            service.get(work, incident.id),
            {"state": "closed"},
            [Reason(rule="sync.merge", text="theirs")],
            None,
        ),
        actor=Actor(kind=ActorKind.PARTNER, id="partner:snow"),
    )
    stranger = two.book.add_organisation("Stranger")
    for where, seen in ((incident.organisation, [row.id]), (row.receiver, [row.id]), (stranger, [])):
        with scope.within({where}):
            assert [each.id for each in forwarding.orphans()] == seen
    answer(two, row, two.ann, custody.hand_back, reason="We look after it.")
    assert forwarding.orphans() == []


def test_the_holder_cannot_close_its_own_incident_without_handing_back(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    row = offer(two, incident, "vendor")
    answer(two, row, two.vic, custody.accept)
    two.by(
        two.vic, lambda work: service.resolve(work, service.get(work, row.counterpart), code="a", notes="b")
    )
    with pytest.raises(Conflict, match="closed its own incident while it holds"):
        two.by(two.vic, lambda work: service.close(work, service.get(work, row.counterpart)))
    two.sweep(seconds=1)
    ours = two.again(incident)
    assert (ours.state, ours.resolution_code, ours.resolution_notes) == ("resolved", "a", "b"), (
        "the holder's state counts"
    )


def test_without_contracts_nothing_is_forwarded_and_the_home_desk_holds_everything(desk):
    incident = desk.open()
    with pytest.raises(Rejected, match="No contract"):
        desk.on(incident, custody.offer, taker="vendor", reason="x")
    now = desk.book.clock.now()
    assert service.custody_intervals(desk.again(incident), now) == [("service-desk", incident.opened_at, now)]


def test_minutes_per_custodian_of_a_clock_come_from_the_same_ledger(two):
    incident = two.open(priority="1", impact="1", urgency="1")
    two.on(incident, service.update, {"root_cause": "x"})
    two.book.clock.forward(minutes=7)
    row = offer(two, incident, "vendor")
    answer(two, row, two.vic, custody.accept)
    two.book.clock.forward(minutes=11)
    for record in (two.again(incident), theirs(row)):
        spans = custody.for_service_levels("incident", record.id)
        assert [(each.party, each.end is None) for each in spans] == [
            ("service-desk", False),
            ("vendor", True),
        ]
    clock = next(each for each in service_levels.clocks_of(incident.id) if each.state == "running")
    shares = {
        each.party: each.counted for each in service_levels.minutes_per_custodian(clock, two.book.clock.now())
    }
    assert round(shares["service-desk"] / MINUTE) == 7
    assert round(shares["vendor"] / MINUTE) == 11


def test_time_stops_with_the_closing(two):
    incident = two.open()
    two.on(incident, service.resolve, code="x", notes="y")
    two.on(incident, service.close)
    closed = two.again(incident).closed_at
    two.book.clock.forward(minutes=90)
    found = service.custody_intervals(two.again(incident))
    assert found[-1][2] == closed
    assert closed < two.book.clock.now() - 80 * MINUTE


def test_the_book_of_a_forwarded_case_verifies(two):
    incident = two.open()
    two.on(incident, service.update, {"root_cause": "x"})
    answer(two, offer(two, incident, "vendor"), two.vic, custody.accept)
    two.sweep(seconds=2)
    sealer.seal_once(two.book.clock.now())
    report = audit.verify_store()
    assert report.ok, report.findings


@pytest.mark.skipif(
    os.environ.get("ISTHMUS_TEST_STORE") != "postgres", reason="row-level security is PostgreSQL's"
)
def test_row_level_security_lets_a_contract_write_on_both_sides_and_nothing_else(two):
    with connection.cursor() as cursor:
        for statement in (
            "DROP ROLE IF EXISTS ordinary", "CREATE ROLE ordinary", "GRANT ALL ON ALL TABLES IN SCHEMA public TO ordinary",
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ordinary", "SET ROLE ordinary",
        ):  # fmt: skip
            cursor.execute(statement)
    connection.isthmus_may_copy = None
    try:
        incident = two.open()
        two.on(incident, service.update, {"root_cause": "x"})
        row = offer(two, incident, "vendor")
        answer(two, row, two.vic, custody.accept)
        with scope.within({two.vendor}):
            assert [each.id for each in Incident.objects.all()] == [row.counterpart]
            assert Custody.objects.count() == 0, "the line stands in the giver's organisation"
        answer(two, row, two.vic, custody.hand_back, reason="Done.")
        assert ledger.of(two.again(incident)).holder == "service-desk"
    finally:
        with connection.cursor() as cursor:
            for statement in ("RESET ROLE", "DROP OWNED BY ordinary", "DROP ROLE ordinary"):
                cursor.execute(statement)
