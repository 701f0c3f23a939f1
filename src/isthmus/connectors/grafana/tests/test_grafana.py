"""What is Grafana's own: four ways to prove a webhook, what it adds to an alert, permissions, what ended unseen."""

import json
import time
from pathlib import Path

import pytest

from isthmus.connectors.grafana.simulator import GrafanaSimulator
from isthmus.connectors.kit import registry
from isthmus.connectors.kit.conformance.playing import Play, poll
from isthmus.connectors.kit.conformance.world import NOW
from isthmus.kernel.errors import NeedsOperator
from isthmus.kernel.instant import HOUR, MINUTE, Instant

FOLDER = Path(__file__).parents[1]
INSTALLED = registry.at(FOLDER)
SOURCE = INSTALLED.connector.source
LABELS = {"alertname": "Queue", "instance": "web-01.example.test", "severity": "critical"}
BODY = (FOLDER / "fixtures" / "accepted" / "firing_group__v12.json").read_bytes()


def context(secret="s3cret-of-the-contact-point", **config):
    simulator = GrafanaSimulator()
    return INSTALLED.context(
        "grafana", {**simulator.config("http://x.example"), **config}, secrets={"secret": secret}
    )


PLAY = Play(INSTALLED, "grafana")
running, play = PLAY.running, PLAY.play


@pytest.mark.parametrize("way", ["hmac", "hmac_timestamp", "bearer", "basic"])
def test_each_way_lets_its_own_in_and_none_of_the_others(way):
    here = context("user:pass", authentication=way)
    headers = SOURCE.sign(BODY, here, NOW)
    assert SOURCE.authenticate(headers, BODY, here, NOW) is None
    for other in {"hmac", "bearer", "basic"} - {way, way.removesuffix("_timestamp")}:
        theirs = SOURCE.sign(BODY, context("user:pass", authentication=other), NOW)
        assert SOURCE.authenticate(theirs, BODY, here, NOW) is not None


def test_a_signature_with_time_is_too_old_after_five_minutes_and_one_without_says_nothing_of_time():
    later = Instant(NOW + 6 * MINUTE)
    for way, expected in (("hmac_timestamp", "late"), ("hmac", None)):
        here = context(authentication=way)
        refused = SOURCE.authenticate(SOURCE.sign(BODY, here, NOW), BODY, here, later)
        assert (refused.reason if refused else None) == expected


def test_the_signature_is_the_bare_digest_of_time_and_body():
    """The digest was computed with openssl over `time:body`, as the contact point's documentation describes it."""
    here = context("grafana-secret", authentication="hmac_timestamp", timestamp_header="X-Sent-At")
    digest = "392e81d8ffa5cf32eded476462d3a388b467f86bbca4215e24916d905d50045f"
    headers = {"x-grafana-alerting-signature": digest, "x-sent-at": "1795186920"}
    assert SOURCE.authenticate(headers, b"{}", here, NOW) is None
    prefixed = {**headers, "x-grafana-alerting-signature": f"sha256={digest}"}
    assert SOURCE.authenticate(prefixed, b"{}", here, NOW).status == 401


def test_the_members_that_grafana_adds_become_annotations():
    first = SOURCE.parse(BODY, {}, context())[0]
    annotations = first.values["annotations"]
    assert annotations["grafana_values"] == "B=250, C=1"
    assert annotations["grafana_dashboard_url"].startswith("https://grafana.example.test/d/")
    assert first.external.url.endswith("/view?orgId=1")


def test_webhook_and_poll_name_the_same_event():
    async def act(simulator, client):
        simulator.fire(LABELS)
        sent = simulator.notify()
        return sent, (await poll(client))[0]

    sent, polled = play(act)
    told = SOURCE.parse(json.dumps(sent).encode(), {}, context())
    assert [each.event_id for each in polled] == [each.event_id for each in told]


def test_an_alert_has_ended_once_it_was_missing_for_long_enough(monkeypatch):
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        _, mark = await poll(client)
        simulator.resolve(key)
        at_once, mark = await poll(client, mark)
        later = time.time() + 660
        monkeypatch.setattr("isthmus.connectors.kit.alertmanager_client.time.time", lambda: later)
        return key, at_once, (await poll(client, mark))[0]

    key, at_once, later = play(act)
    assert at_once == []
    assert [(each.external.key, each.values["state"]) for each in later] == [(key, "resolved")]
    assert later[0].values["labels"] == LABELS


def test_an_alert_that_is_listed_again_has_not_ended():
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        _, mark = await poll(client)
        simulator.restart()
        _, mark = await poll(client, mark)
        simulator.fire(LABELS)
        return key, mark, *(await poll(client, mark))

    key, missing, found, listed = play(act)
    assert [(each.external.key, each.values["state"]) for each in found] == [(key, "firing")]
    assert missing.endswith(",0]}}") is False
    assert listed.endswith(",0]}}"), "it is not missing any more"


def test_a_permission_that_is_missing_is_named():
    async def act(simulator, client):
        simulator.permissions.remove("alert.instances:create")
        return await client.probe()

    probe = play(act)
    assert (probe.product, probe.version) == ("Grafana", "12.0.0")
    assert probe.missing_scopes == ("alert.instances:create",)


def test_a_silence_is_kept_below_grafanas_own_path_and_a_persons_acknowledgement_is_read():
    async def act(simulator, client):
        key = simulator.fire(LABELS)
        now = int(time.time() * 1_000_000)
        await client.silence(
            matchers=[],
            starts_at=now,
            ends_at=now + HOUR,
            by="Ada",
            comment="window",
            alert=key,
            idempotency_key="k",
        )
        silenced = (await poll(client))[0][0].values
        simulator.add_silence({"alertname": "Queue"}, comment="ACK! mine", by="grace")
        return {each.path for each in simulator.writes()}, silenced, (await poll(client))[0][0].values

    paths, silenced, taken = play(act)
    assert paths == {"/api/alertmanager/grafana/api/v2/silences"}
    assert (silenced["silenced"], silenced["acknowledged"]) == (True, False)
    assert (taken["acknowledged"], taken["acknowledged_by"]) == (True, "grace")


def test_without_an_address_nothing_can_be_called():
    here = INSTALLED.context("grafana", {"secret": {"secret": "env:S"}})
    with pytest.raises(NeedsOperator):
        INSTALLED.connector.open(here)
