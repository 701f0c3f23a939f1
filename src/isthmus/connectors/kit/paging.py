"""Paging: one bounded loop per style, so that no client writes its own.

Each function is an asynchronous generator of pages (lists). A page counter bounds every loop: a partner that
always says "more" ends in `NeedsOperator`, never in an endless poll. Offset pages overlap by design: rows
that shift while we read would otherwise fall between two pages, so callers drop what they have seen (`seen`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from typing import TypeVar

from isthmus.connectors.kit.ports import Page
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.observation import Observation

T = TypeVar("T")
PAGES_MAX = 10_000


async def by_offset(
    fetch: Callable[[int, int], Awaitable[tuple[Sequence[T], int | None]]],
    *,
    size: int,
    identity: Callable[[T], Hashable],
    overlap: int = 0,
    pages_max: int = PAGES_MAX,
) -> AsyncIterator[list[T]]:
    """Yield pages of `fetch(offset, limit) → (rows, total)`.

    `total` None: unknown, the first empty page ends (a short page does not: permissions may thin it out).
    Every row is yielded once by `identity`; `overlap` rows are asked for again, against shifting.
    """
    seen: set[Hashable] = set()
    offset = 0
    for _ in range(pages_max):
        rows, total = await fetch(offset, size)
        fresh = [row for row in rows if identity(row) not in seen]
        seen.update(identity(row) for row in fresh)
        if fresh:
            yield fresh
        reached = offset + size
        if (total is not None and reached >= total) or (total is None and not rows):
            return
        offset = reached - min(overlap, size - 1)
    raise _endless(pages_max)


async def by_cursor(
    fetch: Callable[[str], Awaitable[tuple[Sequence[T], str]]], *, start: str = "", pages_max: int = PAGES_MAX
) -> AsyncIterator[tuple[list[T], str]]:
    """Yield (rows, next cursor) of `fetch(cursor) → (rows, next)`; next "" ends. A repeated cursor is a fault."""
    cursor, used = start, {start}
    for _ in range(pages_max):
        rows, following = await fetch(cursor)
        yield list(rows), following
        if not following:
            return
        if following in used:
            raise NeedsOperator(
                "The partner's paging goes in a circle.",
                remedy="Report the connector with the partner's version.",
            )
        used.add(following)
        cursor = following
    raise _endless(pages_max)


async def by_keyset(
    fetch: Callable[[str, int], Awaitable[Sequence[T]]],
    *,
    key: Callable[[T], str],
    start: str = "",
    size: int,
    pages_max: int = PAGES_MAX,
) -> AsyncIterator[list[T]]:
    """Yield pages of `fetch(after_key, limit)` ordered by a unique, growing key; an empty page ends.

    Immune to rows shifting: a page begins after the last key seen, not at a position.
    """
    after = start
    for _ in range(pages_max):
        rows = list(await fetch(after, size))
        if not rows:
            return
        yield rows
        last = key(rows[-1])
        if last == after:
            raise NeedsOperator("The partner's keys do not grow.", remedy="Choose a unique, ordered key.")
        after = last
    raise _endless(pages_max)


def in_pages(found: Sequence[Observation], *, size: int, watermark: str, following: str) -> Iterator[Page]:
    """Yield what a poll found as a whole, in pages of `size`, at least one.

    Only the last moves on from `watermark` to `following`: until it is durable a crash reads everything again, and
    what has ended is compared with the whole list, not with a part of it.
    """
    for start in range(0, max(len(found), 1), size):
        last = start + size >= len(found)
        yield Page(observations=found[start : start + size], watermark=following if last else watermark)


def next_link(header: str) -> str:
    """Return the URL of rel="next" in an RFC 8288 `Link` header, or ""."""
    for part in header.split(","):
        url, _, parameters = part.partition(";")
        if 'rel="next"' in parameters.replace(" ", "") or "rel=next" in parameters.replace(" ", ""):
            return url.strip().removeprefix("<").removesuffix(">")
    return ""


def _endless(pages_max: int) -> NeedsOperator:
    return NeedsOperator(
        f"The partner's list did not end within {pages_max} pages.",
        remedy="Narrow the poll, or enlarge the page size.",
    )
