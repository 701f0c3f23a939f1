"""What the sections of desks refuse, with the place and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from isthmus.blueprint import validate
from isthmus.blueprint.source import Source

SOUND: dict[str, Any] = {
    "desks": {"service-desk": {"roles": ["agent"]}, "vendor": {"kind": "supplier", "organisation": "Vendor"}},
    "forwarding": {"contracts": [{"name": "support", "from": ["service-desk"], "to": ["vendor"]}]},
    "waits": {"approval": {"limit": "PT4H", "path": "night"}},
    "incident": {"paths": {"night": {"functional": ["a"]}}, "escalation": [{"name": "x", "path": "night"}]},
}


def problems_of(**changed: Any) -> list[str]:
    _, found = validate.check(Source(sections={**SOUND, **changed}))
    return [f"{each.path} {each.message}" for each in found]


def test_a_sound_blueprint_has_no_problem(book):
    assert problems_of() == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"desks": {"a": {"roles": ["king"]}}, "forwarding": {}}, "no role 'king'"),
        ({"desks": {"a": {"connection": "nowhere"}}, "forwarding": {}}, "no connection 'nowhere'"),
        ({"forwarding": {"contracts": [{"name": "x", "from": ["nobody"], "to": ["vendor"]}]}}, "no desk 'nobody'"),
        ({"forwarding": {"contracts": [{"name": "x", "from": ["service-desk"], "to": ["vendor"], "carries": ["gold"]}]}}, "no thing to carry 'gold'"),
        ({"forwarding": {"contracts": [{"name": "x", "from": ["service-desk"], "to": ["vendor"], "accept_within": "PT0S"}]}}, "not a duration"),
        ({"forwarding": {"contracts": [{"name": "x", "from": ["service-desk"], "to": ["vendor"], "path": "day"}]}}, "no path 'day'"),
        ({"forwarding": {"contracts": [{"name": "x", "from": ["service-desk"], "to": ["vendor"]}] * 2}}, "used twice"),
        ({"waits": {"approval": {"limit": "PT0S"}}}, "not a duration"),
        ({"waits": {"approval": {"limit": "PT1H", "path": "day"}}}, "no path 'day'"),
        ({"waits": {"lunch": {"limit": "PT1H"}}}, "lunch"),
        ({"incident": {"escalation": [{"name": "x", "path": "day"}]}, "waits": {}}, "no path 'day'"),
        ({"incident": {"default_path": "day"}, "waits": {}}, "no path 'day'"),
        ({"incident": {"major": {"triggers": {"dance": "ops"}}}, "waits": {}}, "'dance' is not a trigger"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(book, changed, said):
    found = problems_of(**changed)
    assert any(said in each for each in found), found
