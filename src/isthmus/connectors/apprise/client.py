"""Carries messages to the long tail of services through Apprise: one address, one message, no evidence but a yes.

Apprise answers yes or no and has no look-up, so a no may hide an effect: it is an unknown outcome, and a message
in doubt is never repeated here.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from isthmus.connectors.kit import doubt, pacing
from isthmus.connectors.kit.address_guard import refusal
from isthmus.connectors.kit.ports import Context, Probe, Written
from isthmus.kernel.errors import NeedsOperator, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.observation import ExternalRef
from isthmus.kernel.record import Json

TEXT_MAX = 4_000
_KINDS = {"critical": "failure", "error": "failure", "warning": "warning"}
# The library logs addresses with their credentials; what matters is said by our own errors.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


class AppriseClient:
    """The client of one Apprise address."""

    def __init__(self, context: Context) -> None:
        self._connection = context.connection
        self._address = context.secret("url")
        self._seconds = context.limits.request_seconds_max
        self._private = context.allow_private_addresses

    async def close(self) -> None:
        """Nothing is held between messages."""

    async def probe(self) -> Probe:
        """Say whether the address is one that Apprise knows; nothing is called."""
        found = await asyncio.to_thread(self._service, "probe")
        return Probe(
            product=f"Apprise: {found.service_name}", version="", notes=("It is called with messages only.",)
        )

    async def notify(self, *, message: Mapping[str, Json], idempotency_key: str) -> Written:
        """Hand one message over; `ref.key` is our own key, as these services name nothing."""
        if doubt.exists():
            raise Rejected(
                "The service may have the message already, and it cannot be asked.",
                remedy="Give the channel a fall-back that can be asked.",
            )
        await asyncio.to_thread(_library)
        await pacing.wait()
        try:
            await asyncio.wait_for(asyncio.to_thread(self._send, dict(message)), self._seconds)
        except TimeoutError:
            raise UnknownOutcome(
                "The service did not answer in time.", remedy="Another way is taken."
            ) from None
        return Written(ref=ExternalRef(connection=self._connection, kind="message", key=idempotency_key))

    # In a thread: the library is synchronous

    def _send(self, message: Mapping[str, Any]) -> None:
        service = self._service(str(message.get("recipient") or ""))
        if not service.enabled:
            raise NeedsOperator(
                f"Apprise cannot use {service.service_name} here: a library that it needs is not installed.",
                remedy="Install what Apprise's page of that service names.",
            )
        kind = _KINDS.get(str(message.get("severity") or ""), "info")
        self._guard(service)
        try:
            taken = service.notify(
                body=_text(message), title=str(message.get("title") or ""), notify_type=kind
            )
        except Exception:  # noqa: BLE001 - `from None`: a plugin's error may quote its address
            raise UnknownOutcome("The service's plugin failed.", remedy="Another way is taken.") from None
        if not taken:
            raise UnknownOutcome("The service did not take the message.", remedy="Another way is taken.")

    def _service(self, recipient: str) -> Any:
        apprise = _library()
        address = self._address.replace("{recipient}", quote(recipient, safe=""))
        found = apprise.Apprise.instantiate(address, suppress_exceptions=True)
        if found is None:
            raise NeedsOperator(
                f"Connection {self._connection!r} has no address that Apprise knows.",
                remedy="Write it as Apprise's page of the service says.",
            )
        found.socket_connect_timeout = min(4.0, self._seconds)
        found.socket_read_timeout = self._seconds
        return found

    def _guard(self, service: Any) -> None:
        """Keep messages out of our own network: the library opens its sockets itself, so names are looked up here."""
        import socket

        host = getattr(service, "host", "") or urlsplit(self._address).hostname or ""
        if self._private or not host or "." not in host:
            return
        try:
            found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
        except OSError as cause:
            raise Retryable(
                f"{host}: the name is not found.", remedy="It is tried again by itself."
            ) from cause
        for each in found:
            if refusal(each):
                raise NeedsOperator(
                    f"{host}: the address is inside a private or local network.",
                    remedy="Use a public address, or allow private addresses for this installation.",
                )


@functools.cache
def _library() -> Any:
    """Return the library, imported with the first message: it brings over a hundred plugins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        apprise.Apprise.instantiate("json://localhost", suppress_exceptions=True)
    return apprise


def _text(message: Mapping[str, Any]) -> str:
    facts: Any = message.get("facts")
    lines = [f"{each[0]}: {each[1]}" for each in (facts if isinstance(facts, list) else []) if len(each) == 2]
    actions: Any = message.get("actions")
    links = [
        f"{each['label']}: {each['url']}"
        for each in (actions if isinstance(actions, list) else [])
        if isinstance(each, dict) and each.get("url")
    ]
    link = str(message.get("link") or "")
    parts = [str(message.get("text") or ""), *lines, *links, *([link] if link else [])]
    return "\n".join(each for each in parts if each)[:TEXT_MAX]
