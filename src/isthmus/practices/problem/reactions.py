"""What problem management does by itself: known errors come to the incidents that they fit, and follow merges."""

from __future__ import annotations

from isthmus.ledger.work import register_preparer
from isthmus.practices.incident import hooks
from isthmus.practices.incident import service as incidents
from isthmus.practices.monitoring import enrichment
from isthmus.practices.problem import matching, providing, published


def declare() -> None:
    """Register everything; called once from `ready`."""
    register_preparer(published.count_on)
    register_preparer(matching.attach)
    incidents.register_known_errors(providing.of_incident)
    enrichment.register_known_errors(providing.of_alert)
    hooks.register_mover("known_errors", providing.follow)
