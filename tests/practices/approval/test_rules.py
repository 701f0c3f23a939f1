"""Properties of when a decision counts."""

from __future__ import annotations

from hypothesis import example, given
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
    requester=st.sampled_from(["ada", "", "local:root"]),
    approver=people,
    authority=st.just("board"),
    definition=st.just("d"),
    definition_version=st.just("1"),
    expires_at=st.none() | times,
    roles=st.just(["approver"]),
)

APPROVED_EARLIER = Fact(
    id="1", version=1, subject="change", content_hash="aa", state="approved", requester="ada", approver="ben",
    authority="board", definition="d", definition_version="1", expires_at=None, roles=["approver"],
)  # fmt: skip
"""The change was edited since: said each time, because chance alone finds it in most runs only."""


@given(
    facts=st.lists(facts_of_approval, max_size=4),
    requesters=st.sets(st.sampled_from(["ada", "ben", "system:pump"])),
    current=hashes,
    now=times,
)
@example(facts=[APPROVED_EARLIER], requesters={"ada"}, current="bb", now=0)
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
        assert not any(":" in each for each in requesters | {fact.requester for fact in about})
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
        named_by=people,
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
        assert not evidence.named_by or evidence.named_by not in requesters | {fact.requester}
        assert evidence.content_hash == current == fact.content_hash
        assert fact.state == "awaiting"


def test_a_request_by_a_part_of_the_hub_or_its_machine_is_nobodys_request():
    assert not approval.nameless({"01M7XCJA2101549YJAAFMR7CB3", "person-ada"})
    for each in ("local:root", "system:pump"):
        assert [reason.rule for reason in approval.nameless({"ada", each})] == ["approval.requester"]


def test_who_asks_cannot_have_said_who_approved_at_the_partner():
    asked = Fact(
        id="1", version=1, subject="c", content_hash="aa", state="awaiting", requester="ada", approver="", authority="",
        definition="", definition_version="", expires_at=None, roles=[],
    )  # fmt: skip

    def rules_of(named_by: str) -> list[str]:
        seen = Evidence(system="sn", verdict="approved", approver="ben", content_hash="aa", named_by=named_by)
        given = {
            "requesters": {"cleo"},
            "deciders": (),
            "trusted": True,
            "current_hash": "aa",
            "now": Instant(0),
        }
        return [each.rule for each in approval.may_accept(asked, seen, **given)]

    assert rules_of("admin") == rules_of("") == []
    assert rules_of("ada") == rules_of("cleo") == ["approval.evidence_named"]
