from __future__ import annotations

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "isthmus.hub"
    label = "hub"

    def ready(self) -> None:
        from isthmus.hub import due
        from isthmus.hub.blueprint import register_section
        from isthmus.hub.pump import parking, redrive

        register_section()
        due.register(parking.REDRIVE, redrive.on_due)
