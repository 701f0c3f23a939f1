"""The fixtures that killers ask for, lent by the folders whose tests they are."""

from __future__ import annotations

from tests.hub.conftest import hub, tiny
from tests.hub.intake.mail_servers import mx
from tests.hub.intake.test_door import door
from tests.hub.test_due import handled
from tests.hub.test_messages_of_polls import poller
from tests.ledger.conftest import told
from tests.practices.change.conftest import world
from tests.sync.conftest import desk

__all__ = ["desk", "door", "handled", "hub", "mx", "poller", "tiny", "told", "world"]
