"""Importing the map: what is accepted, parked and rejected, and what becomes of it."""

from __future__ import annotations

import random

import pytest

from isthmus.kernel.errors import Conflict, Rejected
from isthmus.practices.configuration import service
from isthmus.practices.configuration.models import Ci, Gap, PendingReference, Relation


def take(book, rows, source="csv"):
    return book.perform(
        lambda work: service.import_rows(work, rows, organisation=book.organisation, source=source)
    )


def ci(name, ci_class="server", **more):
    return {"kind": "ci", "name": name, "ci_class": ci_class, **more}


def tie(source, target, kind="depends_on", **more):
    return {"kind": "ci_relation", "source_ci": source, "target_ci": target, "type": kind, **more}


def whats(report):
    return [each.what for each in report.results]


def test_rows_are_taken_in_any_order_and_a_second_import_changes_nothing(book):
    rows = [
        tie("shop", "db-1"),
        ci("shop", "application", users="120", shared="yes", aliases="webshop; store"),
        ci("db-1", "database"),
    ]
    first = take(book, rows)
    assert whats(first) == ["accepted"] * 3
    shop = Ci.objects.get(name="shop")
    assert (shop.users, shop.shared, shop.aliases, shop.state, shop.source) == (
        120,
        True,
        ["store", "webshop"],
        "live",
        "csv",
    )
    assert whats(take(book, rows)) == ["unchanged"] * 3
    assert Ci.objects.get(name="shop").version == 1


def test_a_bad_row_is_named_and_stops_nobody_else(book):
    report = take(
        book,
        [
            ci("good"),
            ci("", "server"),
            ci("typo", "sever"),
            ci("odd", users="many"),
            {"kind": "ci", "name": "extra", "ci_class": "server", "colour": "red"},
            ci("nowhere", addresses="10.0.0.300"),
            tie("good", "good"),
            tie("good", ""),
            tie("good", "good2", "likes"),
            ci("good2"),
        ],
    )
    assert whats(report) == ["accepted", *["rejected"] * 8, "accepted"]
    paths = [each.problems[0].path for each in report.results if each.problems]
    assert paths == [
        "/name",
        "/ci_class",
        "/users",
        "/colour",
        "/addresses",
        "/target",
        "/target_ci",
        "/type",
    ]
    assert "Did you mean 'server'?" in report.results[2].problems[0].remedy
    assert Ci.objects.count() == 2


def test_the_three_counts_sum_up_to_the_rows_and_no_relation_dangles(book):
    pick = random.Random(7)
    names = [f"host-{number}" for number in range(300)]
    bad = [tie(pick.choice(names), f"ghost-{number}") for number in range(17)]
    good = [tie(*pick.sample(names, 2)) for _ in range(683)]
    rows = [*(ci(name) for name in names), *good, *bad]
    pick.shuffle(rows)
    report = take(book, rows)
    assert report.accepted + report.parked + report.rejected == 1000
    assert report.parked == 17
    known = set(Ci.objects.values_list("id", flat=True))
    assert all({each.source_ci, each.target_ci} <= known for each in Relation.objects.all())


def test_a_parked_relation_follows_by_itself_when_its_item_arrives(book):
    parked = take(
        book, [ci("shop", "application"), tie("shop", "DB-9", "runs_on"), tie("DB-9", "rack-1", "hosted_on")]
    )
    assert whats(parked) == ["accepted", "parked", "parked"]
    assert [each.hint for each in Gap.objects.filter(state="open")] == ["db-9"]
    take(book, [tie("shop", "DB-9", "runs_on")])
    assert PendingReference.objects.count() == 2, "the same row twice is one pending reference"
    arrival = take(book, [ci("real-name", aliases=["db-9"])])
    assert len(arrival.resolved) == 1
    assert Relation.objects.get().type == "runs_on"
    assert {each.hint: each.state for each in Gap.objects.all()} == {"db-9": "closed", "rack-1": "open"}
    take(book, [ci("rack-1", "rack")])
    assert Relation.objects.filter(state="live").count() == 2
    assert PendingReference.objects.count() == 0


def test_forbidden_pairs_are_refused_with_the_allowed_ones(book):
    report = take(
        book,
        [
            ci("pay", "business_service"),
            ci("db", "database"),
            tie("db", "pay", "hosted_on"),
            tie("pay", "db", "depends_on"),
        ],
    )
    assert whats(report) == ["accepted", "accepted", "rejected", "accepted"]
    assert "application → infrastructure" in report.results[2].problems[0].remedy


def test_only_the_relation_that_closes_a_forbidden_cycle_is_refused(book):
    rows = [
        *(ci(name) for name in "abc"),
        tie("a", "b", "hosted_on"),
        tie("b", "c", "hosted_on"),
        tie("c", "a", "hosted_on"),
        tie("c", "a"),
    ]
    report = take(book, rows)
    assert whats(report) == [*["accepted"] * 5, "rejected", "accepted"]
    assert "closes a cycle" in report.results[5].problems[0].message
    later = take(book, [tie("c", "b", "hosted_on"), tie("a", "c", "hosted_on")])
    assert whats(later) == ["rejected", "accepted"]


def test_a_removed_relation_leaves_the_graph_and_may_return(book):
    take(book, [ci("a"), ci("b"), tie("a", "b")])
    a, b = (Ci.objects.get(name=name).id for name in "ab")
    assert set(service.upstream(a)) == {b}
    take(book, [tie("a", "b", state="removed")])
    assert service.upstream(a) == {}
    take(book, [tie("a", "b")])
    assert set(service.upstream(a)) == {b}
    assert Relation.objects.get().version == 3


def test_equal_host_names_with_other_keys_are_two_items(book):
    report = take(
        book,
        [
            ci("web", external_key="SN-1"),
            ci("web", external_key="SN-2"),
            ci("web2"),
            ci("web2", external_key="SN-3"),
        ],
    )
    assert whats(report) == ["accepted"] * 4
    assert sorted(Ci.objects.values_list("name", "external_key")) == [
        ("web", "SN-1"),
        ("web", "SN-2"),
        ("web2", "SN-3"),
    ]


def test_renaming_by_key_keeps_the_item(book):
    take(book, [ci("old", external_key="K-1", owner="Ada")])
    take(book, [ci("new", external_key="K-1")])
    found = Ci.objects.get()
    assert (found.name, found.owner, found.version) == ("new", "Ada", 2)


def test_creating_what_exists_is_a_conflict_and_correcting_it_is_not(book):
    def make(values):
        return book.perform(lambda work: service.create_ci(work, values, organisation=book.organisation))

    made = make({"name": "db", "ci_class": "database", "external_key": "X"})
    with pytest.raises(Conflict):
        make({"name": "db", "ci_class": "database"})
    with pytest.raises(Conflict):
        make({"name": "other", "ci_class": "server", "external_key": "X"})
    with pytest.raises(Rejected) as refused:
        book.perform(
            lambda work: service.update_ci(work, Ci.objects.get(id=made.id), {"criticality": "platinum"})
        )
    assert [each.path for each in refused.value.problems] == ["/criticality"]
    book.perform(lambda work: service.update_ci(work, Ci.objects.get(id=made.id), {"criticality": "gold"}))
    assert Ci.objects.get().criticality == "gold"


def test_a_retired_item_takes_its_relations_along_and_returns_with_its_key(book):
    take(book, [ci("a", external_key="A"), ci("b"), tie("b", "a")])
    book.perform(lambda work: service.retire_ci(work, Ci.objects.get(name="a")))
    assert service.resolve(["a", "b"])["a"] == ""
    assert service.graph().edges == ()
    take(book, [ci("a", external_key="A")])
    assert Ci.objects.get(name="a").state == "live"


def test_one_transaction_sees_its_own_items_in_a_second_call(book):
    def both(work):
        service.import_rows(work, [ci("a"), ci("b")], organisation=book.organisation, source="x")
        return service.import_rows(work, [tie("a", "b")], organisation=book.organisation, source="x")

    assert whats(book.perform(both)) == ["accepted"]


def test_another_organisation_neither_sees_nor_binds_what_is_not_its_own(book):
    other = book.add_organisation("Customer")
    take(book, [ci("db")])
    book.perform(lambda work: service.import_rows(work, [tie("app", "db")], organisation=other, source="x"))
    assert service.resolve(["db"], organisation=other) == {"db": ""}
    assert service.bind({"host": "db"}, organisation=other).ci == ""
    assert service.bind({"host": "db"}, organisation=book.organisation).confidence == 95
