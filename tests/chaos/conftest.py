"""An installation that is started for one test and gone afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from tests.chaos.installation import PARTNERS, Installation

import isthmus.blueprint.running
from isthmus import django_settings
from isthmus.hub import connections


@pytest.fixture
def found_town(book: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Installation]]:
    """A function that prepares and starts an installation with the named partners."""
    database = _database()
    changed = replace(django_settings.ISTHMUS, allow_private_addresses=True, database_url=database)
    monkeypatch.setattr(django_settings, "ISTHMUS", changed)
    monkeypatch.setattr(settings, "ISTHMUS", changed)
    isthmus.blueprint.running.forget()
    connections.forget()
    environment, towns = dict(os.environ), []
    if database:
        os.environ["ISTHMUS_DATABASE_URL"] = database

    def founded(*systems: str) -> Installation:
        towns.append(Installation.prepared(book, systems=systems))
        towns[-1].start()
        return towns[-1]

    yield founded
    for each in towns:
        each.stop()
    os.environ.clear()
    os.environ.update(environment)
    isthmus.blueprint.running.forget()
    connections.forget()


def _database() -> str:
    """Return where the hub's processes find the book of this test on the scaled store; "" on the embedded one."""
    if connection.vendor != "postgresql":
        return ""
    at = connection.settings_dict
    return f"postgresql://{at['USER']}:{at.get('PASSWORD') or ''}@/{at['NAME']}?host={quote(str(at['HOST']), safe='')}"


@pytest.fixture
def town(found_town: Callable[..., Installation]) -> Installation:
    """An installation with all three ticket systems."""
    return found_town(*PARTNERS)
