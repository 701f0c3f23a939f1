"""Configuration of a connection to CloudWatch alarms that come through SNS."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from isthmus.connectors.kit.alerts import Severity
from isthmus.connectors.kit.config import ConnectorConfig
from isthmus.kernel.secretref import SecretRef

TOPIC = re.compile(r"arn:(?:aws|aws-cn|aws-us-gov):sns:([a-z0-9-]{3,30}):\d{12}:[A-Za-z0-9_.-]{1,256}")


class SnsConfig(ConnectorConfig, frozen=True, kw_only=True):
    """Signed SNS messages of pinned topics; nothing is asked of AWS but the certificate and the confirmation."""

    topics: Annotated[
        list[str],
        Meta(
            description="ARNs of the topics that may send here; nothing of another topic is even looked at.",
            min_length=1,
            max_length=100,
        ),
    ]
    certificate: Annotated[
        SecretRef | None,
        Meta(
            description="PEM of the signing certificate(s) to trust instead of fetching them from "
            "sns.<region>.amazonaws.com; for hubs without a way out."
        ),
    ] = None
    endpoint: Annotated[
        str,
        Meta(
            description="Base URL of an SNS of your own (LocalStack, moto) whose certificate and confirmation links "
            "are believed instead of AWS's. Empty: AWS."
        ),
    ] = ""
    sha256_only: Annotated[
        bool, Meta(description="Refuse signature version 1 (SHA-1); the topic must use version 2.")
    ] = False
    age_hours_max: Annotated[
        int, Meta(description="Messages older than this are refused as replayed.", ge=1, le=720)
    ] = 24
    severity: Annotated[
        Severity, Meta(description="The severity of an alarm; CloudWatch knows none of its own.")
    ] = "error"
    severities: Annotated[
        dict[str, Severity],
        Meta(description="Word in an alarm's name (between - _ . / or blanks) → its severity instead."),
    ] = {}
    insufficient_data: Annotated[
        Literal["keep", "firing", "resolved"],
        Meta(description="What INSUFFICIENT_DATA means: the alert stays as it is, fires, or is over."),
    ] = "keep"

    def __post_init__(self) -> None:
        for each in self.topics:
            if not TOPIC.fullmatch(each):
                raise ValueError(f"{each!r} is no topic ARN; write arn:aws:sns:<region>:<account>:<name>")
        if self.endpoint and not self.endpoint.startswith(("https://", "http://")):
            raise ValueError("endpoint must be an http or https URL")
