"""Who owns the workflow triggers of a major incident, so that two desks do not fire the same one."""

from __future__ import annotations

from isthmus.kernel.errors import Forbidden


def check_owner(*, major: bool, owner: str, acting_group: str) -> None:
    """Refuse a trigger that another group owns; outside a major incident anybody entitled may act."""
    if major and owner and acting_group != owner:
        raise Forbidden(
            f"In this major incident {owner} owns the workflow triggers, not {acting_group or 'you'}.",
            remedy=f"Ask {owner} to act, or to hand the ownership over.",
        )
