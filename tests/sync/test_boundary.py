"""The boundary register: gaps, overlaps and cycles are named and refuse activation; sound ones pass."""

import pytest

from isthmus.hub.sync.boundary import FieldRule, Flow, Terms, policies, problems
from isthmus.kernel.record import MergePolicy

SYSTEMS = ("desk", "monitoring", "dev")
PARTS = {"priority": ("priority",), "title": ("title",)}


def flow(**changes):
    base = {
        "owner": "Service desk",
        "system_of_record": "hub",
        "connections": {name: Terms() for name in SYSTEMS},
    }
    return Flow(**{**base, **changes})


def found(**changes):
    return [(each.path, each.message) for each in problems({"incident": flow(**changes)}, SYSTEMS)]


def test_a_sound_register_has_no_problem():
    rules = [FieldRule(id="p", field="priority", connections=["monitoring"], system_of_record="monitoring")]
    assert found(fields=rules) == []


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"owner": ""}, "/incident/owner", "gap"),
        ({"system_of_record": ""}, "/incident/system_of_record", "no master"),
        ({"system_of_record": "elsewhere"}, "/incident/system_of_record", "elsewhere"),
        ({"connections": {"gone": Terms()}}, "/incident/connections/gone", "gone"),
        ({"fields": [FieldRule(id="a", field="colour")]}, "/incident/fields/0/field", "no field"),
        (
            {"fields": [FieldRule(id="a", field="title", when="nonsense ==")]},
            "/incident/fields/0/when",
            "nonsense",
        ),
        (
            {
                "fields": [
                    FieldRule(id="a", field="title", system_of_record="desk"),
                    FieldRule(id="b", field="title", system_of_record="dev"),
                ]
            },
            "/incident/fields/1",
            "two masters: desk and dev",
        ),
        (
            {
                "fields": [
                    FieldRule(id="a", field="title", connections=["desk"], system_of_record="dev"),
                    FieldRule(id="b", field="title", connections=["dev"], system_of_record="desk"),
                ]
            },
            "/incident/fields",
            "cycle",
        ),
        (
            {"fields": [FieldRule(id="a", field="title"), FieldRule(id="a", field="category")]},
            "/incident/fields/1/id",
            "twice",
        ),
    ],
)
def test_each_defect_is_named_with_its_place(changes, path, said):
    assert any(each == path and said in message for each, message in found(**changes)), found(**changes)


def test_a_field_that_only_the_hub_may_decide_has_no_rule():
    change = Flow(
        owner="CM",
        system_of_record="hub",
        connections={"desk": Terms()},
        fields=[FieldRule(id="x", field="state")],
    )
    (problem,) = problems({"change": change}, SYSTEMS)
    assert "decided here" in problem.message


def test_directions_and_conditions_narrow_a_rule():
    rules = [
        FieldRule(id="p", field="priority", policy=MergePolicy.LATEST, when="connection == 'monitoring'")
    ]
    register = flow(
        fields=rules, connections={**{name: Terms() for name in SYSTEMS}, "dev": Terms(direction="out")}
    )

    def of(name):
        return policies(
            "incident",
            register,
            PARTS,
            name,
            {"connection": name, "kind": "incident", "channel": "", "record": {}},
        )

    assert of("monitoring")["priority"].inbound
    assert not of("desk")["priority"].inbound
    assert of("desk")["priority"].rule == "p"
    assert (of("dev")["title"].inbound, of("dev")["title"].outbound) == (False, True)
    assert (of("stranger")["title"].inbound, of("stranger")["title"].outbound) == (False, False)
