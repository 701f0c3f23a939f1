"""The part of ServiceNow's encoded queries that an integration needs.

`a=1^b>=2^ORc=3^NQd=4^ORDERBYa`: `^` is and, `^OR` binds to the condition before it, `^NQ` starts another
whole query whose rows are added. As in the product, a term that names an unknown column is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

Row = Mapping[str, str]

_TERM = re.compile(
    r"^([A-Za-z_.0-9]+?)(>=|<=|!=|=|>|<|NOT IN|IN|LIKE|STARTSWITH|ISEMPTY|ISNOTEMPTY)(.*)$", re.DOTALL
)
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda held, asked: held == asked,
    "!=": lambda held, asked: held != asked,
    ">": lambda held, asked: held > asked,
    "<": lambda held, asked: held < asked,
    ">=": lambda held, asked: held >= asked,
    "<=": lambda held, asked: held <= asked,
    "IN": lambda held, asked: held in asked.split(","),
    "NOT IN": lambda held, asked: held not in asked.split(","),
    "LIKE": lambda held, asked: asked.lower() in held.lower(),
    "STARTSWITH": lambda held, asked: held.lower().startswith(asked.lower()),
    "ISEMPTY": lambda held, _asked: held == "",
    "ISNOTEMPTY": lambda held, _asked: held != "",
}
_Test = Callable[[Row], bool]


def select(
    rows: Callable[[], Iterable[Row]],
    encoded: str,
    columns: frozenset[str],
    *,
    having: Callable[[str, str], Iterable[Row]] | None = None,
) -> list[Row]:
    """Return the rows that the encoded query asks for, in its order (insertion order without ORDERBY).

    `having(column, value)`: the rows with that value, as the product's own index finds them; without it all are read.
    """
    terms, orders = _split(encoded)
    queries = _compiled(terms, columns)
    first = _indexable(terms, columns)
    candidates = rows() if having is None or first is None else having(*first)
    found = [
        row
        for row in candidates
        if any(all(any(test(row) for test in choice) for choice in query) for query in queries)
    ]
    for column, descending in reversed(orders):
        if column in columns:
            found.sort(key=lambda row: row.get(column, ""), reverse=descending)
    return found


def _split(encoded: str) -> tuple[list[str], list[tuple[str, bool]]]:
    terms: list[str] = []
    orders: list[tuple[str, bool]] = []
    for each in encoded.split("^"):
        if each.startswith("ORDERBYDESC"):
            orders.append((each.removeprefix("ORDERBYDESC"), True))
        elif each.startswith("ORDERBY"):
            orders.append((each.removeprefix("ORDERBY"), False))
        elif each:
            terms.append(each)
    return terms, orders


def _indexable(terms: list[str], columns: frozenset[str]) -> tuple[str, str] | None:
    """Return (column, value) of a first term that every row must equal, None if there is no such term."""
    if (
        not terms
        or any(each.startswith("NQ") for each in terms)
        or (terms[1:2] and terms[1].startswith("OR"))
    ):
        return None
    found = _TERM.match(terms[0])
    return (found[1], found[3]) if found is not None and found[2] == "=" and found[1] in columns else None


def _compiled(terms: list[str], columns: frozenset[str]) -> list[list[list[_Test]]]:
    queries: list[list[list[_Test]]] = [[]]
    for term in terms:
        text = term
        if term.startswith("NQ"):
            queries.append([])
            text = term.removeprefix("NQ")
        joined = not term.startswith("NQ") and term.startswith("OR")
        test = _test(text.removeprefix("OR") if joined else text, columns)
        if test is None:
            continue
        if joined and queries[-1]:
            queries[-1][-1].append(test)
        else:
            queries[-1].append([test])
    return queries


def _test(term: str, columns: frozenset[str]) -> _Test | None:
    found = _TERM.match(term)
    if found is None or found[1] not in columns:
        return None
    column, operator, asked = found.groups()
    return lambda row: _TESTS[operator](row.get(column, ""), asked)
