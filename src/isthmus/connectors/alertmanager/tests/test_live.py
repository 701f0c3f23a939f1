"""Against a real Alertmanager, where one is installed: fire, resolve and read back through the connector."""

import asyncio
import datetime as dt
import shutil
import socket
import subprocess
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.world import NOW

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
INSTALLED = registry.at(Path(__file__).parents[1])
LABELS = {"alertname": "QueueDepth", "instance": "web-01.example.test", "severity": "critical"}

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Alertmanager is installed here")

CONFIG = """
global: {{resolve_timeout: 1m}}
route: {{receiver: isthmus, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
- name: isthmus
  webhook_configs:
  - url: 'http://127.0.0.1:{port}/hook'
    send_resolved: true
    http_config: {{authorization: {{type: Bearer, credentials: a-token}}}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def received(requests: asyncio.Queue, state: str):
    """Return the connector's reading of the next webhook whose first alert is in `state`."""
    source = INSTALLED.connector.source
    here = INSTALLED.context("live", {"token": {"secret": "env:T"}}, secrets={"token": "a-token"})
    while True:
        headers, body = await asyncio.wait_for(requests.get(), 20)
        assert source.authenticate(headers, body, here, NOW) is None
        source.check(body, headers, here)
        found = source.parse(body, headers, here)
        if found[0].values["state"] == state:
            return found


async def play(directory: Path):
    requests: asyncio.Queue = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        await requests.put((headers, await request.read()))
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    (directory / "config.yml").write_text(CONFIG.format(port=runner.addresses[0][1]))
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(  # noqa: ASYNC220 - one short start
        [PROGRAM, f"--config.file={directory / 'config.yml'}", f"--storage.path={directory / 'data'}",
         f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    config = {"token": {"secret": "env:T"}, "url": url}
    client = INSTALLED.connector.open(INSTALLED.context("live", config, allow_private_addresses=True))
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(100):
                try:
                    probe = await client.probe()
                    break
                except Exception:
                    await asyncio.sleep(0.1)
            now = dt.datetime.now(dt.UTC)
            alert = {"labels": LABELS, "annotations": {"summary": "Zürich 🚒"}, "startsAt": now.isoformat()}
            (await session.post(f"{url}/api/v2/alerts", json=[alert])).raise_for_status()
            firing = await received(requests, "firing")
            polled = [each async for page in client.changed_since("alert", "") for each in page.observations]
            ended = {**alert, "endsAt": (now + dt.timedelta(milliseconds=1)).isoformat()}
            (await session.post(f"{url}/api/v2/alerts", json=[ended])).raise_for_status()
            resolved = await received(requests, "resolved")
            return probe, firing, polled, resolved
    finally:
        await client.close()
        process.terminate()
        process.wait(10)
        await runner.cleanup()


def test_a_real_alertmanager_fires_resolves_and_reads_back(tmp_path):
    from isthmus.connectors.alertmanager.simulator import fingerprint

    probe, firing, polled, resolved = asyncio.run(play(tmp_path))
    assert probe.version.startswith("0.")
    assert firing[0].external.key == fingerprint(LABELS)
    assert firing[0].values["summary"] == "Zürich 🚒"
    assert [each.event_id for each in polled] == [firing[0].event_id], (
        "webhook and poll must name the same event"
    )
    assert resolved[0].external == firing[0].external
    assert resolved[0].event_id != firing[0].event_id
    assert resolved[0].values["ends_at"] > resolved[0].values["starts_at"]
