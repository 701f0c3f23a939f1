"""Cookies are sent over HTTPS only wherever the console says that it is reached so."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = (
    "import json; from isthmus import django_settings as s;"
    "print(json.dumps([s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE]))"
)


@pytest.mark.parametrize(
    ("environment", "secure"),
    [
        ({}, False),
        ({"ISTHMUS_BASE_URL": "http://hub.example.test"}, False),
        ({"ISTHMUS_BASE_URL": "https://hub.example.test"}, True),
        ({"ISTHMUS_SECURE_COOKIES": "true"}, True),
    ],
)
def test_cookies_follow_the_address(tmp_path, environment, secure):
    base = {name: value for name, value in os.environ.items() if not name.startswith("ISTHMUS_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**base, "ISTHMUS_DATA_DIR": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [secure, secure]
