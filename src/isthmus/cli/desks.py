"""`isthmus custody | waits | reviews`: who holds an incident, what waits for whom, what a major incident owes."""

from __future__ import annotations

import typer

from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, console, emit_json, table

custody = typer.Typer(
    help="Forwarding between desks: who is accountable, offers and answers.", no_args_is_help=True
)
waits = typer.Typer(help="What waits for whom, the oldest first.", no_args_is_help=True)
reviews = typer.Typer(help="Post-incident reviews.", no_args_is_help=True)
_INCIDENT = typer.Argument(help="The incident's number or id.")
_OFFER = typer.Argument(help="The offer's id.")
_REVIEW = typer.Argument(help="The review's number or id.")


@custody.command("list")
def custody_list(
    state: str = typer.Option(
        "offered", help="offered, accepted, rejected, withdrawn, returned; empty: all."
    ),
    orphan: bool = typer.Option(False, "--orphan", help="Only incidents that nobody takes care of."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show offers between desks."""
    query = {"state": "accepted" if orphan else state, "orphan": "true" if orphan else ""}
    found = Hub(as_json=as_json).pages("/custody", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("id", "Id"),
        ("incident", "Incident"),
        ("giver", "From"),
        ("taker", "To"),
        ("state", "State"),
        ("offered_at", "Offered"),
        ("accept_by", "Accept by"),
        ("escalated_at", "Escalated"),
        ("reason", "Reason"),
    ]
    table("Offers", columns, found, empty="Nothing is offered.")


@custody.command("show")
def custody_show(incident: str = _INCIDENT, as_json: bool = JSON) -> None:
    """Show who holds an incident, and who held it from when to when."""
    found = Hub(as_json=as_json).call("GET", f"/incidents/{incident}/custody")
    if as_json:
        emit_json(found)
        return
    console.print(f"{found['holder']} holds it since {found['since']}.", markup=False, soft_wrap=True)
    table("Custody", [("party", "Desk"), ("from", "From"), ("to", "To")], found["intervals"], empty="")


@custody.command("forward")
def custody_forward(
    incident: str = _INCIDENT,
    to: str = typer.Option(..., "--to", help="The desk that shall take it over."),
    reason: str = typer.Option(..., "--reason", help="Why, for its people."),
    as_json: bool = JSON,
) -> None:
    """Offer an incident to another desk, under the contract between them."""
    found = Hub(as_json=as_json).call("POST", f"/incidents/{incident}/forward", {"to": to, "reason": reason})
    if as_json:
        emit_json(found)
    else:
        console.print(
            f"Offered to {to} as {found['id']}; to be accepted by {found['accept_by']}.", markup=False
        )


def _answer(offer: str, how: str, reason: str, said: str, *, as_json: bool) -> None:
    found = Hub(as_json=as_json).call("POST", f"/custody/{offer}/{how}", {"reason": reason})
    if as_json:
        emit_json(found)
    else:
        console.print(said.format(**found), markup=False)


@custody.command("accept")
def custody_accept(
    offer: str = _OFFER,
    reason: str = typer.Option("", "--reason", help="A word to the giver."),
    as_json: bool = JSON,
) -> None:
    """Take an offered incident over; from this instant on your desk is accountable."""
    _answer(offer, "accept", reason, "{taker} holds it now.", as_json=as_json)


@custody.command("reject")
def custody_reject(
    offer: str = _OFFER, reason: str = typer.Option(..., "--reason", help="Why not."), as_json: bool = JSON
) -> None:
    """Refuse an offer; the giver stays accountable."""
    _answer(offer, "reject", reason, "{giver} still holds it.", as_json=as_json)


@custody.command("withdraw")
def custody_withdraw(
    offer: str = _OFFER, reason: str = typer.Option(..., "--reason", help="Why."), as_json: bool = JSON
) -> None:
    """Take an unanswered offer back."""
    _answer(offer, "withdraw", reason, "The offer is withdrawn; {giver} holds it.", as_json=as_json)


@custody.command("hand-back")
def custody_hand_back(
    offer: str = _OFFER, reason: str = typer.Option(..., "--reason", help="Why."), as_json: bool = JSON
) -> None:
    """Give an incident back to the desk that it came from."""
    _answer(offer, "hand-back", reason, "{giver} holds it again.", as_json=as_json)


@waits.command("list")
def waits_list(
    workflow: str = typer.Option("", help="Only this workflow, e.g. partner_acknowledgement."),
    partner: str = typer.Option("", help="Only what waits for this connection or desk."),
    owner: str = typer.Option("", help="Only what this group is accountable for."),
    state: str = typer.Option(
        "", help="waiting, asking, escalated, recovered, ended; empty: what still waits."
    ),
    overdue: bool = typer.Option(False, "--overdue", help="Only what is beyond its limit."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show what waits, the oldest first, and what the watchdog found out."""
    query = {
        "workflow": workflow,
        "partner": partner,
        "owner": owner,
        "state": state,
        "overdue": "true" if overdue else "",
    }
    found = Hub(as_json=as_json).pages("/waits", query=query, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("workflow", "Waits for"),
        ("partner", "Partner"),
        ("owner", "Owner"),
        ("incident", "Incident"),
        ("age_seconds", "Age (s)"),
        ("limit_at", "Limit"),
        ("state", "State"),
        ("found", "Found"),
    ]
    table("Waiting", columns, found, empty="Nothing waits.")


@waits.command("summary")
def waits_summary(
    by: str = typer.Option("workflow", help="workflow, partner or owner."), as_json: bool = JSON
) -> None:
    """Show how much waits and since when the oldest."""
    found = Hub(as_json=as_json).call("GET", "/waits/summary", query={"by": by})["items"]
    if as_json:
        emit_json(found)
        return
    columns = [
        (by, by.capitalize()),
        ("count", "Waiting"),
        ("overdue", "Overdue"),
        ("oldest", "Oldest since"),
    ]
    table("Waiting", columns, found, empty="Nothing waits.")


@reviews.command("list")
def reviews_list(
    state: str = typer.Option("", help="open, overdue, done; empty: all."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show post-incident reviews."""
    found = Hub(as_json=as_json).pages("/reviews", query={"state": state}, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [
        ("number", "Number"),
        ("incident", "Incident"),
        ("owner", "Owner"),
        ("due_at", "Due"),
        ("state", "State"),
        ("cause", "Cause"),
    ]
    table("Reviews", columns, found, empty="No review is owed.")


@reviews.command("write")
def reviews_write(
    review: str = _REVIEW,
    cause: str = typer.Option("", help="What caused the incident."),
    lessons: str = typer.Option("", help="What was learnt."),
    owner: str = typer.Option("", help="Who owes the review from now on."),
    action: list[str] = typer.Option(
        [], help='An action as "text | owner | 2026-12-24"; all of them, each time.'
    ),
    as_json: bool = JSON,
) -> None:
    """Write cause, lessons and actions of a review."""
    body: dict[str, object] = {
        name: value for name, value in (("cause", cause), ("lessons", lessons), ("owner", owner)) if value
    }
    if action:
        parts = [[part.strip() for part in each.split("|")] + ["", ""] for each in action]
        body["actions"] = [{"text": text, "owner": who, "due": by} for text, who, by, *_ in parts]
    found = Hub(as_json=as_json).call("PATCH", f"/reviews/{review}", body)
    if as_json:
        emit_json(found)
    else:
        console.print(f"{found['number']} is written.", markup=False)


@reviews.command("complete")
def reviews_complete(review: str = _REVIEW, as_json: bool = JSON) -> None:
    """Declare a review done; it names the cause and at least one action."""
    found = Hub(as_json=as_json).call("POST", f"/reviews/{review}/complete")
    if as_json:
        emit_json(found)
    else:
        console.print(f"{found['number']} is done.", markup=False)


def add_to(app: typer.Typer) -> None:
    """Register this file's command groups."""
    app.add_typer(custody, name="custody")
    app.add_typer(waits, name="waits")
    app.add_typer(reviews, name="reviews")
