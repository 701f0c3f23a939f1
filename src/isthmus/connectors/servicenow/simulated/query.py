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


def select(rows: Iterable[Row], encoded: str, columns: frozenset[str]) -> list[Row]:
    """Return the rows that the encoded query asks for, in its order (insertion order without ORDERBY)."""
    terms, orders = _split(encoded)
    found = [row for row in rows if _matches(row, terms, columns)]
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


def _matches(row: Row, terms: list[str], columns: frozenset[str]) -> bool:
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
    return any(all(any(test(row) for test in choice) for choice in query) for query in queries)


def _test(term: str, columns: frozenset[str]) -> _Test | None:
    found = _TERM.match(term)
    if found is None or found[1] not in columns:
        return None
    column, operator, asked = found.groups()
    return lambda row: _TESTS[operator](row.get(column, ""), asked)
