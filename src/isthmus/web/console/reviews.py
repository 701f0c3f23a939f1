"""Post-incident reviews: which are owed, and the form that finishes one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isthmus.ledger.work import Work
from isthmus.practices.incident import reviewing
from isthmus.web import records
from isthmus.web.console import listing
from isthmus.web.console.screen import act, back, found, page, screen
from isthmus.web.lists.asked import Asked
from isthmus.web.lists.tables import REVIEWS


@screen("incident:read")
def index(request: HttpRequest) -> HttpResponse:
    """The reviews, the newest first."""

    def more(asked: Asked, *_: Any) -> dict[str, Any]:
        return {
            "title": "Reviews",
            "crumbs": [("Incidents", "/incidents"), ("Reviews", "")],
            "state": asked.get("state"),
        }

    return listing.show(request, REVIEWS, "console/reviews.html", more)


@screen("incident:read")
def one(request: HttpRequest, review_id: str) -> HttpResponse:
    """One review: the timeline as it was, cause, lessons, actions."""
    review = found(records.of("incident_review").filter(id=review_id).first())
    context = {
        "title": f"Review {review.number}",
        "crumbs": [("Reviews", "/reviews"), (review.number, "")],
        "review": review,
        "incident": records.of("incident").filter(id=review.record).first(),
        "actions_text": "\n".join(
            f"{each['text']} | {each['owner']} | {each['due']}" for each in review.actions or ()
        ),
    }
    return page(request, "console/review.html", context)


@require_POST
@screen("incident:write")
def write(request: HttpRequest, review_id: str) -> HttpResponse:
    """Write a review and, with `done`, finish it; one action per line: text | owner | date."""
    review = found(records.of("incident_review").filter(id=review_id).first())
    values: dict[str, Any] = {
        name: request.POST[name]
        for name in ("owner", "cause", "lessons")
        if request.POST.get(name, "").strip()
    }
    if "actions" in request.POST:
        values["actions"] = actions_of(request.POST["actions"])

    def do(work: Work) -> Any:
        held = reviewing.write(work, reviewing.get(review_id), values)
        return reviewing.complete(work, held) if request.POST.get("done") == "yes" else held

    done = "The review is done." if request.POST.get("done") == "yes" else "The review is written."
    act(request, do, permission="incident:write", organisation=review.organisation, done=done)
    return back(request, f"/reviews/{review_id}")


def actions_of(text: str) -> list[dict[str, str]]:
    """Return actions from lines of `text | owner | date`."""
    rows = [
        [*(part.strip() for part in line.split("|")), "", ""] for line in text.splitlines() if line.strip()
    ]
    return [{"text": row[0], "owner": row[1], "due": row[2]} for row in rows]
