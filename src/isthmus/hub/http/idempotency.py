"""`Idempotency-Key`: the key, the effect and the answer are stored in one transaction.

The same key with the same body repeats the first answer; with another body it is refused (409). Keys
are kept for `KEPT_HOURS` and belong to one actor.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse

from isthmus.hub.http import actor as callers
from isthmus.hub.http import etag
from isthmus.identity.models import IdempotencyKey
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Conflict, Problem, Rejected
from isthmus.kernel.instant import HOUR, Instant, to_datetime
from isthmus.ledger import keys, shapes
from isthmus.ledger.door import perform
from isthmus.ledger.records import RecordModel
from isthmus.ledger.work import Work

KEPT_HOURS: Final = 24
KEY_LENGTH_MAX: Final = 255
EXPIRED_MAX: Final = 2_000

T = TypeVar("T")


class KeyReused(Conflict):
    """The same key came with a different request."""


def act(
    request: HttpRequest,
    do: Callable[[Work], T],
    *,
    out: Callable[[T], Any],
    status: int = 200,
    repeatable: bool = True,
) -> HttpResponse:
    """Run `do` in a Work of its own as the request's actor and return `out(result)` as JSON.

    The door of every API write: actor, origin, trace and idempotency are settled here. `out` runs inside
    the same transaction. A result that is a record gets its ETag. An answer that holds a secret is not
    `repeatable`: it is never stored, and the key is ignored.
    """
    caller = callers.caller(request)
    actor = callers.of(request)
    key = request.headers.get("Idempotency-Key", "") if repeatable else ""
    if len(key) > KEY_LENGTH_MAX:
        raise Rejected(
            "The Idempotency-Key is too long.",
            problems=(
                Problem(path="/header/Idempotency-Key", message=f"at most {KEY_LENGTH_MAX} characters"),
            ),
        )
    digest = _digest(request)

    def once(work: Work) -> tuple[int, str, str]:
        if key:
            known = _known(actor.id, key)
            if known is not None:
                if known.request_hash != digest:
                    raise KeyReused(
                        "This Idempotency-Key was used for a different request.",
                        remedy="Use a new key for a new request.",
                    )
                return known.status, _opened(known.answer), known.etag
        result = do(work)
        body = msgspec.json.encode(out(result)).decode()
        mark = etag.tag(result) if hasattr(result, "version") and hasattr(result, "id") else ""
        if key:
            work.insert(
                IdempotencyKey, actor=actor.id, key=key, request_hash=digest, status=status,
                answer=_sealed(result, body, work.now), etag=mark, at=work.now,
            )  # fmt: skip
        return status, body, mark

    code, body, mark = perform(once, actor=actor, origin=caller.origin, trace=caller.trace)
    answer = HttpResponse(body, status=code, content_type="application/json")
    if mark:
        answer["ETag"] = mark
    return answer


def forget_expired(now: Instant) -> int:
    """Forget keys older than `KEPT_HOURS`, a bounded number at once; return how many."""
    old = IdempotencyKey.objects.filter(at__lt=now - KEPT_HOURS * HOUR).order_by("at")
    rows = list(old.values_list("actor", "key")[:EXPIRED_MAX])

    def once(work: Work) -> None:
        for actor, key in rows:
            work.remove(IdempotencyKey, {"actor": actor, "key": key})

    if rows:
        perform(once, actor=system("housekeeping"), origin=Origin(channel="timer"), now=now)
    if rows and len(rows) < EXPIRED_MAX:
        # Two days back nothing is left that could need it; copies in backups end with it.
        keys.ring().destroy(_day_key(Instant(now - 2 * KEPT_HOURS * HOUR)))
    return len(rows)


def _sealed(result: object, body: str, now: Instant) -> str:
    """Return an answer as it is kept: it repeats people and free text, so it is sealed as those are.

    The answer about a record stands under the record's own key, so that erasing the record erases this copy;
    any other under a key of its day, which is destroyed once no answer needs it.
    """
    ring, names = keys.ring(), [_day_key(now)]
    if isinstance(result, RecordModel):
        shape = shapes.of(type(result))
        names = [*(shape.key_name(result, each) for each in shape.fields.values() if each.sealed), *names]
    ring.ensure([names[0], names[-1]])
    try:
        envelope = ring.seal(names[0], body.encode())
    except keys.KeyDestroyed:  # its text is erased, so the answer repeats none of it
        envelope = ring.seal(names[-1], body.encode())
    return base64.b64encode(envelope).decode()


def _opened(answer: str) -> str:
    opened = keys.ring().open(base64.b64decode(answer))
    if opened is None:
        raise Conflict("What this key was answered with has been erased.", remedy="Use a new key.")
    return opened.decode()


def _day_key(now: Instant) -> str:
    return f"answers:{to_datetime(now):%Y%m%d}"


def _known(actor: str, key: str) -> IdempotencyKey | None:
    return IdempotencyKey.objects.filter(actor=actor, key=key).first()


def _digest(request: HttpRequest) -> str:
    return hashlib.sha256(
        b"\0".join((str(request.method).encode(), request.get_full_path().encode(), request.body))
    ).hexdigest()
