"""Correlation: the rules in force, an editor for one of them, and what it would have made of the past.

Nothing here puts a rule in force: the page gives the YAML, and the plan of Configuration applies it.
"""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST
from ruamel.yaml import YAML

from isthmus.blueprint import service
from isthmus.hub.http import actor as callers
from isthmus.identity import permissions
from isthmus.kernel.errors import IsthmusError, Rejected
from isthmus.kernel.instant import DAY, Instant
from isthmus.ledger import organisations
from isthmus.ledger.ids import source
from isthmus.ledger.models import Organisation
from isthmus.practices.monitoring.backtest import api, candidate, jobs
from isthmus.web.console import rule_form
from isthmus.web.console.screen import me, page, screen

DAYS: Final = (1, 3, 7, 30)
ORGANISATIONS_MAX: Final = 500


@screen("configuration:read")
def index(request: HttpRequest) -> HttpResponse:
    """The rules in force, in the order in which they are asked."""
    _readable(request)
    context = {"title": "Correlation", "rules": [rule_form.fields_of(each) for each in _rules()]}
    return page(request, "console/rules.html", context)


@screen("configuration:read")
def edit(request: HttpRequest) -> HttpResponse:
    """The form of a rule in force, or of a new one."""
    _readable(request)
    name = request.GET.get("name", "")
    held = next((each for each in _rules() if name and each.get("name") == name), None)
    return _form(
        request, rule_form.NEW if held is None else rule_form.fields_of(held), {}, was=name if held else ""
    )


@require_POST
@screen("configuration:read")
def attempt(request: HttpRequest) -> HttpResponse:
    """Check a rule as the blueprint would; then show its YAML, or try it on the past."""
    _readable(request)
    given = {name: request.POST.get(name, "") for name in rule_form.FIELDS}
    was = request.POST.get("was", "")
    rule, wrong = rule_form.rule_of(given)
    days = request.POST.get("days", "")
    until = source.now()
    if wrong:
        return _form(request, given, wrong, was=was)
    try:
        asked = candidate.wanted(
            organisation=request.POST.get("organisation", "") or callers.home_organisation(me(request)),
            sections=None,
            rules=[rule],
            since=Instant(until - (int(days) if days in {str(each) for each in DAYS} else 1) * DAY),
            until=until,
        )
        permissions.require(me(request), "alert:read", asked.organisation)
        if request.POST.get("do") == "yaml":
            return _form(request, given, {}, was=was, candidate_of=[rule])
        job = jobs.ready(asked, me(request))
        jobs.begin(job, asked)
    except Rejected as refused:
        return _form(request, given, _at_fields(rule, refused), was=was)
    except IsthmusError as fault:
        return _form(request, given, {"": [str(fault)]}, was=was)
    return HttpResponseRedirect(f"/rules/tests/{job.id}", status=303)


@screen("configuration:read")
def tested(request: HttpRequest, backtest_id: str) -> HttpResponse:
    """A back-test: how far it is, then what would have been different."""
    found = api.visible(request, backtest_id)
    result = found.result or {}
    context = {
        "title": "Back-test",
        "crumbs": [("Correlation", "/rules"), ("Back-test", "")],
        "job": found,
        "result": result,
        "kinds": [
            (heading, mark, result.get(name, []), result.get("counts", {}).get(name, 0))
            for name, heading, mark in (
                ("only_candidate", "Only with the rule", "+"),
                ("only_in_force", "Only as it is now", "−"),
            )
        ],
        "rule": found.rules[0] if found.rules else None,
        **(_yaml(found.rules) if found.rules and found.state == "done" else {}),
    }
    return page(request, "console/rule_tested.html", context)


def _form(
    request: HttpRequest,
    given: dict[str, str],
    wrong: dict[str, list[str]],
    *,
    was: str,
    candidate_of: list[dict[str, Any]] | None = None,
) -> HttpResponse:
    possible = permissions.organisations_with(me(request), "alert:read")
    rows = Organisation.objects.filter(id__in=possible).order_by("name").values_list("id", "name")
    context = {
        "title": f"Rule {was}" if was else "New rule",
        "crumbs": [("Correlation", "/rules"), (was or "New", "")],
        "given": given,
        "wrong": wrong,
        "was": was,
        "days": DAYS,
        "chosen_days": request.POST.get("days", "1"),
        "organisations": list(rows[:ORGANISATIONS_MAX]),
        "organisation": request.POST.get("organisation", "") or callers.home_organisation(me(request)),
        **(_yaml(candidate_of) if candidate_of else {}),
    }
    answer = page(request, "console/rule_edit.html", context)
    answer.status_code = 422 if wrong else 200
    return answer


def _at_fields(rule: dict[str, Any], refused: Rejected) -> dict[str, list[str]]:
    """Return what the blueprint's checks say, beside the fields of the rule that they name."""
    names = [each.get("name") for each in _rules()]
    place = names.index(rule["name"]) if rule["name"] in names else len(names)
    return rule_form.at_fields(refused.problems, place) or {"": [str(refused)]}


def _yaml(rules: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the page shows: the rule for a file of the blueprint, and the whole for a plan."""
    whole = candidate.merged(service.export(), None, rules)
    return {
        "yaml": _dumped({"monitoring": {"correlation": {"rules": rules}}}),
        "whole": _dumped(whole),
    }


def _dumped(plain: object) -> str:
    out = StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump(plain, out)
    return out.getvalue()


def _rules() -> list[dict[str, Any]]:
    section = service.export().get("monitoring") or {}
    found: list[dict[str, Any]] = (section.get("correlation") or {}).get("rules") or []
    return found


def _readable(request: HttpRequest) -> None:
    """The blueprint names the rules of every organisation, so it is read at the root only."""
    permissions.require(me(request), "configuration:read", organisations.root())
