"""Is a message really from SNS? Pure: the certificate is given, the addresses of its origin are judged, not visited.

The bytes that are signed are the documented members, each name and value on a line of its own, in the order of the
names. Version 1 is RSA with SHA-1, version 2 with SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from isthmus.connectors.sns.config import TOPIC, SnsConfig
from isthmus.connectors.sns.message import NOTIFICATION, Message
from isthmus.kernel.instant import Instant, to_datetime

_HOST = re.compile(r"sns\.([a-z0-9-]{3,30})\.amazonaws\.com(?:\.cn)?")
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9a-fA-F]{8,64}\.pem")
_SIGNED_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
CERTIFICATE_BYTES_MAX = 65_536


def signed_bytes(message: Message) -> bytes:
    """Return the bytes that SNS signs."""
    names = _SIGNED_NOTIFICATION if message.Type == NOTIFICATION else _SIGNED_CONFIRMATION
    pairs = [(name, getattr(message, name)) for name in names]
    return "".join(f"{name}\n{value}\n" for name, value in pairs if value is not None).encode()


def verified(message: Message, certificates: bytes, now: Instant) -> bool:
    """Return whether one of the certificates (PEM, one or several) made the signature and is valid now."""
    try:
        signature = base64.b64decode(message.Signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    algorithm = hashes.SHA1() if message.SignatureVersion == "1" else hashes.SHA256()  # noqa: S303 - SNS' version 1
    moment, data = to_datetime(now), signed_bytes(message)
    for certificate in _loaded(certificates):
        key = certificate.public_key()
        inside = certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc
        if not inside or not isinstance(key, rsa.RSAPublicKey):
            continue
        try:
            key.verify(signature, data, padding.PKCS1v15(), algorithm)
        except InvalidSignature:
            continue
        return True
    return False


def certificate_url(message: Message, config: SnsConfig) -> str:
    """Return where the certificate of a message may be fetched, "" if its address is not SNS' own in that region."""
    url = message.SigningCertURL or ""
    split = urlsplit(url)
    if config.endpoint:
        wanted = urlsplit(config.endpoint)
        # A stand-in signs with the address of AWS: the same path is asked of the stand-in itself.
        path = split.path if _CERTIFICATE_PATH.fullmatch(split.path) else ""
        return f"{wanted.scheme}://{wanted.netloc}{path}" if path else ""
    inside = _is_of_region(url, message.TopicArn) and not split.query and not split.fragment
    return url if inside and _CERTIFICATE_PATH.fullmatch(split.path) else ""


def confirmation_url(message: Message, config: SnsConfig) -> str:
    """Return the link that confirms the subscription of a pinned topic, "" if it leads anywhere else."""
    url = message.SubscribeURL or ""
    split = urlsplit(url)
    asked = parse_qs(split.query, max_num_fields=10)
    fits = (
        asked.get("Action") == ["ConfirmSubscription"]
        and asked.get("TopicArn") == [message.TopicArn]
        and asked.get("Token") == [message.Token]
    )
    if not fits or message.TopicArn not in config.topics:
        return ""
    if config.endpoint:
        wanted = urlsplit(config.endpoint)
        return f"{wanted.scheme}://{wanted.netloc}/?{split.query}"
    return url if _is_of_region(url, message.TopicArn) and split.path in {"", "/"} else ""


def _is_of_region(url: str, topic: str) -> bool:
    split = urlsplit(url)
    found, region = _HOST.fullmatch(split.netloc), TOPIC.fullmatch(topic)
    return split.scheme == "https" and bool(found and region and found[1] == region[1])


@functools.lru_cache(maxsize=64)
def _loaded(certificates: bytes) -> tuple[x509.Certificate, ...]:
    if len(certificates) > CERTIFICATE_BYTES_MAX:
        return ()
    try:
        return tuple(x509.load_pem_x509_certificates(certificates))
    except ValueError:
        return ()
