"""Tokens of service accounts: `ist_<account id>_<secret>`.

The secret has 256 random bits, so one SHA-256 is enough to keep it. Scopes are permissions, nothing wider;
every token expires; a revoked one is refused everywhere within two seconds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Final

from isthmus.identity import grants, local
from isthmus.identity.models import ServiceAccount
from isthmus.identity.permissions import allowed
from isthmus.identity.roles import NEVER_BY_TOKEN, PERMISSIONS
from isthmus.kernel.actor import Actor, ActorKind
from isthmus.kernel.errors import Forbidden, Problem, Rejected
from isthmus.kernel.instant import DAY, SECOND, Instant
from isthmus.kernel.record import Reason
from isthmus.ledger import organisations, scope
from isthmus.ledger.work import Work

DAYS_DEFAULT: Final = 90
DAYS_MAX: Final = 400
_PREFIX: Final = "ist"
_KEPT: Final = 1 * SECOND
_KEPT_MAX: Final = 4096

_known: OrderedDict[str, tuple[Instant, str, Actor, Instant]] = OrderedDict()
_lock = Lock()


def issue(
    work: Work, *, organisation: str, name: str, scopes: Iterable[str], days: int = DAYS_DEFAULT
) -> tuple[ServiceAccount, str]:
    """Record a service account and return it with its token, which is shown once and never again.

    Nobody can hand out what they do not hold themselves.
    """
    wanted = sorted(set(scopes))
    _check(work.actor, organisation, name, wanted, days)
    secret = secrets.token_urlsafe(32)
    account = work.create(
        ServiceAccount,
        organisation=organisation,
        values={
            "name": name, "owner": work.actor.id, "scopes": wanted, "token_hash": _hash(secret),
            "token_hint": secret[:4], "expires_at": work.now + days * DAY, "state": "active",
        },
        why=[Reason(rule="identity.token", text=f"Token issued with {', '.join(wanted)} for {days} days.")],
    )  # fmt: skip
    return account, f"{_PREFIX}_{account.id}_{secret}"


def revoke(work: Work, account: ServiceAccount) -> ServiceAccount:
    """Revoke a token at once in this process and within two seconds in every other."""
    found = work.change(
        account, {"state": "revoked"}, why=[Reason(rule="identity.token", text="Token revoked by hand.")]
    )
    with _lock:
        _known.pop(account.id, None)
    return found


def authenticate(token: str, now: Instant) -> Actor | None:
    """Return the actor behind a token; None if it is malformed, unknown, expired or revoked."""
    if token.startswith(local.PREFIX):
        return local.authenticate(token, organisations.descendants([organisations.root()]))
    prefix, _, rest = token.partition("_")
    account_id, _, secret = rest.partition("_")
    if prefix != _PREFIX or not secret or len(account_id) != 26 or not account_id.isalnum():
        return None
    kept = _known.get(account_id)
    if kept is None or not 0 <= now - kept[0] < _KEPT:
        kept = _read(account_id, now)
        if kept is None:
            return None
        with _lock:
            _known[account_id] = kept
            _known.move_to_end(account_id)
            if len(_known) > _KEPT_MAX:
                _known.popitem(last=False)
    _, token_hash, actor, expires_at = kept
    if not hmac.compare_digest(token_hash, _hash(secret)) or now >= expires_at:
        return None
    return actor


def forget() -> None:
    """Drop what this process remembers of tokens (tests change the store beneath it)."""
    with _lock:
        _known.clear()


def _read(account_id: str, now: Instant) -> tuple[Instant, str, Actor, Instant] | None:
    with scope.everywhere("a token says who calls, so it is read before any scope exists"):
        facts = grants.told(account_id)
    where = str(facts.get("organisation", ""))
    if facts.get("state") != "active" or not facts.get("token_hash"):
        return None
    scopes = facts.get("scopes")
    expires_at = facts.get("expires_at")
    actor = Actor(
        kind=ActorKind.SERVICE,
        id=account_id,
        label=str(facts.get("name", "")),
        organisations=frozenset(organisations.descendants([where])),
        scopes=frozenset(str(each) for each in scopes) if isinstance(scopes, list) else frozenset(),
    )
    return now, str(facts["token_hash"]), actor, Instant(expires_at if isinstance(expires_at, int) else 0)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(actor: Actor, organisation: str, name: str, scopes: list[str], days: int) -> None:
    problems = []
    if not 1 <= len(name) <= 120:
        problems.append(Problem(path="/body/name", message="1 to 120 characters"))
    if not 1 <= days <= DAYS_MAX:
        problems.append(Problem(path="/body/days", message=f"1 to {DAYS_MAX}"))
    if not scopes:
        problems.append(Problem(path="/body/scopes", message="at least one scope"))
    for each in scopes:
        if each not in PERMISSIONS:
            problems.append(
                Problem(path="/body/scopes", message=f"{each!r} is not a scope", remedy="No wildcards.")
            )
        elif each in NEVER_BY_TOKEN:
            problems.append(
                Problem(path="/body/scopes", message=f"{each} needs a person and is never given to tokens")
            )
    if problems:
        raise Rejected("The token cannot be issued like this.", problems=tuple(problems))
    beyond = [each for each in scopes if not allowed(actor, each, organisation)]
    if beyond:
        raise Forbidden(f"You do not hold {', '.join(beyond)} yourself.", remedy="Ask for fewer scopes.")
