"""The page "Add a connector", followed by a newcomer: the command, the table of files, the connection."""

import re
import subprocess
import sys

import pytest

from isthmus import django_settings
from isthmus.blueprint import source, validate
from isthmus.connectors.kit import scaffold
from isthmus.hub import inventory

PAGE = "how-to/add-a-connector.md"


@pytest.fixture
def folder(tmp_path):
    return scaffold.write("acme_monitor", tmp_path)


@pytest.fixture
def own_connectors(tmp_path, monkeypatch):
    monkeypatch.setattr(
        django_settings,
        "ISTHMUS",
        type(django_settings.ISTHMUS)(data_dir=tmp_path / "data", connectors_dir=str(tmp_path)),
    )


def test_the_make_target_runs_the_scaffold(root):
    said = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.installed", "new-connector", "NAME=acme_monitor"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "-m isthmus.connectors.kit.scaffold acme_monitor" in said.stdout
    refused = subprocess.run(
        ["make", "--old-file=.venv/.installed", "new-connector"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "NAME=acme" in refused.stdout


def test_the_scaffold_run_as_the_page_says_writes_the_folder(tmp_path, page):
    assert "python -m isthmus.connectors.kit.scaffold acme_monitor --into" in page(PAGE)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "isthmus.connectors.kit.scaffold",
            "acme_monitor",
            "--into",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "contract is green" in done.stdout
    assert (tmp_path / "acme_monitor/manifest.toml").exists()


def test_the_table_of_files_is_what_is_written(folder, page):
    rows = re.findall(r"^\| `([\w./]+)` \| (\d*) \|", page(PAGE), re.MULTILINE)
    assert len(rows) == 7  # the folder of fixtures has no count of lines
    for name, lines in rows:
        assert (folder / name).exists(), name
        if lines:
            assert len((folder / name).read_text().splitlines()) == int(lines), name
    code = sum(int(lines) for name, lines in rows if name.endswith((".py", ".toml")))
    assert 100 <= code <= 160, "the page says about 150 lines"


@pytest.mark.usefixtures("own_connectors")
def test_the_hub_finds_it_and_the_pages_connection_is_valid(folder, tmp_path, page):
    assert "acme_monitor" in inventory.everything()
    body = re.search(r"```yaml\n(connections:.*?)```", page(PAGE), re.DOTALL).group(1)
    written = tmp_path / "blueprint"
    written.mkdir()
    (written / "connections.yaml").write_text(body)
    assert validate.check(source.read_directory(written))[1] == []
    (folder / "manifest.toml").unlink()
    inventory.registry.installed.cache_clear()
    assert "no connector" in str(validate.check(source.read_directory(written))[1]).lower()
