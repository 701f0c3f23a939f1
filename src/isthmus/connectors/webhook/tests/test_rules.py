"""Rules are checked when the connection is saved, and read bodies as they say."""

from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.kernel.errors import Rejected

INSTALLED = registry.at(Path(__file__).parents[1])
SOURCE = INSTALLED.connector.source
SECRET = {"secret": "env:X"}


def context(*rules, authentication="bearer"):
    config = {"authentication": authentication, "secret": SECRET, "rules": list(rules)}
    return INSTALLED.context("home-made", config, secrets={"secret": "s3cret"})


def alert(**changes):
    return {"kind": "alert", "key": "/id", "fields": {"summary": "/text"}, **changes}


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (alert(when="body.x ="), "when"),
        (alert(key="itm.id"), "key"),
        (alert(fields={"sumary": "/x"}), "no field 'sumary'"),
        (alert(fields={}), "length >= 1"),
        (alert(items="alerts"), "JSON Pointer"),
        (alert(kind="incident"), "One of alert, ci."),
        (alert(tables={"colour": {}}), "no field 'colour'"),
    ],
)
def test_a_wrong_rule_is_refused_when_it_is_saved(rule, says):
    with pytest.raises(Rejected) as caught:
        context(rule)
    assert says in str(caught.value)
    assert caught.value.problems[0].path.startswith("/rules/0")


def test_pointers_reach_into_lists_and_objects():
    found = SOURCE.parse(
        b'{"id": 1, "a": [{"b/c": "deep"}]}', {}, context(alert(fields={"summary": "/a/0/b~1c"}))
    )
    assert found[0].values["summary"] == "deep"
    assert found[0].external.key == "1"


def test_an_optional_field_that_is_absent_is_left_out():
    assert SOURCE.parse(b'{"id": "x"}', {}, context(alert()))[0].values == {}


def test_items_that_no_condition_fits_are_understood_and_ignored():
    rule = alert(items="/list", when="item.level > 3")
    body = b'{"list": [{"id": "a", "level": 1}, {"id": "b", "level": 4}]}'
    assert [each.external.key for each in SOURCE.parse(body, {}, context(rule))] == ["b"]
    assert SOURCE.parse(b'{"other": 1}', {}, context(rule)) == []


def test_the_identity_of_an_event_comes_from_rule_then_delivery_then_idempotency_key():
    github = context(alert(), authentication="github")
    body = b'{"id": "x", "d": 7}'
    both = {"x-github-delivery": "guid", "idempotency-key": "key"}
    assert SOURCE.parse(body, both, github)[0].event_id == "guid:0"
    assert SOURCE.parse(body, {"idempotency-key": "key"}, github)[0].event_id == "key:0"
    assert SOURCE.parse(body, {}, github)[0].event_id == ""
    assert SOURCE.parse(body, both, context(alert(event_id="/d")))[0].event_id == "7"


@pytest.mark.parametrize("stated", ["1795190400", "1795190400000", '"2026-11-20T16:00:00Z"'])
def test_a_time_may_be_seconds_milliseconds_or_a_text_with_its_zone(stated):
    (found,) = SOURCE.parse(b'{"id": 1, "t": %s}' % stated.encode(), {}, context(alert(occurred_at="/t")))
    assert found.occurred_at == 1_795_190_400_000_000


@pytest.mark.parametrize(
    "authentication",
    ["bearer", "basic", "hub_sha256", "hub_sha1", "github", "gitlab_token", "zendesk", "glpi", "grafana",
     "grafana_timestamp", "pagerduty", "slack"],
)  # fmt: skip
def test_every_scheme_can_be_chosen(authentication):
    here = context(alert(), authentication=authentication)
    headers = SOURCE.sign(b"{}", here, NOW)
    assert SOURCE.authenticate(headers, b"{}", here, NOW) is None
    assert SOURCE.authenticate({}, b"{}", here, NOW).status == 401


def test_a_number_with_a_fraction_becomes_text_because_entries_hold_no_floats():
    rule = {"kind": "ci", "key": "/id", "fields": {"name": "/n", "ci_class": "/c", "attributes": "/a"}}
    found = SOURCE.parse(b'{"id": 1, "n": "n", "c": "c", "a": {"load": [0.5, 1]}}', {}, context(rule))
    assert found[0].values["attributes"] == {"load": ["0.5", 1]}


def test_an_expression_that_fails_names_the_item_and_not_its_content():
    rule = alert(items="/list", key="item.host.name")
    with pytest.raises(Rejected) as caught:
        SOURCE.parse(b'{"list": [{"host": {"name": "a"}}, {"host": "hunter2"}]}', {}, context(rule))
    assert caught.value.problems[0].path == "/list/1"
    assert "hunter2" not in str(caught.value)
