"""CloudWatch alarms in SNS messages as alerts, and what happens to the subscription itself. Pure, one way."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from isthmus.connectors.kit import alerts
from isthmus.connectors.kit.alerts import Severity, State
from isthmus.connectors.kit.webhook import shape_error
from isthmus.connectors.sns.config import SnsConfig
from isthmus.connectors.sns.message import NOTIFICATION, SUBSCRIBED, Message, moment
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.record import Json

_WORDS = re.compile(r"[-_./\s]+")
CHILDREN_MAX = 100


class Dimension(Struct, frozen=True):
    """One dimension of a metric."""

    name: str
    value: str


class Trigger(Struct, frozen=True):
    """What a metric alarm watches; composite and expression alarms leave most of it out."""

    MetricName: str = ""
    Namespace: str = ""
    Dimensions: Annotated[list[Dimension], Meta(max_length=100)] = []
    Threshold: float | None = None
    ComparisonOperator: str = ""
    Period: int | None = None


class Alarm(Struct, frozen=True):
    """The alarm inside `Message`."""

    AlarmName: Annotated[str, Meta(min_length=1, max_length=500)]
    AlarmArn: Annotated[str, Meta(min_length=1, max_length=500)]
    NewStateValue: Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
    StateChangeTime: str
    NewStateReason: str = ""
    OldStateValue: str = ""
    AlarmDescription: str | None = None
    AWSAccountId: str = ""
    Region: str = ""
    Trigger: Trigger | None = None
    AlarmRule: str | None = None
    TriggeringChildren: Annotated[list[dict[str, Any]], Meta(max_length=CHILDREN_MAX)] = []


_decode = msgspec.json.Decoder(Alarm)


def observations(message: Message, connection: str, config: SnsConfig) -> list[Observation]:
    """Return what a message says: the state of an alarm, or that the topic began or ended to send."""
    if message.Type == NOTIFICATION:
        return _alarm(message, connection, config)
    return [_subscription(message, connection)]


def _alarm(message: Message, connection: str, config: SnsConfig) -> list[Observation]:
    alarm = _decoded(message.Message)
    changed = _changed_at(alarm)
    state = _state(alarm, config)
    if state is None:
        return []
    severity = _severity(alarm.AlarmName, config)
    trigger = alarm.Trigger or Trigger()
    labels: dict[str, Any] = {
        **{each.name: each.value for each in trigger.Dimensions},
        "alarm": alarm.AlarmName,
        "account": alarm.AWSAccountId,
        "region": alarm.Region,
        "namespace": trigger.Namespace,
        "metric": trigger.MetricName,
        "topic": message.TopicArn,
    }
    evidence: dict[str, Json] = {}
    if alarm.TriggeringChildren:
        evidence["children"] = [str(each.get("Arn", "")) for each in alarm.TriggeringChildren]
    return [
        alerts.alert(
            connection=connection,
            key=alarm.AlarmArn,
            label=alarm.AlarmName,
            state=state,
            summary=f"{alarm.AlarmName}: {alarm.NewStateReason}" if alarm.NewStateReason else alarm.AlarmName,
            labels=labels,
            annotations={"description": alarm.AlarmDescription, "rule": alarm.AlarmRule},
            starts_at=changed if state == "firing" else None,
            ends_at=changed if state == "resolved" else None,
            event_id=message.MessageId,
            more={"severity": severity},
            evidence=evidence,
        )
    ]


def _state(alarm: Alarm, config: SnsConfig) -> State | None:
    match alarm.NewStateValue:
        case "ALARM":
            return "firing"
        case "OK":
            return "resolved"
        case _ if config.insufficient_data == "keep":
            return None
        case _:
            return "firing" if config.insufficient_data == "firing" else "resolved"


def _severity(name: str, config: SnsConfig) -> Severity:
    table = {word.lower(): severity for word, severity in config.severities.items()}
    for word in _WORDS.split(name.lower()):
        if word in table:
            return table[word]
    return config.severity


def _subscription(message: Message, connection: str) -> Observation:
    """A topic that was unsubscribed is silent from now on: that is an alert, until it is confirmed anew."""
    confirmed = message.Type == SUBSCRIBED
    at = alerts.moment(moment(message.Timestamp))
    said = (
        "confirmed this subscription" if confirmed else "was unsubscribed: its alarms do not arrive any more"
    )
    return alerts.alert(
        connection=connection,
        key=f"subscription/{message.TopicArn}",
        state="resolved" if confirmed else "firing",
        summary=f"The topic {message.TopicArn.rpartition(':')[2]} {said}.",
        labels={"alertname": "SnsSubscription", "topic": message.TopicArn},
        starts_at=None if confirmed else at,
        ends_at=at if confirmed else None,
        event_id=message.MessageId,
        more={"severity": "warning"},
    )


def _decoded(text: str) -> Alarm:
    try:
        return _decode.decode(text)
    except msgspec.ValidationError as cause:
        inner = shape_error(cause).problems[0]
        path = f"/Message{inner.path}"
        problem = Problem(path=path, message=inner.message, remedy=_REMEDY)
        raise Rejected(f"{path}: {inner.message}.", remedy=_REMEDY, problems=(problem,)) from cause
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        problem = Problem(path="/Message", message="is no CloudWatch alarm", remedy=_REMEDY)
        raise Rejected("/Message is no CloudWatch alarm.", remedy=_REMEDY, problems=(problem,)) from cause


_REMEDY = "Point this connection at a topic that only alarms of CloudWatch publish to."


def _changed_at(alarm: Alarm) -> Instant:
    found = alerts.moment(moment(alarm.StateChangeTime))
    if found is None:
        problem = Problem(path="/Message/StateChangeTime", message="must be a time with a zone")
        raise Rejected("/Message/StateChangeTime must be a time with a zone.", problems=(problem,))
    return found
