"""A resolution that a partner gave without code or notes: the blueprint's stand in.

Systems that demand both would otherwise refuse the resolution for ever, and their ticket stay different.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.kernel.record import Reason
from isthmus.practices.incident.blueprint import IncidentSection


def left_out(said: Mapping[str, Any], section: IncidentSection) -> tuple[dict[str, Any], list[Reason]]:
    """Return the fields that stand in for what `said` lacks, with the reason; nothing where nothing lacks."""
    defaults = {
        "resolution_code": section.partner_resolution.code,
        "resolution_notes": section.partner_resolution.notes,
    }
    missing = {
        name: text for name, text in defaults.items() if text and not str(said.get(name) or "").strip()
    }
    if not missing:
        return {}, []
    names = " and ".join(name.removeprefix("resolution_") for name in missing)
    text = f"The partner resolved it without {names}: what the blueprint declares stands in."
    return missing, [Reason(rule="incident.partner_resolution", text=text)]
