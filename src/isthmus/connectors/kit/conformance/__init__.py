"""The contract that every connector keeps, as tests that a folder inherits in five lines.

    from pathlib import Path
    from isthmus.connectors.kit.conformance import suite

    TestContract = suite(Path(__file__).parents[1])

A test is skipped only when the manifest does not declare the capability; a failure says what to add.
Fixtures: `fixtures/accepted/<sentence>.<ext>` (with an optional `<sentence>.headers.json`) and its snapshot
`<sentence>.observations.json`; `fixtures/refused/<sentence>.<ext>` with `fixtures/refused/expected.toml`.
Set ISTHMUS_SNAPSHOTS=write to write snapshots anew; look at the difference before committing it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

# Before the modules are imported, so that a failing assertion shows its values.
_PARTS = (
    "world", "declared", "configured", "filing", "gating", "mapped", "notifying", "polled", "pushed", "reacting", "streamed", "writing",
)  # fmt: skip
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in _PARTS))

from isthmus.connectors.kit.conformance.configured import Configured  # noqa: E402
from isthmus.connectors.kit.conformance.declared import Declared  # noqa: E402
from isthmus.connectors.kit.conformance.filing import Filing  # noqa: E402
from isthmus.connectors.kit.conformance.gating import Gating  # noqa: E402
from isthmus.connectors.kit.conformance.mapped import Mapped  # noqa: E402
from isthmus.connectors.kit.conformance.notifying import Notifying  # noqa: E402
from isthmus.connectors.kit.conformance.polled import Polled  # noqa: E402
from isthmus.connectors.kit.conformance.pushed import Pushed  # noqa: E402
from isthmus.connectors.kit.conformance.reacting import Reacting  # noqa: E402
from isthmus.connectors.kit.conformance.streamed import Streamed  # noqa: E402
from isthmus.connectors.kit.conformance.world import World  # noqa: E402
from isthmus.connectors.kit.conformance.writing import Writing  # noqa: E402


class Contract(
    Declared, Configured, Pushed, Mapped, Polled, Streamed, Reacting, Writing, Filing, Gating, Notifying
):
    """All rows of the contract; `suite` binds them to a folder."""


def suite(folder: Path) -> type[Contract]:
    """Return the test class of the connector in `folder`."""
    return type("TestContract", (Contract,), {"world": World(folder), "__test__": True})
