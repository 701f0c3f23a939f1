from __future__ import annotations

from django.apps import AppConfig


class ProblemConfig(AppConfig):
    name = "isthmus.practices.problem"
    label = "problem"

    def ready(self) -> None:
        from isthmus.practices.problem import reactions

        reactions.declare()
