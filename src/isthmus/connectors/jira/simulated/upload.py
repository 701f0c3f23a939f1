"""The one file in a multipart form, read from a body that the simulator has taken in already."""

from __future__ import annotations

import re

_BOUNDARY = re.compile(r'boundary="?([^";]+)')
_NAME = re.compile(rb'filename="((?:[^"\\]|\\.)*)"')
_KIND = re.compile(rb"(?i)^content-type: *(\S+)", re.MULTILINE)


def uploaded(content_type: str, body: bytes) -> tuple[str, str, bytes]:
    """Return name, type and content of the part `file`; ValueError if the form is not what Jira demands."""
    boundary = _BOUNDARY.search(content_type)
    head, found, rest = body.partition(b"\r\n\r\n")
    if boundary is None or not found or b'name="file"' not in head:
        raise ValueError("a form with a part named file is demanded")
    end = rest.rindex(b"\r\n--" + boundary[1].encode())
    name, kind = _NAME.search(head), _KIND.search(head)
    if name is None:
        raise ValueError("the part file has no filename")
    return name[1].decode().replace('\\"', '"'), kind[1].decode() if kind else "", rest[:end]
