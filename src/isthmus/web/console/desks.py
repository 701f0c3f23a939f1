"""Acts of desks on an incident: forward and answer, escalate, hand triggers over, tell, give parts, write the cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.kernel.errors import Rejected
from isthmus.ledger.work import Work
from isthmus.practices.incident import custody, escalating, ledger, major, service
from isthmus.web import records
from isthmus.web.console.screen import act, back, found, screen

WRITE: Final = "incident:write"
_ANSWERS: Final[dict[str, Callable[[Work, Any, str], Any]]] = {
    "accept": lambda work, row, why: custody.accept(work, row, answer=why),
    "reject": lambda work, row, why: custody.reject(work, row, reason=why),
    "withdraw": lambda work, row, why: custody.withdraw(work, row, reason=why),
    "hand-back": lambda work, row, why: custody.hand_back(work, row, reason=why),
}


def _on(request: HttpRequest, incident_id: str, do: Callable[[Work, Any], Any], done: str) -> HttpResponse:
    incident = found(records.of("incident").filter(id=incident_id).first())
    act(
        request,
        lambda work: do(work, service.get(work, incident_id)),
        permission=WRITE,
        organisation=incident.organisation,
        done=done,
    )
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen(WRITE)
def forward(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Offer the incident to another desk."""
    taker, reason = (request.POST.get(name, "").strip() for name in ("to", "reason"))
    done = f"It is offered to {taker}; until somebody accepts, your desk stays accountable."
    return _on(
        request,
        incident_id,
        lambda work, incident: custody.offer(work, incident, taker=taker, reason=reason),
        done,
    )


@require_POST
@screen(WRITE)
def answer(request: HttpRequest, custody_id: str, incident_id: str) -> HttpResponse:
    """Accept, reject or withdraw an offer, or hand an incident back."""
    how, reason = request.POST.get("answer", ""), request.POST.get("reason", "").strip()
    incident = found(records.of("incident").filter(id=incident_id).first())
    if how not in _ANSWERS:
        raise Http404
    row = ledger.offer(custody_id)
    if incident.id not in {row.record, row.counterpart}:
        raise Http404
    act(
        request,
        lambda work: _ANSWERS[how](work, ledger.offer(custody_id, work), reason),
        permission=WRITE,
        organisation=incident.organisation,
        done=lambda row: f"The offer is {row.state}; the ledger says who holds it.",
    )
    return back(request, f"/incidents/{incident_id}")


@require_POST
@screen(WRITE)
def escalate(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Take one step along the escalation path."""
    kind, reason = (request.POST.get(name, "").strip() for name in ("kind", "reason"))
    return _on(
        request,
        incident_id,
        lambda work, incident: escalating.escalate(work, incident, kind, reason=reason),
        "It is escalated.",
    )


@require_POST
@screen(WRITE)
def cause(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Write root cause, cause code, workaround and steps; a step per line, done ones begin with [x]."""
    values: dict[str, Any] = {
        name: request.POST[name].strip()
        for name in ("root_cause", "cause_code", "workaround", "hold_reason")
        if name in request.POST
    }
    if "steps" in request.POST:
        values["steps"] = steps_of(request.POST["steps"])
    return _on(
        request,
        incident_id,
        lambda work, incident: service.update(
            work,
            incident,
            {name: value for name, value in values.items() if getattr(incident, name) != value},
        ),
        "It is written down.",
    )


def steps_of(text: str) -> list[dict[str, Any]]:
    """Return steps as they are kept, from lines that people write."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = []
    for line in lines:
        done = line[:3].lower() == "[x]"
        said = line[3:].strip() if line[:3].lower() in {"[x]", "[ ]"} else line
        found.append({"text": said, "done": done})
    return found


@require_POST
@screen(WRITE)
def give_trigger(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Hand one trigger over, or keep it where somebody asked for it."""
    name, owner, reason = (request.POST.get(each, "").strip() for each in ("trigger", "owner", "reason"))
    asked = request.POST.get("handover", "")

    def do(work: Work, incident: Any) -> Any:
        if request.POST.get("answer") == "keep":
            held = major.handover(asked)
            if held.record != incident.id:
                raise Rejected("There is no such hand-over.")
            return major.keep(work, held, reason=reason)
        return service.hand_over(
            work, incident, owner=owner, reason=reason, triggers=[name] if name and name != "all" else []
        )

    done = "The trigger stays." if request.POST.get("answer") == "keep" else f"{owner} owns it now."
    return _on(request, incident_id, do, done)


@require_POST
@screen(WRITE)
def tell(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Tell those concerned how it stands."""
    text = request.POST.get("text", "")
    return _on(
        request,
        incident_id,
        lambda work, incident: major.tell(work, incident, text),
        "Those concerned are told, in every linked system.",
    )


@require_POST
@screen(WRITE)
def cast(request: HttpRequest, incident_id: str) -> HttpResponse:
    """Say who plays which part."""
    people = {name: request.POST[name] for name in major.PARTS if name in request.POST}
    return _on(
        request,
        incident_id,
        lambda work, incident: major.cast(work, incident, people),
        "The parts are given.",
    )
