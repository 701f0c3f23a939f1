"""The keyring: data keys in a file of their own, wrapped by a master key, destroyed to erase.

A value is sealed under a named key: `record:<id>` (free text of one record and of what hangs on it),
`person:<id>` (structured facts about a person), `intake:<connection>:<day>` (raw messages). The book holds
ciphertext only, so destroying a key erases every copy of what it sealed: in projections, entries, links,
deliveries, backups of the book and exports. Keys are committed before the ciphertext that needs them.

Envelope: 0x01, length of the key's name (1 byte), name (UTF-8), nonce (12 bytes), AES-256-GCM ciphertext
with tag; the name is authenticated, so an envelope opens under its own key only.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from isthmus.kernel.errors import Bug, Conflict, NeedsOperator

ERASED = "[erased]"
"""What stands in place of a value whose key was destroyed."""

CACHED_MAX = 50_000
ERASURES_READ_AFTER_SECONDS = 1.0
_CHUNK = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key (
    name TEXT PRIMARY KEY, wrapped BLOB, created_at INTEGER NOT NULL, destroyed_at INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasure (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL);
"""


class KeyDestroyed(Conflict):
    """The value was erased; nothing can be sealed under its key again."""


def _read_or_make(path: Path) -> bytes:
    """Return the 32 bytes of the master key, made on first use and readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        found = path.read_bytes()
        if len(found) != 32:
            raise NeedsOperator(
                f"The master key {path.name} is damaged.", remedy="Restore it from the backup of the keys."
            ) from None
        return found
    made = os.urandom(32)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(file.fileno())
    return made


def _holds_keys(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return False
    store = sqlite3.connect(path, timeout=20)
    try:
        known = store.execute("SELECT 1 FROM sqlite_schema WHERE name = 'key'").fetchone()
        return bool(known and store.execute("SELECT 1 FROM key WHERE wrapped IS NOT NULL").fetchone())
    finally:
        store.close()


class Keyring:
    """Named data keys of one installation. Safe for threads and across a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._pid = 0
        self._cache: dict[str, AESGCM | None] = {}
        self._erasures = 0
        self._erasures_read = 0.0

    def _open_file(self) -> sqlite3.Connection:
        if self._pid != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            master = self.path.parent / "master.key"
            if not master.exists() and _holds_keys(self.path):
                # A new one would wrap new keys beside those of the old: then neither opens the whole keyring.
                raise NeedsOperator(
                    f"The master key {master.name} of this keyring is missing.",
                    remedy="Put it back from the backup of the keys.",
                )
            self._master = AESGCM(_read_or_make(master))
            # SQLite gives its side files the mode of the file itself, which therefore comes first.
            self.path.touch(mode=0o600)
            self._store = sqlite3.connect(
                self.path, timeout=20, isolation_level=None, check_same_thread=False
            )
            self._store.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;"
            )
            self._store.executescript(_SCHEMA)
            self.path.chmod(0o600)
            self._cache.clear()
            self._pid = os.getpid()
        return self._store

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._pid == os.getpid():
                self._store.close()
            self._pid = 0
            self._cache.clear()

    def _forget_erased(self, store: sqlite3.Connection) -> None:
        """Drop cached keys that another process destroyed, at most a second after it did."""
        now = time.monotonic()
        if now - self._erasures_read < ERASURES_READ_AFTER_SECONDS:
            return
        self._erasures_read = now
        for number, name in store.execute(
            "SELECT number, name FROM erasure WHERE number > ?", (self._erasures,)
        ):
            self._erasures = number
            self._cache[name] = None

    def _load(self, store: sqlite3.Connection, names: list[str]) -> list[str]:
        """Read wrapped keys into the cache; return the names that have none yet."""
        # Here, where it grows: a process that only reads (pages) makes no keys and would keep every one for ever.
        if len(self._cache) > CACHED_MAX:
            self._cache.clear()
        found = set()
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            for name, wrapped in store.execute(
                f"SELECT name, wrapped FROM key WHERE name IN ({marks})",  # noqa: S608 - only marks are built in
                chunk,
            ):
                self._cache[name] = None if wrapped is None else self._unwrap(name, wrapped)
                found.add(name)
        return [name for name in names if name not in found]

    def _unwrap(self, name: str, wrapped: bytes) -> AESGCM:
        try:
            return AESGCM(self._master.decrypt(wrapped[:12], wrapped[12:], name.encode()))
        except InvalidTag as cause:
            raise NeedsOperator(
                "The master key does not open the keyring.",
                remedy="Put the master key of this installation back.",
            ) from cause

    def ensure(self, names: Iterable[str]) -> None:
        """Make sure that every named key exists and is durable: one commit for all new ones."""
        with self._lock:
            store = self._open_file()
            self._forget_erased(store)
            unknown = [name for name in dict.fromkeys(names) if name not in self._cache]
            if not unknown:
                return
            missing = self._load(store, unknown)
            if not missing:
                return
            rows = []
            for name in missing:
                nonce = os.urandom(12)
                rows.append(
                    (
                        name,
                        nonce + self._master.encrypt(nonce, os.urandom(32), name.encode()),
                        time.time_ns() // 1000,
                    )
                )
            with _transaction(store):
                store.executemany(
                    "INSERT OR IGNORE INTO key (name, wrapped, created_at) VALUES (?, ?, ?)", rows
                )
            # Read back: another process may have made the same key first, and the first one counts.
            self._load(store, missing)

    def _key(self, name: str) -> AESGCM | None:
        with self._lock:
            self._forget_erased(self._open_file())
            if name not in self._cache and self._load(self._store, [name]):
                return None
            return self._cache[name]

    def seal(self, name: str, plaintext: bytes) -> bytes:
        """Return the envelope of `plaintext` under the named key, which `ensure` has made durable."""
        key = self._cache.get(name) or self._key(name)
        if key is None:
            raise KeyDestroyed(
                "This text was erased and cannot be written again.", remedy="Open a new record."
            )
        label = name.encode()
        nonce = os.urandom(12)
        return b"\x01" + bytes((len(label),)) + label + nonce + key.encrypt(nonce, plaintext, label)

    def open(self, envelope: bytes) -> bytes | None:
        """Return the plaintext of an envelope, or None if its key was destroyed."""
        if envelope[:1] != b"\x01":
            raise Bug("A sealed value does not start with a known envelope format.")
        end = 2 + envelope[1]
        label = envelope[2:end]
        key = self._key(label.decode())
        if key is None:
            return None
        try:
            return key.decrypt(envelope[end : end + 12], envelope[end + 12 :], label)
        except InvalidTag as cause:
            raise Bug(
                "A sealed value was changed in the store.", remedy="Run `isthmus audit verify`."
            ) from cause

    def destroy(self, name: str) -> bool:
        """Erase: destroy the named key in every process within a second; False if there was none.

        The log of the key file is emptied too, so that no earlier page keeps the wrapped key.
        """
        with self._lock:
            store = self._open_file()
            if store.execute("SELECT 1 FROM key WHERE name = ? AND wrapped IS NULL", (name,)).fetchone():
                return False
            now = time.time_ns() // 1000
            with _transaction(store):
                changed = store.execute(
                    "UPDATE key SET wrapped = NULL, destroyed_at = ? WHERE name = ? AND wrapped IS NOT NULL",
                    (now, name),
                ).rowcount
                # Also where there is no such key yet: a restore must not bring the text back under a new one.
                store.execute(
                    "INSERT OR IGNORE INTO key (name, created_at, destroyed_at) VALUES (?, ?, ?)",
                    (name, now, now),
                )
                store.execute("INSERT INTO erasure (name) VALUES (?)", (name,))
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._cache[name] = None
            return changed == 1

    def erased(self) -> list[str]:
        """Return the names of all keys that were destroyed here."""
        with self._lock:
            return [name for (name,) in self._open_file().execute("SELECT DISTINCT name FROM erasure")]

    def derived(self, name: str) -> bytes:
        """Return 32 secret bytes that belong to the named key (for keyed hashes), making it if needed."""
        self.ensure([name])
        key = self._key(name)
        if key is None:
            raise KeyDestroyed("The key of this index was destroyed.", remedy="Rebuild the index.")
        # A fixed nonce is safe here: this key is used for this one derivation and never seals a value.
        return key.encrypt(bytes(12), bytes(16), b"derived")

    def copy_to(self, directory: Path) -> None:
        """Write a consistent copy of key file and master key: the keys' own backup, kept apart."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (directory / self.path.name, directory / "master.key"):
            path.touch(mode=0o600)
        with self._lock:
            store = self._open_file()
            target = sqlite3.connect(directory / self.path.name)
            store.backup(target)
            target.close()
        (directory / "master.key").write_bytes((self.path.parent / "master.key").read_bytes())


@contextmanager
def _transaction(store: sqlite3.Connection) -> Iterator[None]:
    """Commit or roll back: a full disk must not leave the one connection inside a transaction for ever."""
    store.execute("BEGIN IMMEDIATE")
    try:
        yield
        store.execute("COMMIT")
    except BaseException:
        if store.in_transaction:
            store.execute("ROLLBACK")
        raise


_rings: dict[Path, Keyring] = {}
_last: list[tuple[object, Keyring]] = []


def ring() -> Keyring:
    """Return the keyring of this installation. Asked for every sealed value: the path is worked out once."""
    ours = settings.ISTHMUS
    if not _last or _last[0][0] is not ours:
        path = ours.keys_path
        found = _rings.get(path) or _rings.setdefault(path, Keyring(path))
        _last[:] = [(ours, found)]
    return _last[0][1]
