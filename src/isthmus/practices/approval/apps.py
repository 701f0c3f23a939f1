from __future__ import annotations

from django.apps import AppConfig


class ApprovalConfig(AppConfig):
    name = "isthmus.practices.approval"
    label = "approval"

    def ready(self) -> None:
        from isthmus.hub import due
        from isthmus.practices.approval import service

        due.register(service.EXPIRY, service.expire)
