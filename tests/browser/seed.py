"""Makes the installation that the browser walks: people of every role, tokens, the demonstration's blueprint.

Runs as a process of its own, because a process has one data directory: JSON in on stdin, JSON out on stdout.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.django_settings")

import django

django.setup()

from ruamel.yaml import YAML  # noqa: E402 - Django first

from isthmus.blueprint import service  # noqa: E402
from isthmus.blueprint.source import Source  # noqa: E402
from isthmus.identity import second_factor, tokens  # noqa: E402
from isthmus.identity.models import User  # noqa: E402
from isthmus.kernel.actor import Origin, system  # noqa: E402
from isthmus.ledger import scope  # noqa: E402
from isthmus.ledger.door import perform  # noqa: E402
from isthmus.web import installation  # noqa: E402

FILES = ("sync.yaml", "monitoring.yaml", "incident.yaml", "change.yaml")


def sections(given: dict) -> dict:
    """Return the demonstration's blueprint for the partners that run, with one field left to people."""
    found: dict = {"connections": given["connections"]}
    for name in FILES:
        text = (importlib.resources.files("isthmus.cli.demo") / "blueprint" / name).read_text()
        found |= YAML(typ="safe").load(text)
    partners = given["partners"]
    flow = found["sync"]["incident"]
    flow["connections"] = {name: terms for name, terms in flow["connections"].items() if name in partners}
    # A title that two people changed waits for a third: the walk decides it.
    flow["fields"] = [each for each in flow["fields"] if each["field"] != "title"]
    flow["fields"].append(
        {"id": "incident.title", "field": "title", "policy": "manual", "owner": "Service desk"}
    )
    found["routes"] = [
        {**each, "to": [name for name in each["to"] if name in partners]} for each in found["routes"]
    ]
    # A rota with a turn and one that nobody fills: the calendar shows both. The ladder's first step is for whoever
    # stands in at night, the second for everybody.
    found["on_call"] = {
        "channels": {"own-mail": {"connection": "mail"}, "all": {"connection": "mail", "recipient": "all@example.test"}},
        "rotas": {
            "desk": {"layers": [{"name": "week", "participants": sorted(given["people"])}]},
            "night": {"layers": [{"name": "none", "participants": ["nobody-yet"]}]},
        },
        "ladders": {
            "page": {"steps": [
                {"after": "PT0S", "notify": [{"rota": "night"}, {"person": "ada"}]}, {"after": "PT2M", "notify": [{"channel": "all"}]},
            ]},
        },
    }  # fmt: skip
    return found


def main() -> None:
    given = json.load(sys.stdin)
    made = installation.create(
        organisation_name="Meridian Retail", administrator="root", password=given["password"]
    )
    for name, roles in given["people"].items():
        installation.add_user(
            made.organisation, name, given["password"], tuple(roles), name=name.capitalize()
        )
    second_factor.set_up(User.objects.get(username="root"), given["totp"])

    def act(work):
        service.apply(work, Source(sections=sections(given)))
        return tokens.issue(
            work, organisation=made.organisation, name="pipeline", scopes=["gate:check"], days=1
        )[1]

    with scope.everywhere("the browser's hub is set up"):
        gate = perform(act, actor=system("browser tests"), origin=Origin(channel="cli"))
    json.dump({"organisation": made.organisation, "gate": gate}, sys.stdout)


if __name__ == "__main__":
    main()
