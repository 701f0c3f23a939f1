"""`isthmus known-errors`: write them, try them, publish them, and say what they were on an incident."""

from __future__ import annotations

from typing import Any

import typer

from isthmus.cli import acting
from isthmus.cli.client import Hub
from isthmus.cli.output import JSON, Exit, console, emit_json, fail, table

known_errors = typer.Typer(
    help="Known errors: workarounds, and the incidents that they fit.", no_args_is_help=True
)
_KNOWN_ERROR = typer.Argument(help="The known error's number or id.")
_INCIDENT = typer.Argument(help="The incident's number or id.")
_REASON = typer.Option("", "--reason", help="Why, in a sentence.")


@known_errors.command("list")
def known_errors_list(
    state: str = typer.Option("", help="draft, published or retired; empty: all."),
    limit: int = typer.Option(50, min=1, max=1000, help="How many at most."),
    as_json: bool = JSON,
) -> None:
    """Show known errors, the newest first."""
    found = Hub(as_json=as_json).pages("/known-errors", query={"state": state}, limit=limit)
    if as_json:
        emit_json(found)
        return
    columns = [("number", "Number"), ("state", "State"), ("title", "Title"), ("workaround", "Workaround")]
    table("Known errors", columns, found, empty="There is no known error.")


@known_errors.command("show")
def known_errors_show(known_error: str = _KNOWN_ERROR, as_json: bool = JSON) -> None:
    """Show one known error, and where it was found to fit."""
    hub = Hub(as_json=as_json)
    found = hub.call("GET", f"/known-errors/{known_error}")
    matches = hub.call("GET", f"/known-errors/{known_error}/matches")["items"]
    if as_json:
        emit_json({**found, "matches": matches})
        return
    console.print(f"{found['number']} {found['title']} ({found['state']})", markup=False, soft_wrap=True)
    for name in ("workaround", "fix", "link", "condition"):
        if found[name]:
            console.print(f"{name.capitalize()}: {found[name]}", markup=False, soft_wrap=True)
    columns = [("record", "Incident"), ("verdict", "Verdict"), ("reason", "Why")]
    table("On incidents", columns, matches, empty="It was found on none yet.")


@known_errors.command("write")
def known_errors_write(
    title: str = typer.Option("", "--title", help="What goes wrong; taken from the incident or problem if one is named."),
    workaround: str = typer.Option("", "--workaround", help="How to go on."),
    fix: str = typer.Option("", "--fix", help="The permanent fix, in words."),
    link: str = typer.Option("", "--link", help="Where the fix is followed (web address)."),
    problem: str = typer.Option("", "--problem", help="Of which problem."),
    incident: str = typer.Option("", "--incident", help="Declare it out of this incident."),
    ci: list[str] = typer.Option([], "--ci", help="It fits on this item; may be repeated."),
    ci_class: list[str] = typer.Option([], "--class", help="It fits on items of this class; may be repeated."),
    service: list[str] = typer.Option([], "--service", help="It fits where this service is hit; may be repeated."),
    condition: str = typer.Option("", "--condition", help="A condition (CEL), e.g. labels.alertname == 'DiskFull'."),
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Write a known error, as a draft."""
    if not (title or incident or problem):
        fail("Give --title, --incident or --problem.", code=Exit.USAGE, as_json=as_json)
    body = {"title": title, "workaround": workaround, "fix": fix, "link": link, "problem": problem, "incident": incident,
            "cis": ci, "classes": ci_class, "services": service, "condition": condition}  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in body.items() if value}
    found = Hub(as_json=as_json).call("POST", "/known-errors", given)
    acting.say(found, f"{found['number']} is written as a draft.", as_json=as_json)


@known_errors.command("edit")
def known_errors_edit(
    known_error: str = _KNOWN_ERROR,
    title: str = typer.Option(None, "--title", help="What goes wrong."),
    workaround: str = typer.Option(None, "--workaround", help="How to go on."),
    fix: str = typer.Option(None, "--fix", help="The permanent fix, in words."),
    link: str = typer.Option(None, "--link", help="Where the fix is followed."),
    problem: str = typer.Option(None, "--problem", help="Of which problem."),
    ci: list[str] = typer.Option([], "--ci", help="The items on which it fits, all of them; '' for none."),
    ci_class: list[str] = typer.Option([], "--class", help="The classes of items on which it fits, all of them; '' for none."),
    service: list[str] = typer.Option([], "--service", help="The services that are hit, all of them; '' for none."),
    condition: str = typer.Option(None, "--condition", help="The condition (CEL)."),
    as_json: bool = JSON,
) -> None:  # fmt: skip
    """Change a known error: only what is given. Of a published one it counts for the incidents to come."""
    body = {"title": title, "workaround": workaround, "fix": fix, "link": link, "problem": problem, "cis": acting.whole(ci),
            "classes": acting.whole(ci_class), "services": acting.whole(service), "condition": condition}  # fmt: skip
    given = acting.changes(body, as_json=as_json)
    found = Hub(as_json=as_json).call("PATCH", f"/known-errors/{known_error}", given)
    acting.say(found, f"{found['number']} is changed.", as_json=as_json)


@known_errors.command("try")
def known_errors_try(
    known_error: str = _KNOWN_ERROR, incident: str = _INCIDENT, as_json: bool = JSON
) -> None:
    """Say whether it would fit an incident; nothing is changed. Exit code 1 if it would not."""
    hub = Hub(as_json=as_json)
    found = hub.call("GET", f"/known-errors/{known_error}/trial", query={"incident": incident})
    acting.say(found, found["reason"] or "It would not fit.", as_json=as_json)
    if not found["fits"]:
        raise typer.Exit(int(Exit.FAILED))


@known_errors.command("publish")
def known_errors_publish(known_error: str = _KNOWN_ERROR, as_json: bool = JSON) -> None:
    """Have it fit incidents from now on."""
    acting.post(f"/known-errors/{known_error}/publish", None, "It is published.", as_json=as_json)


@known_errors.command("retire")
def known_errors_retire(known_error: str = _KNOWN_ERROR, reason: str = _REASON, as_json: bool = JSON) -> None:
    """Have it fit no further incident; those that carry it keep it."""
    path, body = f"/known-errors/{known_error}/retire", {"reason": reason}
    acting.post(path, body, "It is retired.", as_json=as_json)


@known_errors.command("of")
def known_errors_of(incident: str = _INCIDENT, as_json: bool = JSON) -> None:
    """Show the known errors that an incident carries, with their workarounds."""
    found = Hub(as_json=as_json).call("GET", f"/incidents/{incident}/known-errors")["items"]
    if as_json:
        emit_json(found)
        return
    columns = [("number", "Number"), ("title", "Title"), ("verdict", "Verdict"), ("workaround", "Workaround"),
               ("why", "Why"), ("match", "Match")]  # fmt: skip
    table("Known errors", columns, found, empty="None fits.")


@known_errors.command("attach")
def known_errors_attach(
    incident: str = _INCIDENT, known_error: str = _KNOWN_ERROR, reason: str = _REASON, as_json: bool = JSON
) -> None:
    """Put a known error on an incident by hand."""
    path, body = f"/incidents/{incident}/known-errors", {"known_error": known_error, "reason": reason}
    acting.post(path, body, "The known error is attached.", as_json=as_json)


@known_errors.command("judge")
def known_errors_judge(
    incident: str = _INCIDENT,
    match: str = typer.Argument(help="The match's id, or the known error's number."),
    verdict: str = typer.Argument(help="confirmed, rejected (with --reason) or proposed."),
    reason: str = _REASON,
    comment: str = typer.Option("", "--comment", help="Say the workaround in a comment: internal or public."),
    as_json: bool = JSON,
) -> None:
    """Say that it was this known error, or was not (then it is not offered again for this incident)."""
    hub = Hub(as_json=as_json)
    held = hub.call("GET", f"/incidents/{incident}/known-errors")["items"]
    meant = next((each["match"] for each in held if match in {each["match"], each["number"]}), match)
    body = {"verdict": verdict, "reason": reason, "comment": comment}
    found = hub.call("POST", f"/incidents/{incident}/known-errors/{meant}", body)
    acting.say(found, f"Noted: {verdict}.", as_json=as_json)


def add_to(app: typer.Typer) -> None:
    """Register this file's command group."""
    app.add_typer(known_errors, name="known-errors")
