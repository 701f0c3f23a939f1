from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LedgerConfig(AppConfig):
    name = "isthmus.ledger"
    label = "ledger"

    def ready(self) -> None:
        from isthmus.ledger import rowlevel

        post_migrate.connect(rowlevel.install, dispatch_uid="isthmus.rowlevel")
