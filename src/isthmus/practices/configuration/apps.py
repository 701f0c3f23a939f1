from __future__ import annotations

from django.apps import AppConfig


class ConfigurationConfig(AppConfig):
    name = "isthmus.practices.configuration"
    label = "configuration"

    def ready(self) -> None:
        from isthmus.practices.configuration import blueprint, reactions

        blueprint.declare()
        reactions.declare()
