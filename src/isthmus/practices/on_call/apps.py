from __future__ import annotations

from django.apps import AppConfig


class OnCallConfig(AppConfig):
    name = "isthmus.practices.on_call"
    label = "on_call"

    def ready(self) -> None:
        from isthmus.practices.on_call import blueprint, reactions

        blueprint.declare()
        reactions.declare()
