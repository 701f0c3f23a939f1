"""A newcomer's first connector: one folder, about 150 lines, in the inventory, contract green; and able to fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry, scaffold
from isthmus.connectors.kit.conformance import suite
from isthmus.kernel.errors import Rejected

ROOT = Path(__file__).parents[2]


def contract(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-c",
            str(ROOT / "pyproject.toml"),
            str(folder),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


def test_a_new_connector_is_in_the_inventory_with_its_contract_green(tmp_path):
    folder = scaffold.write("acme_monitor", tmp_path)
    assert list(registry.installed(tmp_path)) == ["acme_monitor"]
    done = contract(folder)
    assert done.returncode == 0, done.stdout[-2000:]
    lines = sum(
        len(path.read_text().splitlines()) for path in (*folder.glob("*.py"), folder / "manifest.toml")
    )
    assert lines <= 160
    assert {path.name for path in tmp_path.iterdir()} == {"acme_monitor"}


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("webhook.py", '"external_key": key,', '"key": key,', "test_observations_use_canonical_names"),
        (
            "webhook.py",
            'unknown["severity"] = severity',
            'values["severity"] = "warning"',
            "test_accepted_fixtures",
        ),
        ("webhook.py", "wild.from_json(body)", "wild.Wild(__import__('json').loads(body))", "test_garbage"),
        ("webhook.py", "        del headers\n", "        return []\n", "test_every_declared_kind"),
        (
            "config.py",
            ', Meta(description="The bearer token that the sender presents.")',
            ", Meta()",
            "test_every_field_has",
        ),
        (
            "manifest.toml",
            '"alert:webhook"',
            '"alert:webhook", "incident:write"',
            "test_every_declared_capability",
        ),
        ("connector.py", "source=", "open=print, source=", "test_everything_implemented"),
        ("fixtures/SOURCES.md", "host_is_down", "something", "test_papers"),
    ],
)
def test_a_broken_connector_fails_the_test_that_names_the_fault(tmp_path, file, old, new, named):
    folder = scaffold.write("acme_monitor", tmp_path)
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    broken = suite(folder)()
    method = next(getattr(broken, each) for each in dir(broken) if each.startswith(named))
    with pytest.raises((Exception, pytest.fail.Exception)):
        method()


@pytest.mark.parametrize("name", ["Acme", "a", "1st", "acme-monitor", "../acme", "x" * 40, ""])
def test_an_unusable_name_is_refused(tmp_path, name):
    with pytest.raises(Rejected, match="no usable name"):
        scaffold.write(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_connector_for_the_same_system_is_pointed_to_the_first(tmp_path):
    with pytest.raises(Rejected, match="Prometheus Alertmanager is there already"):
        scaffold.write("alert_manager", tmp_path)


def test_an_existing_folder_is_never_written_over(tmp_path):
    scaffold.write("acme_monitor", tmp_path)
    with pytest.raises(Rejected, match="already"):
        scaffold.write("acme_monitor", tmp_path)
