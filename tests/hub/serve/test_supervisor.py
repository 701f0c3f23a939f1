"""What must be so before a hub starts: a store of this very release."""

from __future__ import annotations

import pytest
from django.db.migrations.recorder import MigrationRecorder

from isthmus.hub.serve import supervisor
from isthmus.kernel.errors import NeedsOperator


def test_a_store_of_this_release_is_served(book):
    supervisor._check_ready_to_serve()


def test_a_store_of_a_newer_release_is_not_served(book):
    MigrationRecorder.Migration.objects.create(app="ledger", name="9999_of_tomorrow")
    with pytest.raises(NeedsOperator, match="newer release"):
        supervisor._check_ready_to_serve()


def test_a_store_of_an_older_release_is_not_served(book):
    MigrationRecorder.Migration.objects.filter(app="hub").delete()
    with pytest.raises(NeedsOperator, match="older release"):
        supervisor._check_ready_to_serve()
