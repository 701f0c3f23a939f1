"""A fake SNS with a CloudWatch behind it: signed messages, its certificate, subscriptions that wait for confirmation."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from isthmus.connectors.kit.simulator import Simulator
from isthmus.connectors.sns.message import NOTIFICATION, SUBSCRIBED, TYPE_HEADER, UNSUBSCRIBED, Message
from isthmus.connectors.sns.signing import signed_bytes

TOPIC = "arn:aws:sns:eu-central-1:123456789012:itsm"
CERTIFICATE_PATH = "/SimpleNotificationService-c53f10f5488d4ca183fd7229e1765f30.pem"


class SnsSimulator(Simulator):
    """One topic. `endpoint` True makes the connection fetch certificate and confirmation from this server."""

    name = "SNS simulator"

    def __init__(self, *, endpoint: bool = False) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.confirmed: list[str] = []

    def config(self, url: str) -> dict[str, Any]:
        """Return a connection to the topic; by default with the certificate pinned."""
        if self.endpoint:
            return {"topics": [TOPIC], "endpoint": url}
        return {"topics": [TOPIC], "certificate": {"secret": "file:/etc/isthmus/sns.pem"}}

    def secrets(self) -> dict[str, str]:
        """Return the pinned certificate."""
        return {} if self.endpoint else {"certificate": signer()[0]}

    def authorised(self, request: web.Request) -> bool:
        """Anybody may fetch the certificate; confirmations carry a token."""
        del request
        return True

    def routes(self) -> list[web.RouteDef]:
        """Return certificate and confirmation."""
        return [web.get(CERTIFICATE_PATH, self._certificate), web.get("/", self._confirm)]

    def alarm(
        self, name: str, state: str = "ALARM", reason: str = "Threshold crossed", **more: Any
    ) -> dict[str, Any]:
        """Send (and return) the notification of an alarm's new state."""
        now = dt.datetime.now(dt.UTC)
        said = {
            "AlarmName": name,
            "AlarmDescription": None,
            "AWSAccountId": "123456789012",
            "NewStateValue": state,
            "NewStateReason": reason,
            "StateChangeTime": now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
            "Region": "EU (Frankfurt)",
            "AlarmArn": f"arn:aws:cloudwatch:eu-central-1:123456789012:alarm:{name}",
            "OldStateValue": "OK",
            "Trigger": {"MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Dimensions": []},
            **more,
        }
        return self._send(NOTIFICATION, json.dumps(said), Subject=f"{state}: {name}")

    def subscribe(self) -> dict[str, Any]:
        """Ask the endpoint to confirm its subscription."""
        return self._confirmation(SUBSCRIBED, "You have chosen to subscribe.")

    def unsubscribe(self) -> dict[str, Any]:
        """Tell the endpoint that it was unsubscribed."""
        return self._confirmation(UNSUBSCRIBED, "You have chosen to deactivate subscription.")

    def seed(self, kind: str, count: int) -> list[str]:
        """Send `count` alarms."""
        del kind
        return [json.loads(self.alarm(f"seeded-{n}")["Message"])["AlarmArn"] for n in range(count)]

    def human_edit(self, kind: str, key: str, values: Mapping[str, Any]) -> None:
        """Send another state of an alarm."""
        del kind, values
        self.alarm(key.rpartition(":")[2], "OK", "Back to normal")

    def _confirmation(self, kind: str, text: str) -> dict[str, Any]:
        token = uuid.uuid4().hex
        url = f"https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}"
        return self._send(kind, text, Token=token, SubscribeURL=url)

    def _send(self, kind: str, text: str, **more: str) -> dict[str, Any]:
        made = signed(
            {
                "Type": kind,
                "MessageId": str(uuid.uuid4()),
                "TopicArn": TOPIC,
                "Message": text,
                "Timestamp": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
                **more,
            }
        )
        self.emit(made, {TYPE_HEADER: kind, "Content-Type": "text/plain; charset=UTF-8"})
        return made

    async def _certificate(self, request: web.Request) -> web.Response:
        del request
        return web.Response(text=signer()[0], content_type="binary/octet-stream")

    async def _confirm(self, request: web.Request) -> web.Response:
        self.confirmed.append(request.query["Token"])
        return web.Response(text="<ConfirmSubscriptionResponse/>", content_type="text/xml")


def signed(message: Mapping[str, Any], *, version: str = "2") -> dict[str, Any]:
    """Return a message with the signature of the simulated SNS."""
    region = message["TopicArn"].split(":")[3]
    whole = {
        **message,
        "SignatureVersion": version,
        "Signature": "-",
        "SigningCertURL": f"https://sns.{region}.amazonaws.com{CERTIFICATE_PATH}",
    }
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303 - SNS' version 1
    key = serialization.load_pem_private_key(signer()[1].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - the file of this folder
    signature = key.sign(signed_bytes(msgspec.convert(whole, Message)), padding.PKCS1v15(), algorithm)
    return {**whole, "Signature": base64.b64encode(signature).decode()}


@functools.cache
def signer() -> tuple[str, str]:
    """Return certificate and private key of the simulated SNS (PEM); nobody else trusts it."""
    held = json.loads((Path(__file__).parent / "fixtures" / "simulated_signer.json").read_text())
    return held["certificate"], held["key"]
