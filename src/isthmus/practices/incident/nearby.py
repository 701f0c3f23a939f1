"""Which items have changes near them: a quick look at the schedule in memory, so that only alerts and incidents
that a change may concern ask change enablement for the answer that counts."""

from __future__ import annotations

from functools import cached_property

from isthmus.kernel.instant import Instant
from isthmus.practices.configuration import service as configuration
from isthmus.practices.configuration.service import Snapshot


class ChangesNear:
    """The changes of one organisation, looked at once per batch."""

    def __init__(self, organisation: str, now: Instant, snapshot: Snapshot | None = None) -> None:
        # Change enablement looks at incidents too: the import must wait until both are there.
        from isthmus.practices.change import schedule

        self._now = now
        self._planned = schedule.current(organisation, now).planned
        self._snapshot = configuration.snapshot_of(organisation) if snapshot is None else snapshot

    def _items(self, references: set[str]) -> set[str]:
        index = self._snapshot.index
        return {found for found in (index.resolve(each) for each in references) if found}

    @cached_property
    def covered(self) -> frozenset[str]:
        """Items (and what depends on them) with a window of some change now, authorised or not."""
        now = self._now
        running = {
            reference
            for each in self._planned
            if each.starts_at is not None
            and each.ends_at is not None
            and each.starts_at <= now < each.ends_at
            for reference in each.cis
        }
        items = self._items(running)
        return (
            frozenset(items | self._snapshot.graph.downstream(sorted(items)).keys()) if items else frozenset()
        )

    @cached_property
    def touched(self) -> frozenset[str]:
        """Items that any change in the schedule names."""
        return frozenset(self._items({reference for each in self._planned for reference in each.cis}))

    def on_path(self, ci: str) -> bool:
        """Return whether any change touches `ci` or something that it depends on."""
        if not self.touched:
            return False
        return ci in self.touched or not self.touched.isdisjoint(self._snapshot.graph.upstream([ci]))
