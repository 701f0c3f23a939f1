"""Stories share one served hub per module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.stories.served import Served, served


@pytest.fixture(scope="module")
def serve(
    _template: Path, _server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Served]]:
    """Return a function that runs a hub for the module; everything ends with it."""
    with ExitStack() as stack:

        def start(**how: Any) -> Served:
            directory = tmp_path_factory.mktemp("story") / "data"
            return stack.enter_context(served(_template, _server, directory, **how))

        yield start
