"""CloudEvents 1.0 over HTTP: three content modes read into one shape, the event as an object. Pure.

Binary: attributes in `ce-` headers, the data is the body. Structured: one JSON object. Batched: a list of them.
Whatever the mode, what follows sees `{specversion, id, source, type, …, data}`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from isthmus.kernel import wild
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.wild import Wild

BATCH_MAX = 1_000
ATTRIBUTES_MAX = 100
_STRUCTURED, _BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_NAME = re.compile(r"[a-z0-9]{1,64}")
_REQUIRED = ("id", "source", "type")


def events(body: bytes, headers: Mapping[str, str]) -> Iterator[Wild]:
    """Yield the events of a request as objects, each with its place in the body."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _BATCH:
        listed = wild.from_json(body)
        for index, each in enumerate(listed.items()):
            if index >= BATCH_MAX:
                listed.refuse(f"holds more than {BATCH_MAX} events", "Send smaller batches.")
            yield _checked(each)
    elif "ce-specversion" in headers and kind != _STRUCTURED:
        yield _checked(Wild(_binary(body, headers, kind)))
    else:
        yield _checked(wild.from_json(body))


def identity(event: Wild) -> str:
    """Return what identifies an event: its source and its id."""
    return f"{event['source'].tame(wild.named)} {event['id'].tame(wild.named)}"


def _checked(event: Wild) -> Wild:
    """Return the event with decoded data, or refuse what is no CloudEvent 1.0."""
    names = event.names()
    if event["specversion"].tame(wild.text) != "1.0":
        event["specversion"].refuse("must be 1.0", "Send CloudEvents of version 1.0.")
    for name in _REQUIRED:
        event[name].tame(wild.named)
    if len(names) > ATTRIBUTES_MAX:
        event.refuse(f"has more than {ATTRIBUTES_MAX} attributes")
    for name in names:
        if name not in {"data", "data_base64"} and not _NAME.fullmatch(name):
            event[name].refuse("is no attribute name", "Use lower-case letters and digits.")
    if not event["time"].missing:
        event["time"].tame(wild.moment)
    return event if event["data_base64"].missing else _decoded(event)


def _decoded(event: Wild) -> Wild:
    """Return the event with `data_base64` as `data`, where it is JSON or text."""
    place = event["data_base64"]
    if not event["data"].missing:
        place.refuse("stands beside data", "Send one of the two.")
    try:
        raw = base64.b64decode(place.tame(wild.text), validate=True)
    except binascii.Error:
        place.refuse("is not base64")
    kind = event["datacontenttype"].tame(wild.optional(wild.text, ""))
    return Wild({**event.raw(), **_data(raw, kind)}, event.path)


def _binary(body: bytes, headers: Mapping[str, str], kind: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")
    }
    if kind:
        attributes["datacontenttype"] = headers["content-type"]
    return {**attributes, **(_data(body, kind, refuse=True) if body else {})}


def _data(raw: bytes, kind: str, *, refuse: bool = False) -> dict[str, Any]:
    """Return data as JSON or text where it declares to be, as base64 otherwise: nothing is guessed."""
    media = kind.partition(";")[0].strip().lower()
    if media in {"application/json", "text/json"} or media.endswith("+json"):
        try:
            return {"data": msgspec.json.decode(raw)}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            if refuse:
                raise wild.not_json(cause) from cause
            text = "declares JSON and is not JSON"
            problem = Problem(path="/data_base64", message=text)
            raise Rejected(f"/data_base64 {text}.", problems=(problem,)) from cause
    if media.startswith("text/") or media.endswith("xml"):
        return {"data": raw.decode("utf-8", "replace")}
    return {"data_base64": base64.b64encode(raw).decode()}
