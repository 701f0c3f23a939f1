"""JSON-RPC of Zabbix: one call is one request; an error in the body of a 200 is the reaction that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from isthmus.connectors.kit.http import HttpClient
from isthmus.kernel.errors import IsthmusError, NeedsOperator, NotFound, Rejected, Retryable, UnknownOutcome

T = TypeVar("T")
PATH = "/api_jsonrpc.php"
_WHO = ("not authorized", "not authorised", "session terminated", "re-login", "incorrect user name")
_MAY = ("no permissions", "permission", "access denied")


class _Error(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""
    data: str = ""


class _Answer(msgspec.Struct, frozen=True):
    result: msgspec.Raw = msgspec.Raw(b"")
    error: _Error | None = None


class Rpc:
    """Calls of the API; the token travels in the Authorization header, which 7.2 demands and 6.4 understands."""

    def __init__(self, http: HttpClient, token: str) -> None:
        self._http, self._authorization = http, {"Authorization": f"Bearer {token}"}

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | list[Any],
        shape: type[T],
        *,
        writes: bool = False,
        bare: bool = False,
    ) -> T:
        """Call a method and return its result. `bare`: without a credential, for `apiinfo.version`."""
        asked = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        headers = {} if bare else self._authorization
        answer = await self._http.call("POST", PATH, json=asked, headers=headers, writes=writes)
        lost: Callable[..., IsthmusError] = UnknownOutcome if writes else Retryable
        try:
            said = msgspec.json.decode(answer.body, type=_Answer)
        except msgspec.DecodeError as cause:
            raise lost(
                f"{method} answered something that is no JSON-RPC.", remedy="A proxy may stand in between."
            ) from cause
        if said.error is not None:
            raise _fault(method, said.error)
        try:
            return msgspec.json.decode(said.result, type=shape)
        except msgspec.DecodeError as cause:
            raise lost(
                f"{method} answered in a shape that is not that of a tested version.",
                remedy="Compare Zabbix' version with the manifest.",
            ) from cause


def _fault(method: str, error: _Error) -> IsthmusError:
    """Return the reaction to an error of the API. Its words decide, and are not repeated: they may quote a value."""
    words = f"{error.message} {error.data}".lower()
    if any(each in words for each in _WHO):
        return NeedsOperator(
            f"Zabbix does not accept the API token ({method}).",
            remedy="It is wrong, expired or disabled: renew the connection's api_token.",
        )
    if "does not exist" in words:
        # Zabbix says one sentence for both: no permission, or not there.
        return NotFound(f"Zabbix knows no such object ({method}), or the token's user may not see it.")
    if any(each in words for each in _MAY):
        return NeedsOperator(
            f"The token's user may not call {method}, or not for this object.",
            remedy="Compare the user's role and host group permissions with the manifest's scopes.",
        )
    return Rejected(f"Zabbix refused {method} (code {error.code}).", remedy=_remedy(words))


def _remedy(words: str) -> str:
    if "manual closing" in words:
        return "Allow manual closing in the trigger, or let the trigger's own recovery close the problem."
    return "See Zabbix' documentation of the method for what it demands."
