"""The reference says what the code does: nothing stale, nothing missing, nothing that is gone."""

import dataclasses
import re

import pytest
import typer

from isthmus.cli.documentation import command as documentation

PAGES = (
    "settings.md", "command-line.md", "blueprint.md", "permissions.md", "record-kinds.md", "metrics.md", "api.md",
    "connectors.md", "lists.md",
)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_says_now(name, root, reference):
    current = (root / "docs/reference" / name).read_text() == reference[name]
    assert current, f"docs/reference/{name} is stale: run `isthmus docs reference` and commit"


def test_these_are_all_generated_pages(reference):
    assert set(reference) == set(PAGES)


def test_a_stale_page_is_named_and_nothing_is_written(tmp_path, reference, capsys):
    for name, text in reference.items():
        (tmp_path / name).write_text(text)
    documentation.reference(tmp_path, check=True)
    (tmp_path / "metrics.md").write_text("something else")
    (tmp_path / "settings.md").unlink()
    with pytest.raises(typer.Exit) as refused:
        documentation.reference(tmp_path, check=True)
    assert refused.value.exit_code == 1
    said = capsys.readouterr()
    assert "metrics.md" in said.err + said.out
    assert (tmp_path / "metrics.md").read_text() == "something else"
    assert not (tmp_path / "settings.md").exists()


def documented(text, pattern):
    return set(re.findall(pattern, text, re.MULTILINE))


def test_exactly_the_settings_that_exist_are_documented_with_a_meaning(reference):
    from isthmus.settings import Settings

    known = {f"ISTHMUS_{each.name.upper()}" for each in dataclasses.fields(Settings)}
    assert documented(reference["settings.md"], r"^\| `(ISTHMUS_\w+)` \| .+ \| \S.*\|$") == known


def test_exactly_the_commands_that_exist_are_documented_with_a_sentence(reference):
    from isthmus.cli.main import app

    def leaves(command, path):
        children = getattr(command, "commands", {})
        return (
            {path} if not children else set().union(*(leaves(c, f"{path} {n}") for n, c in children.items()))
        )

    known = leaves(typer.main.get_command(app), "isthmus")
    assert documented(reference["command-line.md"], r"^## `(.+)`\n\n\S") == known


def test_every_option_of_every_command_has_a_meaning(reference):
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \| .*\|$", reference["command-line.md"], re.MULTILINE)
    assert rows
    assert [name for name, meaning in rows if not meaning.strip()] == []


def test_exactly_the_blueprint_sections_that_exist_are_documented(reference):
    from isthmus.blueprint import sections

    text = reference["blueprint.md"].split("# Structures")[0]
    assert documented(text, r"^## `(\w+)`\n\n\S") == set(sections.names())


def test_every_structure_that_a_section_names_is_on_the_page(reference):
    text = reference["blueprint.md"]
    named = documented(text, r"\]\(#(structure-[\w-]+)\)")
    assert named
    assert named <= documented(text, r"\{ #(structure-[\w-]+) \}$")


def test_exactly_the_permissions_that_exist_are_documented(reference):
    from isthmus.identity.roles import PERMISSIONS

    assert documented(reference["permissions.md"], r"^\| `([\w:]+)` \| \S") == set(PERMISSIONS)


def test_exactly_the_columns_and_filters_that_lists_have_are_documented(reference):
    from isthmus.web.lists.tables import TABLES

    for part, table in zip(reference["lists.md"].split("\n## ")[1:], TABLES.values(), strict=True):
        named = {each.key for each in table.columns} | {each.name for each in table.filters}
        assert documented(part, r"^\| `([\w:]+)` \|") == named


def test_exactly_the_metrics_that_exist_are_documented(reference):
    from prometheus_client import generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    from isthmus.hub.metrics import REGISTRIES

    shown = set()
    for registry in REGISTRIES.values():
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            shown.add(f"{family.name}_total" if family.type == "counter" else family.name)
    names = documented(reference["metrics.md"], r"^\| `(isthmus_\w+)` \| .+ \| \S.*\|$")
    assert {each for each in shown if not each.endswith("_created")} == names


def test_exactly_the_operations_of_the_api_are_documented(reference):
    from isthmus.web.api import api

    known = {
        f"{method.upper()} {path}"
        for path, operations in api.get_openapi_schema()["paths"].items()
        for method in operations
    }
    assert documented(reference["api.md"], r"^### `(\w+ \S+)`\n\n\S") == known


def test_exactly_the_connectors_of_the_inventory_are_documented_and_have_a_how_to(root, reference):
    from isthmus.connectors.kit import registry

    known = set(registry.installed())
    assert documented(reference["connectors.md"], r"^`connector: (\w+)`") == known
    included = {
        name
        for path in (root / "docs/how-to").glob("*.md")
        for name in documented(path.read_text(), r'^--8<-- "src/isthmus/connectors/(\w+)/doc.md"')
    }
    assert included == known
