"""A blueprint with a mistake gives one clear error with file, line, path and remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus.blueprint import plan, sections, source, validate
from isthmus.blueprint.sections import Section
from isthmus.kernel.errors import Problem


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    per_minute: int = 60


class Spoke(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    connector: str
    limits: Limit = Limit()
    labels: dict[str, str] = {}


class Desk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    group: str = "service desk"
    hours: list[int] = []


def _check_spokes(value: list[Spoke], _: Any) -> list[Problem]:
    names = [spoke.name for spoke in value]
    return [
        Problem(path=f"/{index}/name", message=f"{name!r} is used twice", remedy="Rename one.")
        for index, name in enumerate(names)
        if name in names[:index]
    ]


@pytest.fixture(autouse=True)
def two_sections(monkeypatch):
    monkeypatch.setattr(
        sections,
        "_sections",
        {
            "spokes": Section(
                name="spokes", schema=list[Spoke], help="Systems.", default=list, check=_check_spokes
            ),
            "desk": Section(name="desk", schema=Desk, help="Desk.", default=Desk),
        },
    )


def read(tmp_path: Path, **files: str) -> source.Source:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return source.read_directory(tmp_path)


def test_a_valid_blueprint_is_typed_and_defaults_are_filled_in(tmp_path):
    parsed, problems = validate.check(
        read(tmp_path, spokes="spokes:\n- {name: snow, connector: servicenow}\n")
    )
    assert problems == []
    assert parsed is not None
    assert parsed.section("spokes")[0].limits.per_minute == 60
    assert parsed.section("desk").group == "service desk"


MISTAKES = {
    "unknown_section": ("spoke:\n- {name: a}\n", "a.yaml:1:/spoke", "Did you mean 'spokes'?"),
    "unknown_key": (
        "spokes:\n- name: a\n  conector: x\n  connector: y\n",
        "a.yaml:3:/spokes/0/conector",
        "Did you mean 'connector'?",
    ),
    "missing_key": ("spokes:\n- name: a\n", "a.yaml:2:/spokes/0", "Add it."),
    "wrong_type": (
        "spokes:\n- name: a\n  connector: y\n  limits:\n    per_minute: many\n",
        "a.yaml:5:/spokes/0/limits/per_minute",
        "Correct the value.",
    ),
    "text_for_number_list": (
        "desk:\n  hours:\n  - 9\n  - noon\n",
        "a.yaml:4:/desk/hours/1",
        "Correct the value.",
    ),
    "list_for_mapping": ("desk:\n- 1\n", "a.yaml:1:/desk", "Correct the value."),
    "tab": ("desk:\n\tgroup: x\n", "a.yaml:2", "Correct the syntax"),
    "unclosed": ("desk: {group: x\n", "a.yaml", "Correct the syntax"),
    "duplicate_key": ("desk:\n  group: a\n  group: b\n", "a.yaml:3", "Correct the syntax"),
    "scalar_document": ("hello\n", "a.yaml:1", "Start with"),
    "twice_named": (
        "spokes:\n- {name: a, connector: x}\n- {name: a, connector: y}\n",
        "a.yaml:3:/spokes/1/name",
        "Rename one.",
    ),
    "undefined_alias": ("desk: *nothing\n", "a.yaml:1", "Correct the syntax"),
    "python_object": ("desk: !!python/object:os.system {}\n", "a.yaml:1:/desk", "Write a plain value."),
    "null_required": (
        "spokes:\n- {name: null, connector: x}\n",
        "a.yaml:2:/spokes/0/name",
        "Correct the value.",
    ),
    "too_deep": ("desk:\n  group: " + "[" * 40 + "]" * 40 + "\n", "a.yaml:2", "Flatten it"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_each_mistake_is_named_with_its_place_and_remedy(tmp_path, name):
    text, place, remedy = MISTAKES[name]
    parsed, problems = validate.check(read(tmp_path, a=text))
    assert parsed is None
    assert len(problems) == 1, problems
    assert problems[0].path.startswith(place), problems
    assert remedy in problems[0].remedy
    assert problems[0].message


def test_every_faulty_item_of_a_list_is_named_not_only_the_first(tmp_path):
    text = "spokes:\n- {name: a}\n- {name: b, connector: ok}\n- {name: c, conector: x}\n"
    _, problems = validate.check(read(tmp_path, a=text))
    assert [p.path.split(":")[1] for p in problems] == ["2", "4"]


def test_a_missing_directory_and_a_binary_file_are_problems_not_crashes(tmp_path):
    assert validate.check(source.read_directory(tmp_path / "none"))[0] is None
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    parsed, problems = validate.check(source.read_directory(tmp_path))
    assert parsed is None
    assert "UTF-8" in problems[0].message


def test_lists_of_two_files_join_and_keep_their_places(tmp_path):
    found = read(
        tmp_path,
        a="spokes:\n- {name: a, connector: x}\n",
        b="spokes:\n- {name: b, conector: x, connector: y}\n",
    )
    _, problems = validate.check(found)
    assert problems[0].path == "b.yaml:2:/spokes/1/conector"


def test_the_plan_names_values_and_treats_named_lists_by_name(tmp_path):
    old = {"spokes": [{"name": "a", "connector": "x"}, {"name": "b", "connector": "y"}]}
    new = {"spokes": [{"name": "b", "connector": "z"}]}
    typed = sections.Parsed()
    found = plan.make(old, typed, new, typed, base_generation=3)
    assert {(s.action, s.pointer) for s in found.steps} == {
        ("remove", "/spokes/a"),
        ("change", "/spokes/b/connector"),
    }
    assert plan.make(new, typed, json.loads(json.dumps(new)), typed, base_generation=3).empty


def test_equal_blueprints_have_equal_hashes_whatever_the_order_of_keys():
    one = plan.content_of({"desk": {"group": "a", "hours": [1]}})
    two = plan.content_of({"desk": {"hours": [1], "group": "a"}})
    assert plan.hash_of(one) == plan.hash_of(two)
    assert plan.hash_of(one) != plan.hash_of(plan.content_of({"desk": {"group": "b", "hours": [1]}}))


def test_the_json_schema_describes_every_section():
    schema = sections.json_schema()
    assert set(schema["properties"]) == {"spokes", "desk"}
    assert schema["$defs"]["Spoke"]["required"] == ["name", "connector"]
