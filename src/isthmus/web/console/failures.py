"""Pages for what goes wrong before a screen is reached."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form did not come from our own page (or the page is older than the sign-in)."""
    text = "This form is not from the page that you are signed in to, or it is too old."
    return _failure(request, 403, text, "Go back, load the page again and repeat what you did.", reason)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    del exception  # its text may name what exists elsewhere
    return _failure(
        request, 404, "There is no such page or record, or none that you may see.", "Search for it (press /)."
    )


def broken(request: HttpRequest) -> HttpResponse:
    return _failure(request, 500, "Something went wrong on our side.", "Give the trace id to an operator.")


def _failure(request: HttpRequest, status: int, text: str, remedy: str, detail: str = "") -> HttpResponse:
    context = {
        "error": {"text": text, "remedy": remedy},
        "detail": detail,
        "status": status,
        "title": "This did not work",
    }
    return render(request, "console/refused.html", context, status=status)
