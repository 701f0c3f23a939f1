"""Binding, impact, services, history and scale of the map."""

from __future__ import annotations

import random
from collections import deque

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from isthmus.kernel.instant import HOUR, MINUTE, Instant
from isthmus.practices.configuration import service
from isthmus.practices.configuration.models import Ci, Relation


def take(book, rows, **more):
    return book.perform(
        lambda work: service.import_rows(work, rows, organisation=book.organisation, source="csv"), **more
    )


def ci(name, ci_class="server", **more):
    return {"kind": "ci", "name": name, "ci_class": ci_class, **more}


def tie(source, target, kind="depends_on", **more):
    return {"kind": "ci_relation", "source_ci": source, "target_ci": target, "type": kind, **more}


def reach(pairs, starts):
    """Hops by name over (from, to) pairs: the tester's own recomputation."""
    hops, queue = dict.fromkeys(starts, 0), deque(starts)
    neighbours = {}
    for source, target in pairs:
        neighbours.setdefault(source, []).append(target)
    while queue:
        node = queue.popleft()
        for other in neighbours.get(node, ()):
            if other not in hops:
                hops[other] = hops[node] + 1
                queue.append(other)
    return {node: count for node, count in hops.items() if node not in starts}


@pytest.fixture
def names(book):
    take(
        book,
        [
            ci("Shop", "business_service", criticality="gold", users=900),
            ci("Intranet", "business_service", criticality="bronze", users=40),
            ci("shop-app", "application"),
            ci(
                "db-7.example.org",
                external_key="SN-77",
                aliases=["oradb"],
                addresses=["10.1.2.3", "2001:db8::7"],
                environment="production",
            ),
            ci("db-8.example.org", addresses=["10.1.2.8"], environment="production"),
            ci("web", environment="production", external_key="P"),
            ci("web", environment="test", external_key="T"),
            ci("rack-1", "rack"),
            tie("Shop", "shop-app"),
            tie("Intranet", "db-7.example.org"),
            tie("shop-app", "db-7.example.org"),
            tie("db-7.example.org", "rack-1", "hosted_on"),
            tie("db-8.example.org", "rack-1", "hosted_on"),
        ],
    )
    return {
        f"{each.name}{each.external_key if each.name == 'web' else ''}": each.id for each in Ci.objects.all()
    }


@pytest.mark.parametrize(
    ("hints", "found", "how"),
    [
        ({"external_key": "sn-77"}, "db-7.example.org", "key"),
        ({"host": "DB-7.example.org:9100"}, "db-7.example.org", "name"),
        ({"instance": "oradb:1521"}, "db-7.example.org", "alias"),
        ({"instance": "10.1.2.3:9100"}, "db-7.example.org", "address"),
        ({"instance": "[2001:DB8:0::7]:9100"}, "db-7.example.org", "address"),
        ({"host": "db-7"}, "db-7.example.org", "short_name"),
        ({"host": "db-7.other.net"}, "db-7.example.org", "short_name"),
        ({"host": ["nobody", "db-8.example.org"]}, "db-8.example.org", "name"),
        ({"host": "web", "environment": "Test"}, "webT", "name"),
        ({"host": "gone", "related": ["db-7.example.org", "db-8.example.org"]}, "rack-1", "topology"),
        ({"host": "gone", "cluster": "rack-1"}, "rack-1", "topology"),
    ],
)
def test_an_alert_binds_by_id_name_alias_address_then_topology(names, hints, found, how):
    bound = service.bind(hints)
    assert (bound.ci, bound.how) == (names[found], how)
    assert (
        bound.confidence
        == {"key": 100, "name": 95, "alias": 90, "address": 80, "short_name": 70, "topology": 50}[how]
    )


def test_namesakes_without_an_environment_are_not_guessed(names):
    bound = service.bind({"host": "web"})
    assert (bound.ci, bound.how, bound.hint) == ("", "ambiguous", "web")
    assert set(bound.candidates) == {names["webP"], names["webT"]}


@pytest.mark.parametrize(
    "hints", [{}, {"host": "nobody"}, {"instance": "10.9.9.9:80"}, {"host": 7}, {"host": ""}]
)
def test_what_the_map_does_not_know_is_not_bound(names, hints):
    assert service.bind(hints).ci == ""


def test_the_service_is_the_most_critical_that_needs_the_item_unless_the_alert_names_one(names):
    assert service.bind({"host": "oradb"}).service == names["Shop"]
    assert service.bind({"host": "oradb", "service": "Intranet"}).service == names["Intranet"]
    assert service.bind({"host": "web", "environment": "test"}).service == ""
    assert service.services_of(names["rack-1"]) == [names["Shop"], names["Intranet"]]
    book_change = names["Shop"]
    assert service.services_of(book_change) == [book_change]


def test_changing_criticality_changes_the_next_binding(book, names):
    take(book, [ci("Shop", "business_service", criticality="test")])
    assert service.bind({"host": "oradb"}).service == names["Intranet"]


def test_an_impact_report_names_services_users_and_the_map_it_was_read_from(book, names):
    report = service.impact(["rack-1", "unknown"])
    assert [(each.name, each.hops) for each in report.services] == [("Intranet", 2), ("Shop", 3)]
    assert report.users == 940
    assert report.criticality == "gold"
    assert report.unresolved == ["unknown"]
    assert report.dependants_count == 5
    assert report.graph_version == service.graph().version
    elsewhere = take(book, [ci("lonely"), tie("lonely", "webP" if False else "Intranet")])
    assert elsewhere.accepted == 2
    later = service.impact(["rack-1", "unknown"])
    assert later.graph_version != report.graph_version
    take(book, [ci("more", "application"), tie("more", "db-8.example.org")])
    assert service.impact(["rack-1"]).path_version != later.path_version


def test_a_random_graph_of_200_items_reaches_what_the_recomputation_reaches(book):
    pick = random.Random(20261120)
    all_names = [f"ci-{number}" for number in range(200)]
    services = set(pick.sample(all_names, 30))
    pairs = {tuple(pick.sample(all_names, 2)) for _ in range(320)}
    take(
        book,
        [
            *(ci(name, "service" if name in services else "server") for name in all_names),
            *(tie(*pair) for pair in pairs),
        ],
    )
    ids = dict(Ci.objects.values_list("name", "id"))
    for start in pick.sample(all_names, 40):
        down = reach({(target, source) for source, target in pairs}, [start])
        up = reach(pairs, [start])
        report = service.impact([start])
        assert {each.name for each in report.services} == {
            name for name in {start, *down} if name in services
        }
        assert {each.id: each.hops for each in report.dependants} == {
            ids[name]: hops for name, hops in down.items()
        }
        assert {node: each.hops for node, each in service.upstream(ids[start]).items()} == {
            ids[name]: hops for name, hops in up.items()
        }


def test_the_graph_of_a_past_instant_is_the_one_that_stood_then(book):
    pick = random.Random(3)
    all_names = [f"n{number}" for number in range(8)]
    take(book, [ci(name) for name in all_names])
    ids = dict(Ci.objects.values_list("name", "id"))
    start = book.clock.now()
    standing: set[tuple[str, str]] = set()
    stood: list[tuple[Instant, frozenset[tuple[str, str]]]] = []
    for step in range(40):
        pair = tuple(pick.sample(all_names, 2))
        moment = Instant(start + step * HOUR)
        gone = pair in standing
        take(book, [tie(*pair, state="removed" if gone else "live")], now=moment)
        (standing.discard if gone else standing.add)(pair)
        stood.append((moment, frozenset(standing)))
    for moment, pairs in stood:
        graph = service.graph_as_of(book.organisation, occurred=Instant(moment + MINUTE))
        assert {(edge.source, edge.target) for edge in graph.edges} == {(ids[a], ids[b]) for a, b in pairs}
    early = service.graph_as_of(book.organisation, occurred=stood[-1][0], recorded=stood[5][0])
    assert {(edge.source, edge.target) for edge in early.edges} == {(ids[a], ids[b]) for a, b in stood[5][1]}
    assert service.graph_as_of(book.organisation, occurred=Instant(start - HOUR)).edges == ()
    assert Relation.objects.filter(version__gt=1).exists()


def test_ten_thousand_items_and_twenty_thousand_relations(book):
    pick = random.Random(11)
    all_names = [f"host-{number}.example.org" for number in range(10_000)]
    rows = [
        ci(name, addresses=[f"10.{number >> 8}.{number & 255}.1"]) for number, name in enumerate(all_names)
    ]
    pairs = {
        (all_names[max(a, b)], all_names[min(a, b)])
        for a, b in (pick.sample(range(10_000), 2) for _ in range(20_100))
    }
    pairs = set(sorted(pairs)[:20_000])
    rows += [tie(*pair, pick.choice(["depends_on", "hosted_on"])) for pair in pairs]
    reports = [take(book, rows[at : at + 5000]) for at in range(0, len(rows), 5000)]
    assert sum(each.accepted for each in reports) == 30_000
    ids = dict(Ci.objects.values_list("name", "id"))
    for start in pick.sample(all_names, 5):
        down = reach({(target, source) for source, target in pairs}, [start])
        assert {node: each.hops for node, each in service.downstream(ids[start]).items()} == {
            ids[name]: hops for name, hops in down.items()
        }
    hints = [{"instance": f"{pick.choice(all_names)}:9100"} for _ in range(5000)]
    service.bind(hints[0])
    with CaptureQueriesContext(connection) as asked:
        assert all(service.bind(hint, organisation=book.organisation).ci for hint in hints)
    # Each asks once whether the map is still the one in memory; nothing else.
    assert len(asked) < len(hints) * 1.1, f"{len(asked)} queries for {len(hints)} bindings"
