from __future__ import annotations

from django.apps import AppConfig


class ChangeConfig(AppConfig):
    name = "isthmus.practices.change"
    label = "change"

    def ready(self) -> None:
        from isthmus.practices.change import blueprint, calendars, reactions, waiting

        calendars.declare()
        blueprint.declare()
        reactions.declare()
        waiting.declare()
