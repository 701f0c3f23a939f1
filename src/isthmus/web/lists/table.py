"""How a list is declared: its columns, the filters of its URL, where its rows come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from isthmus.hub.http import paging
from isthmus.kernel.actor import Actor
from isthmus.web.lists.cell import Beside, Cell

if TYPE_CHECKING:
    from django.http import HttpRequest

    from isthmus.web.lists.asked import Asked


Slice = paging.Slice[Any]
Loader = Callable[[Sequence[Any], Actor], Any]
"""Loads something for all rows of a page at once, as far as the reader may see it."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `key` stands in URLs; `order`: the field by which the store sorts ("" cannot be sorted by).

    `needs` names what has to be loaded for its cells (`Table.loaders`): only what chosen columns need is asked for.
    `newest`: the first press on its head sorts descending. `look` is a class of the style sheet.
    """

    key: str
    heading: str
    cell: Callable[[Any, Beside], Cell]
    shown: bool = True
    order: str = ""
    newest: bool = False
    number: bool = False
    look: str = ""
    needs: tuple[str, ...] = ()

    @property
    def css(self) -> str:
        return " ".join(each for each in (self.look, "number" if self.number else "") if each)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One parameter of the URL. `choices`: what it may be (none: any text); `many`: several, with commas between.

    `usual` holds where the URL does not say; `keywords` are further values besides the choices (`open`, `any`).
    `blank`: nothing is a value, too (whose owner is nobody). `linked`: it is asked for by links, no field of the page's
    form shows it; the page then names it above the list.
    """

    name: str
    choices: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    usual: str = ""
    many: bool = False
    blank: bool = False
    linked: bool = False

    @property
    def possible(self) -> tuple[str, ...]:
        return (*self.keywords, *self.choices)

    def wrong(self, value: str) -> list[str]:
        """Return the parts of a value that mean nothing here."""
        if not self.choices or not value:
            return []
        given = value.split(",") if self.many else [value]
        return [each for each in given if each not in self.possible]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One list. `fixed` is the column that leads to the record: it is always shown.

    `fetch` returns one page of what is asked; `order` is how the store sorts where the URL does not say; `former` maps
    earlier names of an order to today's. `loaders`: what is loaded for all rows of a page at once, one call each.
    `limit`: rows of a page where the URL does not say.
    """

    key: str
    title: str
    path: str
    permission: str
    fixed: str
    columns: tuple[Column, ...]
    fetch: Callable[[Asked, str, int], Any]
    filters: tuple[Filter, ...] = ()
    order: str = "-id"
    former: Mapping[str, str] = field(default_factory=dict)
    loaders: Mapping[str, Loader] = field(default_factory=dict)
    limit: int = paging.LIMIT_DEFAULT
    id_of: Callable[[Any], str] = lambda item: str(item.id)
    told: Callable[[HttpRequest, Asked], None] | None = None
    """Called with every reading, for a list whose readers are written down (the journal)."""

    def column(self, key: str) -> Column | None:
        return next((each for each in self.columns if each.key == key), None)

    @property
    def usual(self) -> tuple[Column, ...]:
        return tuple(each for each in self.columns if each.shown)

    @property
    def sortable(self) -> tuple[Column, ...]:
        return tuple(each for each in self.columns if each.order)
