"""Against a real Prometheus, where one is installed: a rule that fires and a number beyond its threshold."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import poll
from isthmus.kernel.errors import Retryable

PROGRAM = shutil.which("prometheus")
INSTALLED = registry.at(Path(__file__).parents[1])

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Prometheus is installed here")

CONFIG = "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
RULES = """
groups:
- name: always
  rules:
  - {alert: AlwaysFiring, expr: "vector(1)", labels: {severity: critical}, annotations: {summary: "Zürich 🚒"}}
  - {alert: NeverFiring, expr: "vector(0) > 1"}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def play(directory: Path):
    (directory / "prometheus.yml").write_text(CONFIG)
    (directory / "rules.yml").write_text(RULES)
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(  # noqa: ASYNC220 - one short start
        [PROGRAM, f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}",
         f"--web.listen-address={url.removeprefix('http://')}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    queries = [{"name": "Beyond", "query": "vector(7)", "threshold": {"value": 5}}]
    context = INSTALLED.context("live", {"url": url, "queries": queries}, allow_private_addresses=True)
    client = INSTALLED.connector.open(context)
    try:
        found: list = []
        watermark = ""
        until = time.monotonic() + 60
        while len(found) < 2 and time.monotonic() < until:
            with contextlib.suppress(Retryable):  # It does not listen yet.
                probe = await client.probe()
                found, watermark = await poll(client)
            await asyncio.sleep(0.2)
        again, _ = await poll(client, watermark)
        return probe, found, again
    finally:
        await client.close()
        process.terminate()
        process.wait(10)


def test_a_real_prometheus_tells_its_alerts_and_its_numbers(tmp_path):
    probe, found, again = asyncio.run(play(tmp_path))
    assert probe.version.startswith("2.")
    by_name = {each.external.label: each for each in found}
    assert set(by_name) == {"AlwaysFiring", "Beyond"}
    assert by_name["AlwaysFiring"].values["summary"] == "Zürich 🚒"
    assert by_name["AlwaysFiring"].values["severity"] == "critical"
    assert by_name["Beyond"].values["annotations"]["value"] == "7 >= 5"
    assert {each.event_id for each in again} == {each.event_id for each in found}
