"""One fact, whatever carries it: the canonical result is the same, field by field, apart from its source."""

import base64
import json

import pytest

from isthmus.connectors.kit import registry
from isthmus.connectors.sns.simulator import TOPIC, signed

HOST, CHECK, SUMMARY = "web-01.example.test", "disk", "Disk is full – Zürich 🚒"
AT = "2026-11-20T14:57:24Z"
SECRET = {"secret": "env:X"}
STATES = {"failed": "firing", "recovered": "resolved"}
FIELDS = {
    "state": "/data/state", "severity": "/data/level", "summary": "/data/text",
    "labels": "{'host': body.data.host, 'check': body.data.check}",
}  # fmt: skip
RULE = {
    "kind": "alert",
    "key": "/data/host",
    "occurred_at": "/time",
    "fields": FIELDS,
    "tables": {"state": STATES},
}


def data(state):
    return {"host": HOST, "check": CHECK, "state": state, "level": "error", "text": SUMMARY}


def event(state, **more):
    return {"specversion": "1.0", "id": f"1-{state}", "source": "/probes", "type": "check", "time": AT,
            "datacontenttype": "application/json", "data": data(state), **more}  # fmt: skip


def webhook(state):
    body = {"time": AT, "data": data(state)}
    return "webhook", {"authentication": "bearer", "secret": SECRET, "rules": [RULE]}, json.dumps(body), {}


def cloudevents(mode):
    def carried(state):
        config = {"secret": SECRET, "rules": [RULE]}
        if mode == "binary":
            headers = {"content-type": "application/json", "ce-specversion": "1.0", "ce-id": "1",
                       "ce-source": "/probes", "ce-type": "check", "ce-time": AT}  # fmt: skip
            return "cloudevents", config, json.dumps(data(state)), headers
        if mode == "batch":
            headers = {"content-type": "application/cloudevents-batch+json"}
            return "cloudevents", config, json.dumps([event(state)]), headers
        body = event(state)
        if mode == "base64":
            body |= {"data": None, "data_base64": base64.b64encode(json.dumps(data(state)).encode()).decode()}
        return "cloudevents", config, json.dumps(body), {"content-type": "application/cloudevents+json"}

    return carried


def syslog(streamed):
    def carried(state):
        rule = {
            "kind": "alert", "key": "/host",
            "fields": {
                "state": "body.data['check@1'].state", "severity": "/severity", "summary": "/message",
                "labels": "{'host': body.host, 'check': body.app}",
            },
            "tables": {"state": STATES},
        }  # fmt: skip
        body = f'<131>1 {AT} {HOST} {CHECK} - - [check@1 state="{state}"] {SUMMARY}'
        return (
            "syslog",
            {"secret": SECRET, "rules": [rule]},
            body,
            {"x-isthmus-peer": "::1"} if streamed else {},
        )

    return carried


def alertmanager(state):
    labels = {"host": HOST, "check": CHECK, "severity": "error"}
    ended = AT if state == "recovered" else "0001-01-01T00:00:00Z"
    alert = {"status": STATES[state], "labels": labels, "annotations": {"summary": SUMMARY}, "startsAt": AT,
             "endsAt": ended, "fingerprint": "0" * 16}  # fmt: skip
    body = {"version": "4", "status": STATES[state], "alerts": [alert]}
    return "alertmanager", {"token": SECRET}, json.dumps(body), {}


def datadog(state):
    word = "Triggered" if state == "failed" else "Recovered"
    body = {"version": "1", "id": state, "monitor": "1", "transition": word, "type": "error", "date": "1795186644",
            "title": SUMMARY, "scope": f"host:{HOST},check:{CHECK}"}  # fmt: skip
    return "datadog", {"token": SECRET}, json.dumps(body), {}


def cloudwatch(state):
    dimensions = [{"name": "host", "value": HOST}, {"name": "check", "value": CHECK}]
    alarm = {"AlarmName": SUMMARY, "AlarmArn": "arn:1", "NewStateValue": "ALARM" if state == "failed" else "OK",
             "StateChangeTime": AT, "Trigger": {"Dimensions": dimensions}}  # fmt: skip
    body = signed({"Type": "Notification", "MessageId": state, "TopicArn": TOPIC, "Message": json.dumps(alarm),
                   "Timestamp": AT})  # fmt: skip
    return "sns", {"topics": [TOPIC]}, json.dumps(body), {}


ALERTS = {
    "webhook": webhook,
    **{f"cloudevents {mode}": cloudevents(mode) for mode in ("structured", "binary", "batch", "base64")},
    "syslog posted": syslog(streamed=False),
    "syslog streamed": syslog(streamed=True),
    "alertmanager": alertmanager,
    "datadog": datadog,
    "cloudwatch": cloudwatch,
}


def observed(carried):
    connector, config, body, headers = carried
    installed = registry.find(connector)
    context = installed.context("anything", config)
    source = installed.connector.source
    raw = body.encode()
    source.check(raw, headers, context)
    (found,) = source.parse(raw, headers, context)
    return found, context


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("transport", ALERTS)
def test_an_alert_is_the_same_whatever_carries_it(transport, state):
    found, _ = observed(ALERTS[transport](state))
    assert found.kind == "alert"
    assert found.values["state"] == STATES[state]
    assert found.values["summary"] == SUMMARY
    assert {name: found.values["labels"][name] for name in ("host", "check")} == {
        "host": HOST,
        "check": CHECK,
    }
    assert found.occurred_at == 1_795_186_644_000_000
    assert found.unknown == {}
    if state == "failed":
        assert found.values["severity"] == "error"
