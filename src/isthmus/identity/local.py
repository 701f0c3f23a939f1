"""The local operator: whoever can read the installation's signing key may act through the API.

The command line on the hub's own machine needs no stored token: it signs a statement good for a minute
with the same key that signs sessions. The journal names the operating-system user who did it.
"""

from __future__ import annotations

from django.core import signing

from isthmus.kernel.actor import Actor, ActorKind

PREFIX = "local."
AGE_SECONDS_MAX = 60
_SALT = "isthmus.local-operator"


def issue(operating_system_user: str) -> str:
    """Return a bearer token for the local operator, good for a minute."""
    return PREFIX + signing.dumps({"user": operating_system_user}, salt=_SALT)


def authenticate(token: str, organisations: frozenset[str]) -> Actor | None:
    """Return the local operator, or None where the token is forged, too old or of another kind."""
    if not token.startswith(PREFIX):
        return None
    try:
        said = signing.loads(token.removeprefix(PREFIX), salt=_SALT, max_age=AGE_SECONDS_MAX)
    except signing.BadSignature:
        return None
    user = str(said.get("user", ""))
    return Actor(
        kind=ActorKind.SERVICE,
        id=f"local:{user}",
        label=f"{user} (local operator)",
        organisations=organisations,
        roles=frozenset({"administrator", "integration_engineer"}),
    )
