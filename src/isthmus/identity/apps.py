from __future__ import annotations

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "isthmus.identity"
    label = "identity"

    def ready(self) -> None:
        from isthmus.identity import second_factor

        second_factor.connect()
