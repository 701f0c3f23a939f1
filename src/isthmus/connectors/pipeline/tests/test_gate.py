"""A pipeline's view of the gate: exit codes, waiting, and the shell snippet of the documentation."""

import asyncio
import os
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from isthmus.connectors.kit.faults import Fault
from isthmus.connectors.kit.ports import GateQuestion
from isthmus.connectors.pipeline.client import check_sync, wait_sync
from isthmus.connectors.pipeline.simulator import GateSimulator

ALLOW = GateQuestion(change="CHG-allow", environment="production", artefact_hash="sha256:1", cis=("shop",))


@contextmanager
def gate():
    """Run the fake hub in a thread of its own, as a pipeline meets it."""
    simulator, loop = GateSimulator(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    url = asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(5)
    try:
        yield simulator, url
    finally:
        asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


def test_the_exit_code_follows_the_decision_and_the_question_is_complete():
    with gate() as (simulator, url):
        assert check_sync(url, simulator.token, ALLOW).exit_code == 0
        denied = check_sync(url, simulator.token, GateQuestion(change="CHG-deny"))
        assert denied.exit_code == 1
        assert denied.reasons == ("The change is not approved.",)
        assert simulator.asked[0] == {
            "change": "CHG-allow", "environment": "production", "artefact_hash": "sha256:1", "cis": ["shop"],
        }  # fmt: skip


def test_a_wrong_token_or_address_keeps_the_gate_shut():
    with gate() as (_, url):
        assert check_sync(url, "wrong", ALLOW).exit_code == 3
    assert check_sync(url, "any", ALLOW).exit_code == 3
    assert check_sync("not a url", "any", ALLOW).exit_code == 3


def test_a_private_address_can_be_ruled_out():
    with gate() as (simulator, url):
        assert check_sync(url, simulator.token, ALLOW, private=False).exit_code == 3
        assert simulator.calls == []


def test_waiting_goes_on_until_somebody_decides():
    with gate() as (simulator, url):
        question = GateQuestion(change="CHG-7")
        simulator.decisions["CHG-7"] = "wait"
        simulator.faults.plan(Fault.STATUS, status=503, retry_after_seconds=0, times=2)
        threading.Timer(0.5, lambda: simulator.decisions.update({"CHG-7": "allow"})).start()
        assert wait_sync(url, simulator.token, question, seconds=20).exit_code == 0
        assert simulator.decisions["CHG-7"] == "allow", "the answer came before the decision"


def test_waiting_ends_at_once_where_no_retry_helps():
    with gate() as (simulator, url):
        simulator.revoked = True
        assert wait_sync(url, simulator.token, ALLOW, seconds=20).exit_code == 3
        assert len(simulator.calls) == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs the program curl")
@pytest.mark.parametrize(("change", "code"), [("CHG-allow", 0), ("CHG-deny", 1), ("CHG-wait", 1)])
def test_the_documented_shell_snippet_decides_alike(tmp_path, change, code):
    documented = (Path(__file__).parents[1] / "doc.md").read_text()
    script = tmp_path / "gate.sh"
    script.write_text(re.search(r"```sh\n(#!/bin/sh.*?)```", documented, re.DOTALL)[1])
    with gate() as (simulator, url):
        environment = {**os.environ, "ISTHMUS_URL": url, "CHANGE": change, "DIGEST": "1"}
        for token, expected in ((simulator.token, code), ("wrong", 3)):
            done = subprocess.run(
                ["sh", str(script)],
                env={**environment, "ISTHMUS_TOKEN": token},
                check=False,
                capture_output=True,
            )
            assert done.returncode == expected, done.stderr.decode()
    done = subprocess.run(
        ["sh", str(script)], env={**environment, "ISTHMUS_TOKEN": "x"}, check=False, capture_output=True
    )
    assert done.returncode == 3
