"""Gaps of the map: names that somebody used and that no item answers to. They close when one does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.kernel.record import Reason
from isthmus.ledger.work import Work
from isthmus.practices.configuration.binding import normal
from isthmus.practices.configuration.models import Ci, Gap

HINT_CHARACTERS_MAX = 255
_AT_ONCE = 900


class OpenGaps:
    """The open gaps of one organisation as one transaction sees them: those stored and those it changed."""

    def __init__(self, work: Work, organisation: str) -> None:
        self._work, self._organisation = work, organisation
        self._written = {
            each.id: each
            for each in work.created_or_changed()
            if isinstance(each, Gap) and each.organisation == organisation
        }
        self._by_hint = {each.hint: each for each in self._written.values() if each.state == "open"}

    def report(self, named: Mapping[str, str]) -> dict[str, Gap]:
        """Return the open gap of each hint, opened now where there is none; `named`: hint → record that named it."""
        wanted = {normal(hint)[:HINT_CHARACTERS_MAX]: found_by for hint, found_by in named.items()}
        found = self._find(list(wanted))
        for hint, found_by in wanted.items():
            if hint not in found:
                found[hint] = self._by_hint[hint] = self._work.create(
                    Gap,
                    organisation=self._organisation,
                    values={"hint": hint, "found_by": found_by, "state": "open"},
                    why=[Reason(rule="configuration.gap", text=f"{hint!r} is not in the map.")],
                )
        return found

    def close(self, items: Iterable[Ci]) -> None:
        """Close the open gaps that the names of these items answer."""
        answered = {name: ci.name for ci in items for name in names_of(ci)}
        for hint, gap in self._find(sorted(answered)).items():
            reason = Reason(rule="configuration.gap", text=f"{answered[hint]} answers to this name.")
            self._work.change(gap, {"state": "closed"}, why=[reason])
            self._by_hint.pop(hint, None)

    def _find(self, hints: list[str]) -> dict[str, Gap]:
        missing = [hint for hint in hints if hint not in self._by_hint]
        for start in range(0, len(missing), _AT_ONCE):
            rows = Gap.objects.filter(
                organisation=self._organisation, state="open", hint__in=missing[start : start + _AT_ONCE]
            )
            self._by_hint.update({each.hint: each for each in rows if each.id not in self._written})
        return {hint: self._by_hint[hint] for hint in hints if hint in self._by_hint}


def names_of(ci: Ci) -> set[str]:
    """Return everything that an item answers to, in normal form."""
    texts = (ci.id, ci.name, ci.external_key, *(ci.aliases or ()), *(ci.addresses or ()))
    return {normal(each) for each in texts if each}


def report(work: Work, organisation: str, hint: str, *, found_by: str = "") -> Gap:
    """Return the open gap for `hint`, opened now if there is none."""
    (found,) = OpenGaps(work, organisation).report({hint: found_by}).values()
    return found
