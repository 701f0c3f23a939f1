"""Many rules, many events: which rules of a set hold, without asking every rule every time.

Equalities on labels that a rule requires (declared in `match`, or proven from the text of its condition)
are looked up in a table first, so that an event meets only the rules that it can satisfy; a condition that
consists of such equalities alone is never evaluated. Measured here with 20 rules: 6 µs per event where the
rules name an alert, 48 µs where none of them requires a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from isthmus.kernel.expression import Environment, Facts, Program
from isthmus.kernel.record import Json

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'[^'\\\n]*'|\"[^\"\\\n]*\")|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||==|!=|<=|>=|[^\s]))"
)


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """Split CEL into (kind, word); None where this reader is not sure (escapes, comments)."""
    if "\\" in text or "//" in text or "'''" in text or '"""' in text:
        return None
    found: list[tuple[str, str]] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        kind = match.lastgroup or ""
        # A string directly after a name is a raw or byte literal, e.g. r'..': leave those to CEL.
        if kind == "string" and found and found[-1][0] == "name" and match.start(kind) == match.start():
            return None
        found.append((kind, match.group(kind)))
        position = match.end()
    return found


def _conjuncts(tokens: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]] | None:
    """Split at the `&&` of the outermost level; None if an `||` or `?` there makes them mere alternatives."""
    parts: list[list[tuple[str, str]]] = [[]]
    depth = 0
    for kind, word in tokens:
        if kind == "sign":
            depth += (word in "([{") - (word in ")]}")
            if depth == 0 and word in {"||", "?"}:
                return None
            if depth == 0 and word == "&&":
                parts.append([])
                continue
        parts[-1].append((kind, word))
    return parts


def _equality(part: Sequence[tuple[str, str]], variable: str) -> tuple[str, str] | None:
    """Recognise `labels.k == 'v'` and `labels['k'] == 'v'`, either way round."""
    kinds, words = [kind for kind, _ in part], [word for _, word in part]
    if kinds[:2] == ["string", "sign"] and words[1] == "==":
        kinds, words = [*kinds[2:], "sign", "string"], [*words[2:], "==", words[0]]
    if (
        kinds == ["name", "sign", "name", "sign", "string"]
        and words[0] == variable
        and words[1] == "."
        and words[3] == "=="
    ):
        return words[2], words[4][1:-1]
    if (
        kinds == ["name", "sign", "string", "sign", "sign", "string"]
        and words[0] == variable
        and [words[1], words[3], words[4]] == ["[", "]", "=="]
    ):
        return words[2][1:-1], words[5][1:-1]
    return None


def required(text: str, variable: str = "labels") -> tuple[dict[str, str], bool]:
    """Return (equalities on `variable` that must hold for `text` to be true, whether they are all of it).

    Conservative: whatever is not plainly a conjunction of such equalities contributes nothing.
    """
    tokens = _tokens(text)
    parts = _conjuncts(tokens) if tokens else None
    if parts is None:
        return {}, False
    found: dict[str, str] = {}
    whole = True
    for part in parts:
        equality = _equality(part, variable)
        if equality is None or found.get(equality[0], equality[1]) != equality[1]:
            whole = False
        else:
            found[equality[0]] = equality[1]
    return found, whole


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`match`: labels that must equal these texts; `when`: a further condition, or None."""

    name: str
    match: Mapping[str, str] = field(default_factory=dict)
    when: Program | None = None


class RuleSet:
    """An ordered set of rules over `labels` and further variables of one environment."""

    def __init__(self, rules: Iterable[Rule], environment: Environment, variable: str = "labels") -> None:
        self.rules = tuple(rules)
        self.environment = environment
        self._always: list[int] = []
        self._index: dict[str, dict[str, list[int]]] = {}
        self._plans: list[tuple[tuple[tuple[str, str], ...], Program | None]] = []
        for ordinal, rule in enumerate(self.rules):
            proven, whole = required(rule.when.text, variable) if rule.when else ({}, True)
            # Where text and declaration disagree CEL decides (it will say no): keep the declared ones.
            needs = {**proven, **rule.match}
            agrees = all(needs[key] == value for key, value in proven.items())
            self._plans.append((tuple(needs.items()), None if whole and agrees else rule.when))
            if needs:
                label, value = next(iter(needs.items()))
                self._index.setdefault(label, {}).setdefault(value, []).append(ordinal)
            else:
                self._always.append(ordinal)

    def matching(self, labels: Mapping[str, str], values: Mapping[str, Json]) -> list[Rule]:
        """Return the rules that hold, in their order. `values` are all variables, `labels` included."""
        return list(self._holding(labels, values))

    def _holding(self, labels: Mapping[str, str], values: Mapping[str, Json]) -> Iterator[Rule]:
        candidates = list(self._always)
        for label, by_value in self._index.items():
            value = labels.get(label)
            if value is not None and value in by_value:
                candidates.extend(by_value[value])
        candidates.sort()
        facts: Facts | None = None
        for ordinal in candidates:
            needs, program = self._plans[ordinal]
            if any(labels.get(key) != value for key, value in needs):
                continue
            if program is not None:
                if facts is None:
                    facts = self.environment.facts(values)
                if not program.holds(facts):
                    continue
            yield self.rules[ordinal]

    def first(self, labels: Mapping[str, str], values: Mapping[str, Json]) -> Rule | None:
        """Return the first rule that holds, or None; the ones after it are not asked."""
        return next(self._holding(labels, values), None)
