"""Making an installation, and checking its surroundings: what `isthmus init` and `isthmus doctor` do."""

from __future__ import annotations

import secrets
import shutil
import sys
from dataclasses import dataclass

from django.core.management import call_command
from django.db import connection

from isthmus.django_settings import ISTHMUS
from isthmus.identity import people
from isthmus.identity.models import User
from isthmus.kernel.actor import Origin, system
from isthmus.kernel.errors import Conflict
from isthmus.ledger import organisations, scope
from isthmus.ledger.door import perform
from isthmus.ledger.work import Work

DISK_FREE_BYTES_MIN = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What was made. The password is shown to whoever ran `init`, once, and stored as a hash only."""

    organisation: str
    administrator: str
    password: str
    data_dir: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """One look at the surroundings: `text` says what was found, `remedy` what to do if it is not fine."""

    name: str
    ok: bool
    text: str
    remedy: str = ""


def create(*, organisation_name: str, administrator: str, password: str = "") -> Installation:
    """Make tables, keys, the root organisation and the first administrator; refuse if one exists."""
    ISTHMUS.data_dir.mkdir(parents=True, exist_ok=True)
    call_command("migrate", verbosity=0)
    root = organisations.ensure_root(organisation_name)
    if User.objects.exists():
        raise Conflict(
            "This data directory already has users.", remedy="Use another ISTHMUS_DATA_DIR, or sign in."
        )
    chosen = password or secrets.token_urlsafe(15)
    add_user(root, administrator, chosen, ("administrator",))
    return Installation(
        organisation=root,
        administrator=administrator,
        password=chosen,
        data_dir=str(ISTHMUS.data_dir.resolve()),
    )


def upgrade() -> int:
    """Bring the tables of an existing installation to this release; return how many migrations were missing.

    The book describes its own tables in an entry, which follows them: `verify` replays by it.
    """
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    call_command("migrate", verbosity=0)
    organisations.root()  # refuses where there is no installation yet
    organisations.ensure_root("")
    return missing


def add_user(
    organisation: str, username: str, password: str, roles: tuple[str, ...], *, name: str = ""
) -> str:
    """Add somebody who can sign in; return their person id."""

    def act(work: Work) -> str:
        found = people.create_user(
            work, organisation=organisation, username=username, password=password, roles=roles, name=name
        )
        return str(found.id)

    with scope.everywhere("making the installation"):
        return perform(act, actor=system("init"), origin=Origin(channel="cli"))


def checks() -> list[Check]:
    """Look at Python, disk, store and keys. Reads only."""
    found = [
        Check(
            name="python",
            ok=sys.version_info >= (3, 11),
            text=sys.version.split()[0],
            remedy="Install Python 3.11 or newer.",
        )
    ]
    directory = ISTHMUS.data_dir
    if not directory.is_dir():
        return [
            *found,
            Check(
                name="data directory", ok=False, text=f"{directory} is missing.", remedy="Run `isthmus init`."
            ),
        ]
    free = shutil.disk_usage(directory).free
    found.append(
        Check(
            name="disk",
            ok=free >= DISK_FREE_BYTES_MIN,
            text=f"{free // 1_000_000} MB free for {directory}.",
            remedy="Free space or move ISTHMUS_DATA_DIR.",
        )
    )
    keys = ISTHMUS.keys_path.parent
    private = keys.is_dir() and not keys.stat().st_mode & 0o077
    found.append(
        Check(
            name="keys",
            ok=private,
            text=f"{keys} {'is private' if private else 'is missing or readable by others'}.",
            remedy=f"chmod 700 {keys}; keep its backup apart from the book's.",
        )
    )
    return [*found, _store(), _users()]


def _store() -> Check:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Check(
        name="store",
        ok=not waiting,
        text=f"{connection.vendor}, {len(waiting)} migration(s) waiting.",
        remedy="Stop the hub, make a backup, run `isthmus upgrade`.",
    )


def _users() -> Check:
    some = User.objects.exists()
    return Check(
        name="users",
        ok=some,
        text="There are users." if some else "Nobody can sign in.",
        remedy="Run `isthmus init`.",
    )
