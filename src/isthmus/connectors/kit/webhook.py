"""The base of pushed sources: authentication by a declared scheme, JSON shapes with pointers.

A connector's `webhook.py` subclasses `WebhookSource`, names its scheme, and parses. `decode` checks a body
against typed structs at the speed that the door needs and turns msgspec's message into a JSON Pointer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from isthmus.connectors.kit.config import pointer
from isthmus.connectors.kit.ports import Context, Refused
from isthmus.kernel.errors import Problem, Rejected
from isthmus.kernel.instant import Instant
from isthmus.kernel.observation import Observation
from isthmus.kernel.signature import SCHEMES, Failure, Scheme
from isthmus.kernel.wild import not_json

T = TypeVar("T")

_TEXTS: Mapping[Failure, tuple[int, str]] = {
    Failure.MISSING: (401, "The request carries no credential that this connection expects."),
    Failure.MALFORMED: (401, "The credential is not in the form of this connection's scheme."),
    Failure.LATE: (401, "The signature's timestamp is too old or in the future."),
    Failure.WRONG: (401, "The credential or signature is wrong."),
    Failure.NO_SECRET: (
        403,
        "This connection has no secret to check against; it accepts nothing until it has.",
    ),
}


class WebhookSource:
    """A pure source. Subclasses set `scheme_name` (or override `scheme`) and implement `parse`."""

    scheme_name: str = "bearer"
    secret_names: Sequence[str] = ("secret", "previous_secret")

    def scheme(self, context: Context) -> Scheme:
        """Return the scheme of this connection."""
        del context
        return SCHEMES[self.scheme_name]

    def secrets(self, context: Context) -> tuple[str, ...]:
        """Return the secrets that are valid now, newest first."""
        return tuple(each for each in (context.secret(name) for name in self.secret_names) if each)

    def authenticate(
        self, headers: Mapping[str, str], body: bytes, context: Context, now: Instant
    ) -> Refused | None:
        """Judge the sender by the scheme; None lets it in."""
        failure = self.scheme(context).verify(headers, body, self.secrets(context), now)
        if failure is None:
            return None
        status, text = _TEXTS[failure]
        return Refused(status=status, reason=failure.value, text=text)

    def sign(self, body: bytes, context: Context, now: Instant, nonce: str = "") -> dict[str, str]:
        """Return the headers of an authentic request, as simulators and tests need them."""
        return self.scheme(context).sign(body, self.secrets(context)[0], now, nonce)

    def check(self, body: bytes, headers: Mapping[str, str], context: Context) -> None:
        """Check the shape. The default parses and forgets; fast sources override it."""
        self.parse(body, headers, context)

    def parse(self, body: bytes, headers: Mapping[str, str], context: Context) -> list[Observation]:
        """Read the body; see `ports.Source`."""
        raise NotImplementedError


def decoder(shape: type[T]) -> Callable[[bytes], T]:
    """Return a function from a JSON body to `shape` that raises `Rejected` with a JSON Pointer."""
    made: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape)

    def decode(body: bytes) -> T:
        try:
            found: T = made.decode(body)
        except msgspec.ValidationError as cause:
            raise shape_error(cause) from cause
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            raise not_json(cause) from cause
        return found

    return decode


def shape_error(cause: msgspec.ValidationError) -> Rejected:
    """Return the refusal that a msgspec validation error means, with its place as a JSON Pointer."""
    message, _, place = str(cause).partition(" - at `")
    path = pointer(place.rstrip("`"))
    return Rejected(f"{path or 'The body'}: {message}.", problems=(Problem(path=path, message=message),))
