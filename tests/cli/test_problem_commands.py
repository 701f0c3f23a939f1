"""`isthmus problems` and `isthmus known-errors` as a script meets them: JSON, exit codes, refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from isthmus.cli import main


@pytest.fixture
def run(book: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command against the API inside this process, as the local operator; its exit code and what it said."""
    from isthmus.identity import people, tokens
    from isthmus.ledger import scope

    monkeypatch.delenv("ISTHMUS_URL", raising=False)
    people.forget()
    tokens.forget()

    def command(*arguments: str, code: int = 0) -> Any:
        with scope.within(()):
            done = CliRunner().invoke(main.app, [*arguments, "--json"])
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout) if done.stdout.lstrip().startswith(("{", "[")) else done.stdout

    return command


def test_a_problem_is_raised_analysed_and_closed(run):
    problem = run("problems", "raise", "--title", "Pools run dry", "--priority", "2")
    number = problem["number"]
    assert [each["number"] for each in run("problems", "list")] == [number]
    run("problems", "move", number, "find-cause", "--cause-code", "capacity", code=2)
    run("problems", "move", number, "find-cause", "--cause-code", "capacity", "--root-cause", "Too small")
    run("problems", "move", number, "resolve", "--resolution", "Enlarged")
    refused = run("problems", "move", number, "close", code=1)
    assert refused["errors"][0]["pointer"] == "/actions"
    run("problems", "action", number, "--text", "Alarm", code=2)
    held = run("problems", "action", number, "--text", "Alarm", "--owner", "Ann")
    run("problems", "action", number, "--done", held["actions"][0]["id"])
    run("problems", "edit", number, "--group", "Platform")
    assert run("problems", "move", number, "close")["state"] == "closed"
    shown = run("problems", "show", number)
    assert (shown["assignment_group"], shown["actions"][0]["done"], shown["incidents"]) == (
        "Platform",
        True,
        [],
    )
    assert run("problems", "list") == []
    run("problems", "show", "PRB-000099", code=1)
    run("problems", "move", number, "dance", code=2)
    run("problems", "raise", code=2)


def test_an_edit_empties_a_list_and_leaves_what_is_not_given(run):
    number = run("known-errors", "write", "--title", "Pool", "--class", "database", "--class", "server")[
        "number"
    ]
    assert run("known-errors", "edit", number, "--fix", "Larger")["classes"] == ["database", "server"]
    emptied = run("known-errors", "edit", number, "--class", "")
    assert (emptied["classes"], emptied["fix"], emptied["title"]) == ([], "Larger", "Pool")
    problem = run("problems", "raise", "--title", "Pools run dry")["number"]
    edited = run("problems", "edit", problem, "--cause-code", "capacity", "--root-cause", "Too small")
    assert (edited["cause_code"], edited["root_cause"]) == ("capacity", "Too small")
    assert run("problems", "edit", problem, "--ci", "")["cis"] == []
    run("problems", "edit", problem, code=2)


def test_a_known_error_is_written_tried_published_and_judged(run, book):
    from isthmus.practices.incident import service as incidents

    def opened(title: str) -> Any:
        return book.perform(lambda work: incidents.create(work, book.organisation, {"title": title}))

    known = run(
        "known-errors",
        "write",
        "--title",
        "Pool",
        "--workaround",
        "Restart",
        "--condition",
        "title.contains('pool')",
    )
    number, early = known["number"], opened("The pool is dry")
    assert run("known-errors", "try", number, early.number)["fits"]
    assert run("known-errors", "publish", number)["state"] == "published"
    fits, other = opened("The pool is empty"), opened("Printer")
    assert run("known-errors", "try", number, other.number, code=1)["fits"] is False
    (carried,) = run("known-errors", "of", fits.number)
    assert carried["workaround"] == "Restart"
    assert run("known-errors", "of", other.number) == []
    run("known-errors", "judge", fits.number, number, "rejected", code=1)
    judged = run("known-errors", "judge", fits.number, number, "confirmed", "--comment", "internal")
    assert judged["verdict"] == "confirmed"
    run("known-errors", "attach", other.number, number, "--reason", "Perhaps")
    run("known-errors", "edit", number, "--fix", "A larger pool")
    run("known-errors", "edit", number, code=2)
    assert run("known-errors", "retire", number, "--reason", "Fixed")["state"] == "retired"
    assert run("known-errors", "of", opened("A pool again").number) == []
    assert len(run("known-errors", "show", number)["matches"]) == 2
    assert [each["state"] for each in run("known-errors", "list")] == ["retired"]
    problem = run("problems", "raise", "--incident", fits.number)
    assert run("problems", "show", problem["number"])["incidents"][0]["id"] == fits.id
    run("problems", "link", problem["number"], other.number)
    run("problems", "link", problem["number"], other.number, "--remove")
