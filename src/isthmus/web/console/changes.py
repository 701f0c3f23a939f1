"""Changes: what will touch what, and may it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.hub.http import actor as callers
from isthmus.identity import people, permissions
from isthmus.kernel.errors import IsthmusError, NotFound
from isthmus.kernel.kinds.change import CHANGE_STATES, CHANGE_TYPES, OUTCOMES
from isthmus.ledger import reading
from isthmus.ledger.door import perform
from isthmus.ledger.ids import source
from isthmus.ledger.work import Work
from isthmus.practices.approval import service as approvals
from isthmus.practices.change import service
from isthmus.practices.change.rules import states
from isthmus.web import records
from isthmus.web.console import calendar_view, freezes, incident_view, listing
from isthmus.web.console import links as linking
from isthmus.web.console.screen import act, back, found, page, refused, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import CHANGES, GATE
from isthmus.web.lists.tables.changes import DECISIONS

_RISK_TONE: Final = {"low": "good", "medium": "warn", "high": "bad"}

Form = tuple[tuple[str, str, bool], ...]
ACTIONS: Final[dict[str, tuple[str, str, Form]]] = {
    "assess": ("Build the impact report", "change:write", ()),
    "submit": ("Submit", "change:write", ()),
    "request_approval": ("Request approval", "change:write", ()),
    "start": ("Start", "change:manage", ()),
    "implement": (
        "Report the outcome",
        "change:manage",
        (("outcome", f"Outcome: {', '.join(OUTCOMES)}", True),),
    ),
    "review": ("Review", "change:manage", (("notes", "What was learned", True),)),
    "close": ("Close", "change:manage", ()),
    "cancel": ("Cancel the change", "change:write", (("why", "Why", True),)),
}
"""Action → (label, permission, form fields as (name, label, required)); which are possible says the state table."""


@screen("change:read")
def index(request: HttpRequest) -> HttpResponse:
    """The list, the newest first."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {
            "title": "Changes",
            "view": "list",
            "state": asked.get("state"),
            "states": CHANGE_STATES,
            "types": CHANGE_TYPES,
        }

    return listing.show(request, CHANGES, "console/changes.html", more)


@screen("change:read")
def calendar(request: HttpRequest) -> HttpResponse:
    view = "week" if request.GET.get("view") == "week" else "month"
    sheet = calendar_view.sheet(
        view, request.GET.get("date", ""), source.now(), callers.caller(request).time_zone
    )
    context = {"title": "Change calendar", "view": view, "sheet": sheet, "freezes": freezes.coming()}
    return page(request, "console/changes.html", context)


@screen("change:read")
def gate(request: HttpRequest) -> HttpResponse:
    """What the gate answered, the latest first."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {
            "title": "Gate decisions",
            "view": "gate",
            "decision": asked.get("decision"),
            "answers": DECISIONS,
        }

    return listing.show(request, GATE, "console/changes.html", more)


@screen("change:read")
def one(request: HttpRequest, change_id: str) -> HttpResponse:
    """One change: decision, reasons, impact, evidence, and what may happen next."""
    change = found(records.of("change").filter(id=change_id).first())
    held = callers.of(request)
    approvals = list(records.of("approval").filter(subject=change.id).order_by("-id")[:20])
    history = reading.history(change.id)
    comments = list(records.of("comment").filter(record=change.id, state="shown").order_by("id"))
    names = people.labels(
        [
            change.requester,
            *(each.approver for each in approvals),
            *(each.requester for each in approvals),
            *(each.actor for each in history),
        ]
    )
    report = change.impact_report
    cis = records.titles("ci", change.cis or (), "name")
    links = list(records.of("link").filter(record=change.id).order_by("id"))
    possible = service.next_actions(change.state)
    context = {
        "title": f"{change.number} {change.title}",
        "crumbs": [("Changes", "/changes"), (change.number, "")],
        "change": change,
        "risk_words": f"{change.risk} risk",
        "risk_tone": _RISK_TONE.get(change.risk, "quiet"),
        "approvals": approvals,
        "actions": [
            (name, label, fields)
            for name, (label, permission, fields) in ACTIONS.items()
            if (name in possible or (name == "assess" and change.state in states.EDITABLE))
            and permissions.allowed(held, permission, change.organisation)
        ],
        "report": report,
        "outdated": bool(report) and service.report_outdated(change),
        "collisions": _collisions(change),
        "gate": list(records.of("gate_decision").filter(change=change.id).order_by("-id")[:10]),
        "links": [(each, linking.parked(each)) for each in links],
        "people": names,
        "cis": cis,
        "incident_number": records.titles("incident", [change.incident], "number").get(change.incident, ""),
        "story": incident_view.story(history, comments, (), names | cis),
        "editable": change.state in states.EDITABLE
        and permissions.allowed(held, "change:write", change.organisation),
        "linkable": linking.linkable(change, links),
    }
    return page(request, "console/change.html", context)


@require_POST
@screen("change:write")
def move(request: HttpRequest, change_id: str, action: str) -> HttpResponse:
    """Take a step; the state table and the service decide whether it is possible."""
    if action not in ACTIONS:
        return refused(request, NotFound("There is no such step."))
    label, permission, fields = ACTIONS[action]
    change = found(records.of("change").filter(id=change_id).first())
    given = {name: request.POST.get(name, "").strip() for name, _, _ in fields}

    def do(work: Work) -> Any:
        return getattr(service, action)(work, service.load(work, change_id), **given)

    act(request, do, permission=permission, organisation=change.organisation, done=f"{label}: done.")
    return back(request, f"/changes/{change_id}")


@require_POST
@screen("approval:decide")
def decide(request: HttpRequest, approval_id: str) -> HttpResponse:
    """Approve or refuse. Who may not is told so, and the attempt is journalled."""
    caller = callers.caller(request)
    verdict, comment = (request.POST.get(name, "").strip() for name in ("verdict", "comment"))

    def do(work: Work) -> Any:
        return approvals.decide(work, approvals.of(approval_id), verdict, comment=comment)

    try:
        perform(do, actor=callers.of(request), origin=caller.origin, trace=caller.trace)
    except IsthmusError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your decision is recorded.")
    return back(request, "/changes")


def _collisions(change: Any) -> list[Any]:
    """Return other changes whose windows overlap on an item that this one touches."""
    if change.window_start is None or change.window_end is None:
        return []
    rows = records.of("change").filter(window_start__lt=change.window_end, window_end__gt=change.window_start)
    rows = (
        rows.exclude(id=change.id).exclude(state__in=("cancelled", "closed")).order_by("window_start")[:200]
    )
    mine = set(change.cis or ())
    return [each for each in rows if mine & set(each.cis or ())]
