"""The port of a ticket system whose comments may be changed and removed. Declared as `<kind>:revise`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from isthmus.kernel.observation import ExternalRef


@runtime_checkable
class CommentRevision(Protocol):
    """Both verbs may be repeated without harm. `Rejected` if this comment may not be touched by us."""

    async def revise_comment(self, ref: ExternalRef, key: str, body: str) -> None:
        """Give a comment another text."""
        ...

    async def remove_comment(self, ref: ExternalRef, key: str) -> None:
        """Remove a comment; `NotFound` if it is gone already."""
        ...
