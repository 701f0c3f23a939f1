"""What the verifier has to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FINDINGS_MAX = 1_000


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which check, where, what is wrong."""

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"[{self.check}] {self.where}: {self.what}"


@dataclass
class Report:
    """Everything found, what was looked at, and what could not be looked at (`notes`)."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    unnamed: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    def find(self, check: str, where: str, what: str) -> None:
        """Add a finding; beyond `FINDINGS_MAX` they are only counted."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(check, where, what))
        else:
            self.unnamed += 1

    def count(self, what: str, number: int = 1) -> None:
        """Add to a count."""
        self.counts[what] = self.counts.get(what, 0) + number

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {"ok": self.ok} | asdict(self)
