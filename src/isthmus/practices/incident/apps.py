from __future__ import annotations

from django.apps import AppConfig


class IncidentConfig(AppConfig):
    name = "isthmus.practices.incident"
    label = "incident"

    def ready(self) -> None:
        from isthmus.practices.incident import blueprint, reactions

        blueprint.register()
        reactions.register()
