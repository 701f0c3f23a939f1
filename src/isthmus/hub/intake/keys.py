"""The log's keys, from the installation's keyring: one key per connection and day."""

from __future__ import annotations

from isthmus.ledger import keys


class RingKeys:
    """`LogKeys` over the keyring. The key's name is the one that retention and erasure speak of."""

    def key(self, connection: str, day: int) -> bytes:
        """Return 32 secret bytes, durable in the keyring before they seal anything."""
        return keys.ring().derived(_name(connection, day))

    def destroy(self, connection: str, day: int) -> None:
        """Destroy the key of a day: its raw messages are gone in every copy."""
        keys.ring().destroy(_name(connection, day))


def _name(connection: str, day: int) -> str:
    return f"intake:{connection}:{day}"
