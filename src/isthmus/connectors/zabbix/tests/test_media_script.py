"""The shipped media type's script, run in a JavaScript engine with Zabbix' objects put in: what it sends is let in."""

import importlib.util
import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from isthmus.connectors.kit import registry
from isthmus.kernel.instant import Instant

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SECRET = "a-media-type-secret"
# Zabbix runs scripts as the body of a function of `value`; `hmac` and `HttpRequest` are its own.
FRAME = """
const crypto = require('crypto'), sent = {headers: []}, asked = JSON.parse(process.argv[1]);
function hmac(kind, key, text) { return crypto.createHmac(kind, key).update(text).digest('hex'); }
class HttpRequest {
  addHeader(line) { sent.headers.push(line); }
  setProxy(proxy) { sent.proxy = proxy; }
  post(url, body) { sent.url = url; sent.body = body; return 'an answer'; }
  getStatus() { return asked.status; }
}
const run = new Function('value', 'HttpRequest', 'hmac', asked.script);
try { sent.result = run(JSON.stringify(asked.given), HttpRequest, hmac); } catch (error) { sent.error = String(error); }
console.log(JSON.stringify(sent));
"""
GIVEN = {
    "url": "https://hub.example.test/ingest/zabbix/z", "secret": SECRET, "event_id": "30012", "event_value": "1",
    "event_name": "Zürich – ありがとう", "event_nseverity": "5", "event_opdata": "250", "trigger_id": "20007",
    "event_tags": '[{"tag":"scope","value":"performance"}]', "event_timestamp": "1795188198",
    "event_date": "2026.11.20", "event_time": "15:23:18", "event_recovery_id": "{EVENT.RECOVERY.ID}",
    "event_recovery_timestamp": "{EVENT.RECOVERY.TIMESTAMP}", "event_recovery_date": "{EVENT.RECOVERY.DATE}",
    "event_recovery_time": "{EVENT.RECOVERY.TIME}", "event_update_status": "0", "event_ack_status": "No",
    "user_fullname": "{USER.FULLNAME}", "host_host": "web-01.example.test", "host_name": "Web 1", "host_ip": "192.0.2.7",
    "trigger_url": "",
}  # fmt: skip


def engine():
    found = importlib.util.find_spec("playwright")
    bundled = Path(found.origin).parent / "driver" / "node" if found and found.origin else None
    return str(bundled) if bundled and bundled.exists() else shutil.which("node")


pytestmark = pytest.mark.skipif(engine() is None, reason="no JavaScript engine is installed here")


def sent(status=202, **given):
    script = (FOLDER / "media_script.js").read_text(encoding="utf-8")
    asked = {"script": script, "given": {**GIVEN, **given}, "status": status}
    done = subprocess.run(
        [engine(), "-e", FRAME, json.dumps(asked)], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def entered(found):
    """Return what the hub reads in what the script sent, once its signature was let in."""
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in found["headers"])}
    here = INSTALLED.context("zabbix", {"secret": {"secret": "env:S"}}, secrets={"secret": SECRET})
    source, body = INSTALLED.connector.source, found["body"].encode()
    assert source.authenticate(headers, body, here, Instant(time.time_ns() // 1000)) is None
    return source.parse(body, headers, here)[0]


def test_a_problem_is_signed_let_in_and_read():
    found = sent()
    seen = entered(found)
    assert (found["url"], json.loads(found["result"])) == (GIVEN["url"], {"tags": {}})
    assert (seen.values["summary"], seen.values["severity"]) == ("Zürich – ありがとう", "critical")
    assert seen.values["labels"] == {
        "host": "web-01.example.test",
        "trigger": "20007",
        "scope": "performance",
    }
    assert (seen.values["starts_at"], seen.event_id) == (1795188198000000, "30012:problem")
    assert SECRET not in found["body"]


def test_a_recovery_and_an_update_of_a_person():
    over = entered(sent(event_value="0", event_recovery_id="30015", event_recovery_timestamp="1795188300"))
    assert (over.values["state"], over.values["ends_at"], over.event_id) == (
        "resolved",
        1795188300000000,
        "30015:recovery",
    )
    update = {
        "event_update_status": "1",
        "event_update_action": "acknowledged",
        "event_update_message": "mine",
    }
    taken = entered(sent(**update, event_ack_status="Yes", user_fullname="Grace Hopper (grace)"))
    assert (taken.values["acknowledged"], taken.values["acknowledged_by"]) == (True, "Grace Hopper (grace)")


def test_a_version_without_timestamps_is_read_in_the_servers_zone_and_unknown_macros_say_nothing():
    seen = entered(
        sent(event_timestamp="{EVENT.TIMESTAMP}", event_opdata="*UNKNOWN*", event_tags="{EVENT.TAGSJSON}")
    )
    expected = int(time.mktime((2026, 11, 20, 15, 23, 18, 0, 0, -1)))
    assert seen.values["starts_at"] == expected * 1_000_000
    assert "operational_data" not in seen.values["annotations"]
    assert set(seen.values["labels"]) == {"host", "trigger"}


def test_what_the_hub_does_not_take_fails_at_zabbix_which_tries_again():
    assert "503" in sent(status=503)["error"]
    assert SECRET not in sent(status=503)["error"]
