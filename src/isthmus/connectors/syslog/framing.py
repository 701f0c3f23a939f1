"""Where one message ends in a stream (RFC 6587): octet counting (`83 <34>1 …`) or a line feed. Pure."""

from __future__ import annotations

from isthmus.connectors.kit.listening import Cut

_COUNT_DIGITS_MAX = 6
_BETWEEN = b"\r\n \0"


def cut(buffer: bytes, bytes_max: int) -> Cut:
    """Cut a buffer into messages. Each begins with a digit (octet counting) or with `<` (lines); both may mix."""
    found: list[bytes] = []
    at, end = 0, len(buffer)
    while at < end:
        if buffer[at] in _BETWEEN:
            at += 1
            continue
        step = _counted if buffer[at : at + 1].isdigit() else _line
        message, following = step(buffer, at, bytes_max)
        if isinstance(message, str):
            return Cut(messages=found, rest=b"", broken=message)
        if message is None:
            break
        found.append(message)
        at = following
    return Cut(messages=found, rest=buffer[at:])


def _counted(buffer: bytes, at: int, bytes_max: int) -> tuple[bytes | str | None, int]:
    """Return the counted message at a place and where it ends; None if it is not whole, a text if it is broken."""
    space = buffer.find(b" ", at, at + _COUNT_DIGITS_MAX + 1)
    head = buffer[at : space if space >= 0 else at + _COUNT_DIGITS_MAX + 1]
    if not head.isdigit() or (space < 0 and len(head) > _COUNT_DIGITS_MAX):
        return "a count of octets is no number", at
    if space < 0:
        return None, at
    start, length = space + 1, int(head)
    if length > bytes_max:
        return "a message is too long", at
    whole = start + length <= len(buffer)
    return (buffer[start : start + length], start + length) if whole else (None, at)


def _line(buffer: bytes, at: int, bytes_max: int) -> tuple[bytes | str | None, int]:
    """Return the line at a place and where it ends; see `_counted`."""
    end = buffer.find(b"\n", at)
    if (len(buffer) if end < 0 else end) - at > bytes_max:
        return "a line is too long", at
    return (None, at) if end < 0 else (buffer[at:end].rstrip(b"\r\0"), end + 1)
