"""What the tests of the documentation share: the repository's files, and the reference as the code has it now."""

from pathlib import Path

import pytest

from isthmus.cli.documentation import command as documentation

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root():
    return ROOT


@pytest.fixture
def page(root):
    """Return the text of a page under docs/, with what it includes."""

    def read(name):
        return included(root, (root / "docs" / name).read_text())

    return read


def included(root, text):
    lines = []
    for line in text.splitlines():
        if line.startswith('--8<-- "'):
            lines += (root / line.removeprefix('--8<-- "').rstrip('"')).read_text().splitlines()
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def reference():
    """The reference pages as the code would write them now."""
    return documentation.pages()
