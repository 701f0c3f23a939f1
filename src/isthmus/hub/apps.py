from __future__ import annotations

from django.apps import AppConfig


class HubConfig(AppConfig):
    name = "isthmus.hub"
    label = "hub"

    def ready(self) -> None:
        from isthmus.hub.blueprint import register_section

        register_section()
