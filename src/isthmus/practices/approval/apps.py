from __future__ import annotations

from django.apps import AppConfig


class ApprovalConfig(AppConfig):
    name = "isthmus.practices.approval"
    label = "approval"
