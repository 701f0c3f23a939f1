import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.kernel.coverage import check
from isthmus.kernel.errors import Rejected
from isthmus.kernel.kinds.incident import INCIDENT, INCIDENT_STATES, LEVELS
from isthmus.kernel.mapping import FieldMapping, RecordMapping
from isthmus.kernel.spelling import Known, Unknown, normalise

THREE_LEVELS = FieldMapping(external="prio", outward={"1": "high", "2": "high", "3": "mid", "4": "low"})
STATES = FieldMapping(external="state", outward={state: n for n, state in enumerate(INCIDENT_STATES)})
TITLE = FieldMapping(external="short_description", normalise=("trim", "cut 10"))


def mapping(**fields: FieldMapping) -> RecordMapping:
    return RecordMapping(kind="incident", external_kind="ticket", fields={"title": TITLE, **fields})


def test_values_go_out_and_come_back_by_table():
    ours = mapping(state=STATES)
    assert ours.outward("state", "resolved") == 3
    assert ours.inward("state", 3) == Known(value="resolved")
    assert ours.inward("state", "3") == Known(value="resolved")


def test_an_unknown_partner_value_is_kept_never_defaulted():
    found = mapping(state=STATES).inward("state", 99)
    assert isinstance(found, Unknown)
    assert found.raw == 99
    assert "state" in found.text
    assert "99" in found.text


def test_a_value_without_a_partner_value_is_refused_naming_the_field():
    with pytest.raises(Rejected) as caught:
        mapping(priority=FieldMapping(external="p", outward={"1": "high"})).outward("priority", "4")
    assert caught.value.problems[0].path == "/priority"
    assert "'4'" in str(caught.value)


def test_an_unmapped_field_is_refused():
    with pytest.raises(Rejected, match="no field assignee"):
        mapping().outward("assignee", "x")


def test_the_normal_form_is_what_the_partner_will_show():
    assert mapping().normal("title", "  a very long title") == "a very lon"


@given(st.text(), st.lists(st.sampled_from(["trim", "lower", "collapse", "newlines", "cut 7"]), max_size=4))
def test_a_normal_form_is_normal(text, steps):
    """Idempotent per step: what the partner shows is not rewritten again when it is written back."""
    for step in steps:
        once = normalise(text, (step,))
        assert normalise(once, (step,)) == once


@given(st.sampled_from(LEVELS), st.permutations(["a", "b", "c", "d"]))
def test_any_injective_crosswalk_survives_the_round_trip(level, names):
    ours = mapping(priority=FieldMapping(external="p", outward=dict(zip(LEVELS, names, strict=True))))
    assert ours.inward("priority", ours.normal("priority", level)) == Known(value=level)


def test_check_lists_what_is_lossy_ambiguous_uncovered_and_invalid():
    ours = mapping(
        priority=THREE_LEVELS,
        state=FieldMapping(external="s", outward={"new": 1, "open": 2}),
        impact=FieldMapping(external="i", outward=dict.fromkeys(LEVELS, "x"), inward={"x": "1"}),
        colour=FieldMapping(external="c"),
    )
    found = {(each.kind, each.field, each.value) for each in check(ours, INCIDENT)}
    assert ("ambiguous", "priority", "high") in found
    assert ("uncovered", "state", "resolved") in found
    assert ("invalid", "state", "open") in found
    assert ("lossy", "impact", "2") in found
    assert ("invalid", "colour", "") in found
    assert ("lossy", "title", "") in found


def test_check_misses_the_required_field_and_praises_a_total_mapping():
    bare = RecordMapping(kind="incident", external_kind="t", fields={"state": STATES})
    assert [each.text for each in check(bare, INCIDENT)] == ["The required field title is not mapped."]
    whole = RecordMapping(
        kind="incident", external_kind="t", fields={"title": FieldMapping(external="t"), "state": STATES}
    )
    assert check(whole, INCIDENT) == []


def test_an_ambiguous_inverse_is_unknown_until_an_inward_entry_decides():
    ours = mapping(priority=THREE_LEVELS)
    assert isinstance(ours.inward("priority", "high"), Unknown)
    decided = ours.overlaid(
        {"priority": msgspec.structs.replace(THREE_LEVELS, inward={"high": "1", "mid": "3", "low": "4"})}
    )
    assert decided.inward("priority", "high") == Known(value="1")


def test_the_version_changes_with_the_content_only():
    one, same = mapping(priority=THREE_LEVELS), mapping(priority=THREE_LEVELS)
    other = mapping(priority=FieldMapping(external="prio", outward={**THREE_LEVELS.outward, "4": "none"}))
    assert one.version == same.version
    assert one.version != other.version
    assert len(one.version) == 16


def test_a_mapping_is_data_that_a_blueprint_can_hold():
    data = {
        "kind": "incident",
        "external_kind": "t",
        "fields": {"title": {"external": "t", "normalise": ["trim"]}},
    }
    assert msgspec.convert(data, RecordMapping).normal("title", " x ") == "x"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**data, "fields": {"title": {"externl": "t"}}}, RecordMapping)


@pytest.mark.parametrize(
    ("convert", "ours", "theirs"),
    [
        ("rfc3339", 1_795_186_920_000_000, "2026-11-20T15:02:00.000Z"),
        ("utc_text", 1_795_186_920_000_000, "2026-11-20 15:02:00"),
        ("epoch_seconds", 1_795_186_920_000_000, 1_795_186_920),
        ("integer_text", 12, "12"),
        ("boolean_text", True, "true"),
    ],
)
def test_conversions_go_both_ways_and_refuse_what_they_cannot_read(convert, ours, theirs):
    field = mapping(opened_at=FieldMapping(external="o", convert=convert))
    assert field.outward("opened_at", ours) == theirs
    assert field.inward("opened_at", theirs) == Known(value=ours)
    assert isinstance(field.inward("opened_at", "yesterday-ish"), Unknown)


def test_html_is_normalised_as_declared():
    assert normalise("<p>a &amp; b</p>", ("strip_html",)) == "a & b"
    assert normalise("a & <b>", ("escape_html",)) == "a &amp; &lt;b&gt;"
