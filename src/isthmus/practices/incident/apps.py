from __future__ import annotations

from django.apps import AppConfig


class IncidentConfig(AppConfig):
    name = "isthmus.practices.incident"
    label = "incident"

    def ready(self) -> None:
        from isthmus.practices.incident import blueprint, desk_blueprint, reactions

        blueprint.register()
        desk_blueprint.register_sections()
        reactions.register()
