from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LedgerConfig(AppConfig):
    name = "isthmus.ledger"
    label = "ledger"

    def ready(self) -> None:
        from isthmus.ledger import rowlevel
        from isthmus.ledger.sqlite import estimates

        # Sent per app once all migrations are done: one of them is enough for every table.
        post_migrate.connect(rowlevel.install, sender=self, dispatch_uid="isthmus.rowlevel")
        post_migrate.connect(estimates.install, sender=self, dispatch_uid="isthmus.estimates")
