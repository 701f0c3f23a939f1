"""The inventory: folders found by their manifest, each complete, each with its own contract test."""

import tomllib

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.manifest import load
from isthmus.kernel.errors import NeedsOperator

SHIPPED = sorted(registry.installed())


def test_the_promised_connectors_are_there():
    assert {"alertmanager", "webhook", "csv", "pipeline"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_connector_runs_the_contract_suite(name):
    text = (registry.HOME / name / "tests" / "test_contract.py").read_text()
    assert "suite(" in text


def test_an_unknown_connector_is_answered_with_the_nearest_one():
    with pytest.raises(NeedsOperator, match="'alertmanager'"):
        registry.find("alertmanger")


def test_nobody_imports_a_vendor_folder():
    source = registry.HOME.parent
    for path in source.rglob("*.py"):
        if registry.HOME in path.parents:
            continue
        text = path.read_text(encoding="utf-8")
        for name in SHIPPED:
            # The gate client is the hub's own protocol, not a vendor's: the command line may use it.
            if name != "pipeline":
                assert f"isthmus.connectors.{name}" not in text, f"{path.relative_to(source)} imports {name}"


def test_forty_malformed_payloads_and_more_are_kept_as_named_fixtures():
    count = 0
    for name in SHIPPED:
        expected = registry.HOME / name / "fixtures" / "refused" / "expected.toml"
        count += len(tomllib.loads(expected.read_text())) if expected.exists() else 0
    assert count >= 40


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('category = "monitoring"', 'category = "cool"', "/category"),
        ('"alert:webhook",', '"alert:listen",', "no capability"),
        ('id = "alertmanager"', 'id = "Alert Manager"', "/id"),
        ("[event_id]", "[event_ids]", "event_ids"),
        ("simulator = { state", "simulators = { state", "exactly the kit's rules"),
        (
            'reason = "Alertmanager has no permissions of its own; a proxy in front answers 401 or 403"',
            'reason = ""',
            "needs a reason",
        ),
        ("requests_per_minute = 600", "requests_per_minute = 0", "/limits/requests_per_minute"),
    ],
)
def test_a_wrong_manifest_names_file_and_place(tmp_path, old, new, says):
    good = (registry.HOME / "alertmanager" / "manifest.toml").read_text()
    assert old in good
    folder = tmp_path / "alertmanager"
    folder.mkdir()
    (folder / "manifest.toml").write_text(good.replace(old, new))
    with pytest.raises(NeedsOperator) as caught:
        load(folder / "manifest.toml")
    assert "alertmanager/manifest.toml" in str(caught.value)
    assert says in str(caught.value)
