from __future__ import annotations

from django.apps import AppConfig


class ServiceLevelConfig(AppConfig):
    name = "isthmus.practices.service_level"
    label = "service_level"

    def ready(self) -> None:
        from isthmus.practices.service_level import blueprint, reactions

        blueprint.declare()
        reactions.declare()
