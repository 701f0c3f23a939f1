from __future__ import annotations

from django.apps import AppConfig


class SyncConfig(AppConfig):
    name = "isthmus.hub.sync"
    label = "sync"

    def ready(self) -> None:
        from isthmus.hub import connections, due, observing
        from isthmus.hub.sync import attachments, blobs, comparing, preparing, reactions, service, synced
        from isthmus.hub.sync.blueprint import overlaid, register_sections
        from isthmus.ledger import backup
        from isthmus.ledger.work import register_preparer

        register_sections()
        connections.register_mappings(overlaid)
        register_preparer(preparing.prepare_mappings)
        register_preparer(preparing.prepare)
        register_preparer(attachments.owe)
        due.register(comparing.WHAT, comparing.on_due)
        due.register(blobs.UNCLAIMED, blobs.remove_unclaimed)
        backup.after_restore(service.after_restore)
        for kind in synced.SYNCED_KINDS:
            observing.register(kind, reactions.react)
