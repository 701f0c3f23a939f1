"""Properties of when a decision counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.instant import Instant
from isthmus.practices.approval import rules as approval
from isthmus.practices.approval.rules import Decider, Evidence, Fact

people = st.sampled_from(["ada", "ben", "cleo", ""])
hashes = st.sampled_from(["aa", "bb"])
times = st.integers(0, 100)

facts_of_approval = st.builds(
    Fact,
    id=st.sampled_from(["1", "2", "3"]),
    version=st.just(1),
    subject=st.just("change"),
    content_hash=hashes,
    state=st.sampled_from(list(approval.State)).map(str),
    requester=st.sampled_from(["ada", ""]),
    approver=people,
    authority=st.just("board"),
    definition=st.just("d"),
    definition_version=st.just("1"),
    expires_at=st.none() | times,
    roles=st.just(["approver"]),
)


@given(
    facts=st.lists(facts_of_approval, max_size=4),
    requesters=st.sets(st.sampled_from(["ada", "ben"])),
    current=hashes,
    now=times,
)
def test_standing_is_approved_only_by_different_others_about_exactly_this_content(
    facts, requesters, current, now
):
    found = approval.standing(facts, content_hash=current, requesters=requesters, now=Instant(now))
    about = [fact for fact in facts if fact.content_hash == current and fact.state != "void"]
    if found.approved:
        assert about
        assert all(fact.state == "approved" for fact in about)
        assert all(fact.approver and fact.approver not in requesters | {fact.requester} for fact in about)
        assert len({fact.approver for fact in about}) == len(about)
        assert all(fact.expires_at is None or now < fact.expires_at for fact in about)
        assert not found.reasons
    else:
        assert found.reasons


@given(
    fact=facts_of_approval,
    kind=st.sampled_from(["person", "service", "partner", "system"]),
    person=people,
    roles=st.lists(st.sampled_from(["approver", "agent"])),
    permitted=st.booleans(),
    requesters=st.sets(people),
    deciders=st.sets(people),
    current=hashes,
    now=times,
)
def test_self_approval_never_counts_and_only_persons_with_the_authority_decide(
    fact, kind, person, roles, permitted, requesters, deciders, current, now
):
    who = Decider(kind=kind, person=person, roles=roles, permitted=permitted)
    reasons = approval.may_decide(
        fact, who, requesters=requesters, deciders=deciders, current_hash=current, now=Instant(now)
    )
    allowed = (
        kind == "person"
        and permitted
        and "approver" in roles
        and person not in requesters | {fact.requester}
        and person not in deciders
        and fact.state == "awaiting"
        and fact.content_hash == current
        and (fact.expires_at is None or now < fact.expires_at)
    )
    assert (not reasons) == allowed


@given(
    fact=facts_of_approval,
    evidence=st.builds(
        Evidence,
        system=st.just("sn"),
        verdict=st.sampled_from(["approved", "refused", "maybe"]),
        approver=people,
        content_hash=st.sampled_from(["aa", "bb", ""]),
    ),
    trusted=st.booleans(),
    requesters=st.sets(people),
    current=hashes,
    now=times,
)
def test_evidence_counts_only_from_a_named_system_by_another_person_about_the_current_content(
    fact, evidence, trusted, requesters, current, now
):
    reasons = approval.may_accept(
        fact,
        evidence,
        requesters=requesters,
        deciders=set(),
        trusted=trusted,
        current_hash=current,
        now=Instant(now),
    )
    if not reasons:
        assert trusted
        assert evidence.approver
        assert evidence.approver not in requesters | {fact.requester}
        assert evidence.content_hash == current == fact.content_hash
        assert fact.state == "awaiting"
