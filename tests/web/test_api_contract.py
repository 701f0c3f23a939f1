"""The published document against the API: whatever is sent, the answer is a success or a problem in words.

Requests are generated from the OpenAPI document with a fixed seed, so a failure comes again.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from isthmus.hub.http import limits
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS, ROLES
from isthmus.practices.incident import service as incidents
from isthmus.web.api import api

BODIES_PER_ROUTE = 8
ODD: tuple[Any, ...] = (
    None, "", " ", "x" * 70_000, "\u0000", "\ud7ff\U0001f600", "' OR 1=1 --", -1, 0, 2**63, 2**70, 1.5, True, [], {}, [[]],
    ["x"] * 600, {"a": {"b": [None]}}, "2026-13-45T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "../../etc", "$ref",
)  # fmt: skip
PLACES = ("nothing", "0" * 26, "%00", "INC-999999", "9" * 40, "%F0%9F%98%80", "..;", "x" * 3_000)


@cache
def published() -> dict[str, Any]:
    """Return the OpenAPI document as a client reads it."""
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))
    return found


@pytest.fixture
def caller(desk: Any) -> Any:
    """Somebody with every role: no refusal hides what a body does."""
    desk.add_person("everything", *ROLES)
    return desk.client("everything")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    document = published()
    for path, way in document["paths"].items():
        for method, operation in way.items():
            yield method, path, operation


def schema_of(operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else content["schema"]


def made(schema: dict[str, Any], chance: random.Random, *, odd: float) -> Any:
    """Return a value of the schema; with probability `odd` any part is something else entirely."""
    if chance.random() < odd:
        return chance.choice(ODD)
    if "$ref" in schema:
        parts = published()["components"]["schemas"]
        return made(parts[schema["$ref"].rsplit("/", 1)[1]], chance, odd=odd)
    if "anyOf" in schema:
        return made(chance.choice(schema["anyOf"]), chance, odd=odd)
    if "enum" in schema:
        return chance.choice(schema["enum"])
    kind = schema.get("type", "object")
    if kind == "object":
        needed = set(schema.get("required", ()))
        properties = schema.get("properties", {})
        return {
            name: made(each, chance, odd=odd)
            for name, each in properties.items()
            if name in needed or chance.random() < 0.6
        }
    if kind == "array":
        return [made(schema.get("items", {}), chance, odd=odd) for _ in range(chance.randrange(3))]
    choices: dict[str, tuple[Any, ...]] = {
        "string": ("a word", "2026-12-01T00:00:00Z", "1", "db1", "", "Zürich ✓"),
        "integer": (0, 1, 3, 10_000), "number": (0, 1.5), "boolean": (True, False), "null": (None,),
    }  # fmt: skip
    return chance.choice(choices[kind])


def send(client: Any, method: str, url: str, body: Any, **headers: str) -> Any:
    limits.limiter.__init__()
    if method == "get":
        return client.get(url, headers=headers)
    data = body if isinstance(body, str) else json.dumps(body)
    return getattr(client, method)(url, data, content_type="application/json", headers=headers)


def sound(answer: Any, *, said: str) -> None:
    """Success, or a problem that says what and, where a value is at fault, which."""
    assert answer.status_code < 500, (said, answer.content[:400])
    if answer.status_code < 400:
        return
    assert answer["Content-Type"] == "application/problem+json", (said, answer.status_code)
    problem = answer.json()
    assert problem["status"] == answer.status_code, said
    assert problem["title"], said
    assert problem["detail"], said
    assert problem["trace"], said
    for each in problem["errors"]:
        assert each["pointer"] == "" or each["pointer"].startswith("/"), (said, each)
        assert each["message"], said


def put_in(path: str, value: str) -> str:
    return re.sub(
        r"\{\w+\}", lambda found: "3" if found.group() == "{sequence}" and value == "0" * 26 else value, path
    )


@pytest.mark.parametrize("odd", [0.0, 0.15, 0.5])
def test_whatever_body_is_sent_the_answer_is_sound(desk, caller, odd):
    chance = random.Random(f"bodies {odd}")
    known = {"incidents": desk.incident.id, "cis": desk.cis["db1"], "people": desk.people["nobody"]}
    for method, path, operation in operations():
        schema = schema_of(operation)
        if schema is None:
            continue
        for _ in range(BODIES_PER_ROUTE):
            url = put_in(path, known.get(path.split("/")[3], "0" * 26))
            body = made(schema, chance, odd=odd)
            sound(send(caller, method, url, body), said=f"{method} {url} {json.dumps(body)[:600]}")


def test_whatever_stands_in_a_path_or_query_the_answer_is_sound(caller):
    chance = random.Random("queries")
    for method, path, operation in operations():
        for place in PLACES if "{" in path else ("",):
            sound(send(caller, method, put_in(path, place), {}), said=f"{method} {path} {place}")
        queries = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        for name in queries if method == "get" else ():
            for value in (
                "",
                "\u0000",
                "x" * 3_000,
                "-1",
                "9" * 25,
                "2026-13-45",
                "WzEsMl0",
                "W10",
                chance.choice(["'", "é", "%"]),
            ):
                answer = caller.get(put_in(path, "nothing"), {name: value})
                limits.limiter.__init__()
                sound(answer, said=f"{method} {path} {name}={value[:40]!r}")


@pytest.mark.parametrize(
    "raw", ["", "{", "[]", "null", "3", '"text"', '{"title": "a"}}', "\ufeff{}", "[" * 5_000, '{"a":' * 900]
)
def test_what_is_no_object_of_the_document_is_refused_in_words(caller, raw):
    for method, path, operation in operations():
        if schema_of(operation) is not None:
            answer = send(caller, method, put_in(path, "0" * 26), raw)
            sound(answer, said=f"{method} {path} {raw[:20]}")
            assert answer.status_code >= 400 or "{action}" in path, (method, path, raw[:20])


def test_a_wrong_value_is_named_by_its_pointer(caller):
    answer = send(caller, "post", "/api/v1/incidents", {"title": 7})
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/body/title"]
    assert answer.status_code == 422


def test_a_field_that_does_not_exist_changes_nothing(desk, caller):
    """Unknown fields are let pass and have no effect: clients written for a later version go on working."""
    answer = send(
        caller,
        "patch",
        f"/api/v1/incidents/{desk.incident.id}",
        {"number": "INC-1", "organisation": "x", "nonsense": 1},
    )
    assert answer.status_code == 200
    assert answer.json()["number"] == "INC-000001"
    assert answer.json()["version"] == 1


def test_the_same_key_repeats_the_answer_and_with_another_body_is_refused(caller):
    url = "/api/v1/incidents"
    first = send(caller, "post", url, {"title": "One"}, **{"idempotency-key": "k1"})
    again = send(caller, "post", url, {"title": "One"}, **{"idempotency-key": "k1"})
    other = send(caller, "post", url, {"title": "Two"}, **{"idempotency-key": "k1"})
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert first.json()["id"] == again.json()["id"]
    sound(other, said="another body")
    sound(send(caller, "post", url, {"title": "One"}, **{"idempotency-key": "k" * 300}), said="a long key")


def test_an_old_version_is_412_wherever_a_version_is_given_out(desk, caller):
    url = f"/api/v1/incidents/{desk.incident.id}"
    held = caller.get(url)["ETag"]
    assert send(caller, "patch", url, {"title": "Mine"}, **{"if-match": held}).status_code == 200
    late = send(caller, "patch", url, {"title": "Late"}, **{"if-match": held})
    sound(late, said="late")
    assert late.status_code == 412
    assert caller.get(url).json()["title"] == "Mine"
    assert send(caller, "patch", url, {"title": "Any"}, **{"if-match": "*"}).status_code == 200


def test_pages_give_every_row_once_while_others_arrive(desk, caller):
    def more(count: int) -> list[str]:
        values = {"impact": "2", "urgency": "2"}

        def do(work: Any) -> list[str]:
            return [
                incidents.create(work, desk.book.organisation, values | {"title": f"n{at}"}).id
                for at in range(count)
            ]

        return desk.book.perform(do)

    there = {desk.incident.id, *more(11)}
    seen: list[str] = []
    url = "/api/v1/incidents?limit=3"
    while url:
        answer = send(caller, "get", url, None)
        seen += [each["id"] for each in answer.json()["items"]]
        more(2)
        found = re.search(r'<(.+?)>; rel="next"', answer.get("Link", ""))
        url = found.group(1) if found else ""
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


def test_a_token_meets_the_same_contract(desk):
    token = desk.token(*sorted(PERMISSIONS.keys() - NEVER_BY_TOKEN))
    client = desk.client(headers={"authorization": f"Bearer {token}"})
    chance = random.Random("token")
    for method, path, operation in operations():
        body = made(schema_of(operation) or {}, chance, odd=0.1)
        sound(
            send(client, method, put_in(path, "0" * 26), body),
            said=f"{method} {path} {json.dumps(body)[:300]}",
        )


@pytest.mark.parametrize("path", ["/api/v1/incidents", "/incidents"])
def test_a_nul_is_refused_wherever_it_stands_and_its_spelling_is_not(desk, caller, path):
    asked = desk.client("agent") if path == "/incidents" else caller
    assert asked.get(f"{path}?title=%00").status_code in {400, 422}
    if path == "/incidents":
        return
    for title, wanted in (("a\x00b", 422), ("a\\u0000b", 201)):
        body = json.dumps({"title": title, "impact": "3", "urgency": "3"})
        answer = send(caller, "post", path, body, **{"Idempotency-Key": title.encode().hex()})
        assert answer.status_code == wanted, (title, answer.content[:300])


def test_no_two_bodies_share_a_name_in_the_document():
    """django-ninja publishes one schema per class name: a second class of the same name would silently lie."""
    from ninja import Schema

    def below(kind):
        return {each for sub in kind.__subclasses__() for each in (sub, *below(sub))}

    ours = [each for each in below(Schema) if each.__module__.startswith("isthmus.")]
    names = Counter(each.__name__ for each in ours)
    assert [name for name, count in names.items() if count > 1] == []
