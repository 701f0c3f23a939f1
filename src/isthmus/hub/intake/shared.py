"""The log of this process, opened on first use: for pages, the API and polls."""

from __future__ import annotations

import os
import threading

from isthmus import django_settings
from isthmus.hub.intake.keys import RingKeys
from isthmus.hub.intake.log import IntakeLog, open_log

_guard = threading.Lock()
_held: dict[tuple[int, str], IntakeLog] = {}


def log() -> IntakeLog:
    """Return this process's intake log. A forked child opens its own: file positions are not shared."""
    settings = django_settings.ISTHMUS
    key = (os.getpid(), f"{settings.data_dir}|{settings.database_url}")
    with _guard:
        if key not in _held:
            _held[key] = open_log(settings, RingKeys())
        return _held[key]
