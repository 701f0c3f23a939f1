"""The HTTP client of connectors: one session per connection, everything bounded, every answer a reaction.

One call is one request: retries, rate limits and breakers belong to the lane that calls. A write whose
outcome is not known raises `UnknownOutcome`; a read in the same place raises `Retryable`.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import msgspec

from isthmus.connectors.kit import answered, pacing
from isthmus.connectors.kit.address_guard import AddressRefusedError, guarded_socket
from isthmus.connectors.kit.attachments import Download, File
from isthmus.connectors.kit.manifest import Limits
from isthmus.connectors.kit.reactions import Answer, PartnerSaidError, error
from isthmus.kernel.errors import IsthmusError, NeedsOperator, Problem, Rejected, Retryable, UnknownOutcome
from isthmus.kernel.wild import Wild

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_EXCERPT_CHARACTERS = 500
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Basic:
    """HTTP basic authentication; `repr` shows neither part."""

    user: str
    password: str

    @classmethod
    def of(cls, credential: str) -> Self:
        """Read `user:password`, as one secret holds both."""
        user, _, password = credential.partition(":")
        return cls(user=user, password=password)

    def __repr__(self) -> str:
        return "Basic(…)"


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Whom to believe over TLS: `ca` is the PEM text of the authority that issued the partner's certificate, `name`
    what its certificate is issued for where the URL says otherwise ("" = the public authorities; the URL's host).
    """

    ca: str = ""
    name: str = ""


class HttpClient:
    """The session of one connection.

    `headers` are sent with every request and may hold credentials; `secrets` are values that must never
    appear in an error or log. Building a client does no I/O: the session opens with the first call.
    """

    def __init__(
        self,
        base_url: str,
        *,
        limits: Limits,
        headers: Mapping[str, str] | None = None,
        basic: Basic | None = None,
        secrets: tuple[str, ...] = (),
        allow_private_addresses: bool = False,
        problems: Callable[[Wild], tuple[Problem, ...]] | None = None,
        trust: Trust | None = None,
    ) -> None:
        split = urlsplit(base_url)
        if split.scheme not in {"http", "https"} or not split.hostname or split.username:
            raise Rejected(
                "The address is not an http or https URL without credentials.",
                remedy="Write it like https://host.example/path and give credentials as secrets.",
                problems=(Problem(path="/url", message="is not a usable URL"),),
            )
        self._base = base_url.rstrip("/")
        self._host = split.netloc
        self._limits = limits
        self._headers = dict(headers or {})
        if basic is not None:
            self._headers["Authorization"] = aiohttp.encode_basic_auth(basic.user, basic.password, "utf-8")
        self._secrets = tuple(each for each in (*secrets, basic.password if basic else "") if each)
        self._allow_private = allow_private_addresses
        self._problems = problems
        self._trust = trust or Trust()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, *, params: Mapping[str, str | int] | None = None) -> Answer:
        """Read `path` (relative to the base URL)."""
        return await self.call("GET", path, params=params)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        data: bytes | Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        writes: bool | None = None,
    ) -> Answer:
        """Make one request and return the answer of a 2xx, or raise the error that fits.

        `writes` says whether the call may change something there; by default every method but GET, HEAD and
        OPTIONS does. (A search by POST passes False.)
        """
        effect = method not in _SAFE if writes is None else writes
        answer = await self.exchange(
            method, path, params=params, json=json, data=data, headers=headers, writes=effect
        )
        found = error(answer, writes=effect, now=time.time(), problems=self._problems)
        if found is not None:
            raise found from PartnerSaidError(self._struck(answer.body))
        return answer

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        data: bytes | Mapping[str, str] | aiohttp.FormData | None = None,
        headers: Mapping[str, str] | None = None,
        writes: bool = True,
    ) -> Answer:
        """Make one request and return the answer whatever its status; transport faults still raise."""
        where = f"{method} {self._host}{path.partition('?')[0]}"
        sent = {**self._headers, **(headers or {})}
        if json is not None:
            data, sent["Content-Type"] = msgspec.json.encode(json), "application/json"
        await pacing.wait()
        try:
            async with self._opened().request(
                method,
                self._base + path,
                params=params,
                data=data,
                headers=sent,
                allow_redirects=False,
                server_hostname=self._trust.name or None,
            ) as response:
                body = await self._bounded(response, where, writes=writes)
                if writes and response.status < 300:
                    answered.note()
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(status=response.status, headers=names, body=body, where=where, writes=writes)
        except (aiohttp.ClientError, TimeoutError, OSError) as cause:
            # `from None`: aiohttp's errors quote the URL with its query, which may hold a token.
            raise self._transport_error(cause, where, writes=writes) from None

    async def lines(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        quiet_seconds: float,
        line_bytes_max: int,
    ) -> AsyncIterator[list[bytes]]:
        """Yield the lines of an answer that has no end, as they come: first an empty list when the partner has
        accepted the call, then every bunch that arrived together. Raises what a read raises when it breaks off,
        and after `quiet_seconds` without a byte (a dead network says nothing either).
        """
        where = f"{method} {self._host}{path.partition('?')[0]}"
        sent = {**self._headers, **(headers or {})}
        body = None if json is None else msgspec.json.encode(json)
        if body is not None:
            sent["Content-Type"] = "application/json"
        await pacing.wait()
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=quiet_seconds)
        try:
            async with self._opened().request(
                method,
                self._base + path,
                data=body,
                headers=sent,
                allow_redirects=False,
                timeout=timeout,
                server_hostname=self._trust.name or None,
            ) as response:
                if response.status != 200:
                    said = await self._bounded(response, where, writes=False)
                    names = {name.lower(): value for name, value in response.headers.items()}
                    answer = Answer(status=response.status, headers=names, body=said, where=where)
                    raise error(answer, writes=False, now=time.time()) or Retryable(
                        f"{where} answered {response.status}.", remedy="Check the connection's URL."
                    )
                yield []
                half = b""
                async for part in response.content.iter_any():
                    *whole, half = (half + part).split(b"\n")
                    if len(half) > line_bytes_max:
                        raise Retryable(f"{where} sent a line of more than {line_bytes_max} bytes.")
                    if found := [line for line in whole if line.strip()]:
                        yield found
        except (aiohttp.ClientError, TimeoutError, OSError) as cause:
            raise self._transport_error(cause, where, writes=False) from None

    async def download(
        self,
        path: str,
        *,
        bytes_max: int,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Download:
        """Return the content at `path`, hashed while it passes; `Rejected` as soon as it exceeds `bytes_max`."""
        where = f"GET {self._host}{path.partition('?')[0]}"
        sent = {**self._headers, "Accept": "*/*", **(headers or {})}
        await pacing.wait()
        try:
            async with self._opened().request(
                "GET", self._base + path, params=params, headers=sent, allow_redirects=False
            ) as response:
                if response.status >= 300:
                    body = await self._bounded(response, where, writes=False)
                    names = {name.lower(): value for name, value in response.headers.items()}
                    answer = Answer(
                        status=response.status, headers=names, body=body, where=where, writes=False
                    )
                    raise error(answer, writes=False, now=time.time()) or Retryable(
                        f"{where} sent us elsewhere.", remedy="Check the connection's URL."
                    )
                return await _hashed(response, where, bytes_max)
        except (aiohttp.ClientError, TimeoutError, OSError) as cause:
            raise self._transport_error(cause, where, writes=False) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=20,
                    socket_factory=None if self._allow_private else guarded_socket,
                    ssl=ssl.create_default_context(cadata=self._trust.ca) if self._trust.ca else True,
                ),
                timeout=aiohttp.ClientTimeout(
                    total=self._limits.request_seconds_max,
                    connect=min(_CONNECT_SECONDS, self._limits.request_seconds_max),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
            # aiohttp repeats GET and PUT by itself when a connection breaks, for which it has no public switch.
            # One call must be one request: the lane decides what may be repeated, and counts it.
            session._retry_connection = False  # noqa: SLF001
            self._session = session
        return self._session

    async def _bounded(self, response: aiohttp.ClientResponse, where: str, *, writes: bool) -> bytes:
        limit = self._limits.response_bytes_max
        parts, size = [], 0
        async for part in response.content.iter_chunked(65_536):
            size += len(part)
            if size > limit:
                text = f"{where} answered with more than {limit} bytes."
                if writes:
                    raise UnknownOutcome(text, remedy="The hub looks whether the call took effect.")
                raise NeedsOperator(text, remedy="Ask for smaller pages, or raise the connection's limit.")
            parts.append(part)
        return b"".join(parts)

    def _transport_error(self, cause: Exception, where: str, *, writes: bool) -> IsthmusError:
        if isinstance(getattr(cause, "os_error", cause), AddressRefusedError):
            return NeedsOperator(
                f"{where}: the address is inside a private or local network.",
                remedy="Use a public address, or allow private addresses for this installation.",
            )
        if isinstance(cause, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
            return NeedsOperator(
                f"{where}: the TLS certificate is not trusted.",
                remedy="Install the issuing authority's certificate, or correct the address.",
            )
        if isinstance(cause, aiohttp.InvalidURL):
            return NeedsOperator(
                f"{where}: the address is not valid.", remedy="Correct the connection's URL."
            )
        if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            return Retryable(f"{where}: no connection.", remedy="It is tried again by itself.")
        what = "timed out" if isinstance(cause, TimeoutError) else "broke off"
        if writes:
            return UnknownOutcome(f"{where} {what}.", remedy="The hub looks whether the call took effect.")
        return Retryable(f"{where} {what}.", remedy="It is tried again by itself.")

    def _struck(self, body: bytes) -> str:
        text = body.decode("utf-8", "replace")
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text[:_EXCERPT_CHARACTERS]


async def _hashed(response: aiohttp.ClientResponse, where: str, bytes_max: int) -> Download:
    digest, parts, size = hashlib.sha256(), [], 0
    async for part in response.content.iter_chunked(65_536):
        size += len(part)
        if size > bytes_max:
            raise Rejected(
                f"{where}: the file is larger than {bytes_max} bytes.",
                remedy="Raise the flow's attachment_bytes_max, or leave the file where it is.",
            )
        digest.update(part)
        parts.append(part)
    return Download(content=b"".join(parts), sha256=digest.hexdigest())


def form(file: File, *, name: str = "file", fields: Mapping[str, str] | None = None) -> aiohttp.FormData:
    """Return a file as the part `name` of a multipart form, after other `fields`."""
    # As browsers do: a name in UTF-8 as it is. Percent signs would become part of the name.
    found = aiohttp.FormData(quote_fields=False)
    for each, value in (fields or {}).items():
        found.add_field(each, value)
    found.add_field(name, file.content, filename=file.filename, content_type=file.content_type)
    return found
