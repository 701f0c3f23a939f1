"""Paging loops: every row once, bounded, whatever shifts."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.connectors.kit.paging import by_cursor, by_keyset, by_offset, next_link
from isthmus.kernel.errors import NeedsOperator


def collect(pages):
    async def run():
        return [row async for page in pages for row in page]

    return asyncio.run(run())


@given(st.integers(0, 60), st.integers(1, 7), st.integers(0, 3), st.booleans())
def test_offset_pages_give_every_row_once(count, size, overlap, total_known):
    rows = list(range(count))

    async def fetch(offset, limit):
        return rows[offset : offset + limit], (count if total_known else None)

    assert collect(by_offset(fetch, size=size, identity=lambda row: row, overlap=overlap)) == rows


def test_a_row_leaving_between_pages_hides_nobody_within_the_overlap():
    rows = list(range(20))
    asked = []

    async def fetch(offset, limit):
        asked.append(offset)
        found = rows[offset : offset + limit]
        if len(asked) == 1:
            rows.remove(0)
        return found, None

    assert set(collect(by_offset(fetch, size=5, identity=lambda row: row, overlap=1))) == set(range(20))


def test_a_page_thinned_out_by_permissions_is_not_the_end():
    async def fetch(offset, limit):
        visible = [row for row in range(offset, min(offset + limit, 30)) if row not in {5, 6, 7, 8}]
        return visible, 30

    assert len(collect(by_offset(fetch, size=5, identity=lambda row: row))) == 26


@given(st.integers(0, 40), st.integers(1, 7))
def test_keyset_pages_give_every_row_once_while_rows_arrive(count, size):
    rows = [f"{n:04d}" for n in range(count)]

    async def fetch(after, limit):
        found = [row for row in rows if row > after][:limit]
        rows.insert(0, "")  # Somebody adds a row in front.
        return found

    assert collect(by_keyset(fetch, key=lambda row: row, size=size)) == [f"{n:04d}" for n in range(count)]


def test_a_partner_that_never_ends_or_goes_in_circles_stops_the_poll():
    async def forever(offset, limit):
        return [offset], None

    with pytest.raises(NeedsOperator, match="did not end"):
        collect(by_offset(forever, size=1, identity=lambda row: row, pages_max=50))

    async def circle(cursor):
        return [1], {"": "a", "a": "b", "b": "a"}[cursor]

    async def run():
        return [page async for page in by_cursor(circle)]

    with pytest.raises(NeedsOperator, match="circle"):
        asyncio.run(run())

    async def stuck(after, limit):
        return ["same"]

    with pytest.raises(NeedsOperator, match="do not grow"):
        collect(by_keyset(stuck, key=lambda row: row, size=1, start="same"))


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://x/?p=2>; rel="next", <https://x/?p=9>; rel="last"', "https://x/?p=2"),
        ('<https://x/?p=1>; rel="first"', ""),
        ("", ""),
        ("garbage", ""),
    ],
)
def test_the_next_link(header, url):
    assert next_link(header) == url
