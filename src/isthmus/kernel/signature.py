"""Signature schemes of webhooks: each a row of a table, verified in constant time.

A scheme is pure: headers (lower-case names), raw body, secrets and `now` go in, a `Failure` or None comes
out. Several secrets may be valid at once, for rotation. `sign` makes what `verify` accepts, for simulators
and for our own outgoing webhooks. Schemes with a trustworthy timestamp refuse what is older than their age
limit; those whose sender queues and replays (GLPI) do not. Replays within the limit are recognised by event
id, or by the nonce header that the scheme declares.
Sources: the vendors' documentation as listed in `external-systems.md` of the project's design notes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from isthmus.kernel.errors import Rejected
from isthmus.kernel.instant import SECOND, Instant, from_rfc3339, to_rfc3339

HEADER_CHARACTERS_MAX = 8_192
SIGNATURES_MAX = 10


class Failure(StrEnum):
    """Why a signature was not accepted; the words are bounded, for counters."""

    MISSING = "missing"
    MALFORMED = "malformed"
    LATE = "late"
    WRONG = "wrong"
    NO_SECRET = "no_secret"  # noqa: S105 - the name of a fault


class Scheme(Protocol):
    """One way to authenticate a request."""

    @property
    def nonce_header(self) -> str:
        """The header that is unique per delivery and stable over retries, or ""."""
        ...

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: Instant
    ) -> Failure | None:
        """Return why the request is not authentic, or None if it is."""
        ...

    def sign(self, body: bytes, secret: str, now: Instant, nonce: str = "") -> dict[str, str]:
        """Return the headers of an authentic request."""
        ...


Layout = Literal[
    "body", "timestamp+body", "body+timestamp", "timestamp:body", "v0:timestamp:body", "id.timestamp.body"
]
_JOINS: Mapping[Layout, tuple[str, ...]] = {
    "body": ("body",),
    "timestamp+body": ("timestamp", "body"),
    "body+timestamp": ("body", "timestamp"),
    "timestamp:body": ("timestamp", ":", "body"),
    "v0:timestamp:body": ("v0:", "timestamp", ":", "body"),
    "id.timestamp.body": ("id", ".", "timestamp", ".", "body"),
}


@dataclass(frozen=True, kw_only=True)
class Hmac:
    """An HMAC over the raw body and, by `layout`, a timestamp and an id.

    `header` carries `prefix` + the digest in `encoding`; `separator` splits several signatures (any may
    match). `clock`: how the timestamp header is written; `age_seconds_max` None: no age check. `key`: how the
    secret becomes key bytes (`text`, `base64`, `whsec`).
    """

    header: str
    prefix: str = ""
    algorithm: Literal["sha256", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    separator: str = ""
    layout: Layout = "body"
    timestamp_header: str = ""
    clock: Literal["epoch", "rfc3339"] = "epoch"
    age_seconds_max: int | None = None
    key: Literal["text", "base64", "whsec"] = "text"
    nonce_header: str = ""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: Instant
    ) -> Failure | None:
        """Return why the signature is not ours, or None."""
        if not any(secrets):
            return Failure.NO_SECRET
        stated = headers.get(self.header, "")
        timestamp = headers.get(self.timestamp_header, "") if self.timestamp_header else ""
        nonce = headers.get(self.nonce_header, "") if self.nonce_header else ""
        signs_id = self.layout == "id.timestamp.body"
        if not stated or (self.timestamp_header and not timestamp) or (signs_id and not nonce):
            return Failure.MISSING
        if len(stated) > HEADER_CHARACTERS_MAX or len(timestamp) > 64:
            return Failure.MALFORMED
        candidates = self._candidates(stated)
        if candidates is None:
            return Failure.MALFORMED
        if (fault := self._age_fault(timestamp, now)) is not None:
            return fault
        matched = False
        for secret in secrets:
            expected = self._digest(body, secret, timestamp, nonce)
            for each in candidates:  # All are compared: the time taken says nothing about which matched.
                matched |= expected is not None and hmac.compare_digest(expected, each)
        return None if matched else Failure.WRONG

    def sign(self, body: bytes, secret: str, now: Instant, nonce: str = "") -> dict[str, str]:
        """Return the headers that authenticate `body`."""
        timestamp = str(now // SECOND) if self.clock == "epoch" else to_rfc3339(now)
        digest = self._digest(body, secret, timestamp, nonce)
        if digest is None:
            raise Rejected(
                "The secret is not in the form that the scheme needs.", remedy="It must be base64."
            )
        shown = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        made = {self.header: self.prefix + shown}
        if self.timestamp_header:
            made[self.timestamp_header] = timestamp
        if self.nonce_header and nonce:
            made[self.nonce_header] = nonce
        return made

    def _candidates(self, stated: str) -> list[bytes] | None:
        parts = stated.split(self.separator) if self.separator else [stated]
        found = []
        for part in parts[:SIGNATURES_MAX]:
            text = part.strip()
            if not text.startswith(self.prefix):
                continue
            try:
                text = text.removeprefix(self.prefix)
                found.append(
                    bytes.fromhex(text) if self.encoding == "hex" else base64.b64decode(text, validate=True)
                )
            except (ValueError, binascii.Error):
                return None
        return found or None

    def _age_fault(self, timestamp: str, now: Instant) -> Failure | None:
        if not self.timestamp_header or self.age_seconds_max is None:
            return None
        try:
            stated = int(timestamp) * SECOND if self.clock == "epoch" else from_rfc3339(timestamp)
        except (ValueError, Rejected):
            return Failure.MALFORMED
        # A time in the future is as wrong as an old one: it would stay valid for longer than intended.
        return Failure.LATE if abs(now - stated) > self.age_seconds_max * SECOND else None

    def _digest(self, body: bytes, secret: str, timestamp: str, nonce: str) -> bytes | None:
        if not secret:
            return None
        try:
            match self.key:
                case "text":
                    key = secret.encode()
                case "base64":
                    key = base64.b64decode(secret, validate=True)
                case "whsec":
                    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            return None
        parts = {"body": body, "timestamp": timestamp.encode(), "id": nonce.encode()}
        message = b"".join(parts.get(each, each.encode()) for each in _JOINS[self.layout])
        return hmac.new(key, message, getattr(hashlib, self.algorithm)).digest()


@dataclass(frozen=True, kw_only=True)
class Token:
    """A shared secret sent in clear in a header (GitLab's old token, a custom header, a bearer token)."""

    header: str
    prefix: str = ""
    nonce_header: str = ""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: Instant
    ) -> Failure | None:
        """Return why the token is not ours, or None."""
        del body, now
        if not any(secrets):
            return Failure.NO_SECRET
        stated = headers.get(self.header, "")
        if not stated:
            return Failure.MISSING
        if len(stated) > HEADER_CHARACTERS_MAX or stated[: len(self.prefix)].lower() != self.prefix.lower():
            return Failure.MALFORMED
        given = stated[len(self.prefix) :].strip().encode()
        matched = False
        for secret in secrets:
            matched |= bool(secret) and _same(given, secret.encode())
        return None if matched else Failure.WRONG

    def sign(self, body: bytes, secret: str, now: Instant, nonce: str = "") -> dict[str, str]:
        """Return the header that carries the token."""
        del body, now
        extra = {self.nonce_header: nonce} if self.nonce_header and nonce else {}
        return {self.header: self.prefix + secret, **extra}


@dataclass(frozen=True, kw_only=True)
class BasicAuthentication:
    """HTTP basic authentication; a secret is written `user:password`."""

    nonce_header: str = ""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: Instant
    ) -> Failure | None:
        """Return why the pair is not ours, or None."""
        del body, now
        if not any(secrets):
            return Failure.NO_SECRET
        stated = headers.get("authorization", "")
        if not stated:
            return Failure.MISSING
        if stated[:6].lower() != "basic " or len(stated) > HEADER_CHARACTERS_MAX:
            return Failure.MALFORMED
        try:
            given = base64.b64decode(stated[6:].strip(), validate=True)
        except (ValueError, binascii.Error):
            return Failure.MALFORMED
        matched = False
        for secret in secrets:
            matched |= bool(secret) and _same(given, secret.encode())
        return None if matched else Failure.WRONG

    def sign(self, body: bytes, secret: str, now: Instant, nonce: str = "") -> dict[str, str]:
        """Return the header that carries the pair."""
        del body, now, nonce
        return {"authorization": "Basic " + base64.b64encode(secret.encode()).decode()}


FIVE_MINUTES = 300
BEARER = Token(header="authorization", prefix="Bearer ")
BASIC = BasicAuthentication()
SCHEMES: Mapping[str, Scheme] = {
    "bearer": BEARER,
    "basic": BASIC,
    "hub_sha256": Hmac(
        header="x-hub-signature", prefix="sha256=", nonce_header="x-atlassian-webhook-identifier"
    ),
    "hub_sha1": Hmac(
        header="x-hub-signature", prefix="sha1=", algorithm="sha1", nonce_header="x-zammad-delivery"
    ),
    "github": Hmac(header="x-hub-signature-256", prefix="sha256=", nonce_header="x-github-delivery"),
    "gitlab_token": Token(header="x-gitlab-token", nonce_header="x-gitlab-event-uuid"),
    "standard_webhooks": Hmac(
        header="webhook-signature",
        prefix="v1,",
        encoding="base64",
        separator=" ",
        layout="id.timestamp.body",
        timestamp_header="webhook-timestamp",
        age_seconds_max=FIVE_MINUTES,
        key="whsec",
        nonce_header="webhook-id",
    ),
    "zendesk": Hmac(
        header="x-zendesk-webhook-signature",
        encoding="base64",
        layout="timestamp+body",
        timestamp_header="x-zendesk-webhook-signature-timestamp",
        clock="rfc3339",
        age_seconds_max=FIVE_MINUTES,
        nonce_header="x-zendesk-webhook-invocation-id",
    ),
    "glpi": Hmac(header="x-glpi-signature", layout="body+timestamp", timestamp_header="x-glpi-timestamp"),
    "grafana": Hmac(header="x-grafana-alerting-signature"),
    "grafana_timestamp": Hmac(
        header="x-grafana-alerting-signature",
        layout="timestamp:body",
        timestamp_header="x-grafana-alerting-timestamp",
        age_seconds_max=FIVE_MINUTES,
    ),
    "pagerduty": Hmac(header="x-pagerduty-signature", prefix="v1=", separator=","),
    "slack": Hmac(
        header="x-slack-signature",
        prefix="v0=",
        layout="v0:timestamp:body",
        timestamp_header="x-slack-request-timestamp",
        age_seconds_max=FIVE_MINUTES,
    ),
    "teams": Hmac(header="authorization", prefix="HMAC ", encoding="base64", key="base64"),
    # Ours, for the scripts that we ship to systems that cannot sign by themselves (Nagios, Zabbix).
    "isthmus": Hmac(
        header="x-isthmus-signature",
        prefix="sha256=",
        layout="timestamp:body",
        timestamp_header="x-isthmus-timestamp",
        age_seconds_max=FIVE_MINUTES,
    ),
}
"""Scheme by name, as configurations and manifests write it."""


def _same(given: bytes, secret: bytes) -> bool:
    # Digests first: equal lengths, so that the comparison does not reveal the secret's length.
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(secret).digest())
