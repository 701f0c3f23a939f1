"""A class of alerts that loses full automation reaches whoever `monitoring.automation.accuracy.ladder` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from isthmus import blueprint
from isthmus.practices.monitoring import accuracy
from isthmus.practices.on_call import escalating, subjects
from isthmus.practices.on_call.directory import section
from isthmus.practices.on_call.rules.wording import Fact
from isthmus.practices.on_call.subjects import INTERNAL, MACHINE, View

if TYPE_CHECKING:
    from isthmus.ledger.work import Work
    from isthmus.practices.monitoring.models import AutomationMode

MODE: Final = "automation_mode"


def fallen(work: Work, mode: AutomationMode) -> None:
    """Begin the ladder; it ends when the class has earned full automation again, or somebody takes it."""
    ladder: str = blueprint.current().section("monitoring").automation.accuracy.ladder
    if ladder:
        escalating.start(
            work, key=f"accuracy:{mode.id}:{mode.version}", policy="accuracy", trigger="accuracy", ladder=ladder,
            subject_kind=MODE, subject=mode.id, organisation=mode.organisation, facts={"failure": mode.said},
        )  # fmt: skip


def view(work: Work, subject: str, organisation: str) -> View | None:
    """Return a class of alerts as its verdicts stand."""
    found = accuracy.mode(work, subject)
    if found is None or found.organisation != organisation:
        return None
    owners = section().owners
    service = accuracy.service_name(found)
    return View(
        open=not found.full_permitted,
        label=found.alert_class,
        path="/accuracy",
        severity="warning",
        owner=owners.services.get(service, owners.otherwise),
        facts={
            "number": Fact(value=found.alert_class, data_class=MACHINE),
            "subject": Fact(value=found.alert_class, data_class=MACHINE),
            "service": Fact(value=service or "–", data_class=INTERNAL),
            "state": Fact(value="draft", data_class=INTERNAL),
        },
    )


def declare() -> None:
    """Subscribe to what monitoring reports; called once from `ready`."""
    subjects.register(MODE, view)
    accuracy.register_fallen(fallen)
