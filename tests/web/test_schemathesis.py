"""Requests that schemathesis makes from the published document: each is answered, a refusal as a problem in words.

Beside `test_api_contract.py`, which sends what no schema allows, this sends what the document says may be sent.
Bounded and without chance: the same few requests per route on every run.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from isthmus.hub.http import limits
from isthmus.identity.roles import ROLES
from isthmus.web.api import api

EXAMPLES = 3
SETTINGS = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(api.get_openapi_schema())))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
PARTS = 4
"""The routes are walked in so many parts: each needs a hub of its own, which costs more than the requests."""


def send(client: Any, case: Any) -> Any:
    limits.limiter.__init__()  # type: ignore[misc]
    path = case.formatted_path
    query = {name: value for name, value in (case.query or {}).items() if value is not None}
    if case.method == "GET":
        return client.get(path, query)
    body = case.body if isinstance(case.body, dict | list) else {}
    return client.generic(
        case.method, path, json.dumps(body), content_type="application/json", query_params=query
    )


def made(operation: Any) -> list[Any]:
    """Return a few requests that the document allows for an operation."""
    found: list[Any] = []

    @SETTINGS
    @given(case=operation.as_strategy())
    def keep(case: Any) -> None:
        found.append(case)

    keep()
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_the_document_allows_is_answered(desk: Any, part: int) -> None:
    desk.add_person("everything", *ROLES)
    client, answered = desk.client("everything"), 0
    for operation in OPERATIONS[part::PARTS]:
        cases = made(operation)
        for case in cases:
            answer = send(client, case)
            assert answer.status_code < 500, (case.method, case.formatted_path, case.query, case.body)
            if answer.status_code >= 400 and answer.get("Content-Type", "").endswith("json"):
                told = json.loads(answer.content)
                assert told["status"] == answer.status_code
                assert told["title"]
            answered += 1
    assert answered
