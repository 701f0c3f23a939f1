from __future__ import annotations

from django.apps import AppConfig


class BlueprintConfig(AppConfig):
    name = "isthmus.blueprint"
    label = "blueprint"

    def ready(self) -> None:
        from isthmus.blueprint import running
        from isthmus.ledger import work

        # Every Work reads one generation and records it, so that each decision can be explained later.
        work.register_generation(lambda: running.current().generation)
