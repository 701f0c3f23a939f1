from __future__ import annotations

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "isthmus.practices.monitoring"
    label = "monitoring"

    def ready(self) -> None:
        from isthmus.practices.monitoring import blueprint, reactions

        blueprint.register()
        reactions.register()
