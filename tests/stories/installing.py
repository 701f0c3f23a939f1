"""Runs in a process of its own, as `isthmus init` does: makes the installation that a story plays in.

Reads {"people": {name: [password, [role]]}, "tokens": {name: [scope]}} and prints what was made as JSON.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Make tables, organisation, people and tokens."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "isthmus.django_settings"
    import django

    django.setup()
    from isthmus.identity import tokens
    from isthmus.kernel.actor import Origin, system
    from isthmus.ledger import scope
    from isthmus.ledger.door import perform
    from isthmus.web import installation

    asked = json.load(sys.stdin)
    made = installation.create(organisation_name=asked["organisation"], administrator="admin")
    people = {
        name: installation.add_user(made.organisation, name, password, tuple(roles), name=name.capitalize())
        for name, (password, roles) in asked["people"].items()
    }
    issued = {}
    with scope.everywhere("a story sets itself up"):
        for name, scopes in asked["tokens"].items():

            def issue(work, name=name, scopes=scopes):
                return tokens.issue(work, organisation=made.organisation, name=name, scopes=scopes, days=1)

            issued[name] = perform(issue, actor=system("init"), origin=Origin(channel="cli"))[1]
    json.dump({"organisation": made.organisation, "people": people, "tokens": issued}, sys.stdout)


if __name__ == "__main__":
    main()
