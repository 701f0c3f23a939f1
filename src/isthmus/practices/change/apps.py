from __future__ import annotations

from django.apps import AppConfig


class ChangeConfig(AppConfig):
    name = "isthmus.practices.change"
    label = "change"
