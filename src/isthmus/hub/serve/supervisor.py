"""The supervisor: loads everything once, forks the processes of its roles, restarts what falls, stops cleanly.

It holds the data directory's lock: one hub per directory. Its children hold on to it by a pipe and end when
it ends, even by `kill -9`.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

import structlog

from isthmus.hub.serve.shared import ENGINE, EngineRole, Shared, figures_of
from isthmus.kernel.errors import IsthmusError, NeedsOperator

_log = structlog.get_logger(__name__)

Role = Literal["front", "work"]
"""What a machine does: it answers, or it works. `work` are the processes of the engine."""
PROCESSES = "processes.json"
BACKOFF_SECONDS_FIRST = 0.5
BACKOFF_SECONDS_MAX = 30.0
HEALTHY_SECONDS = 60.0
STOP_SECONDS_MAX = 20.0


@dataclass
class Child:
    """One supervised process. `fails` counts falls since it last stayed up for a minute."""

    role: Literal["front"] | EngineRole
    main: Callable[[], None]
    pid: int = 0
    started: float = 0.0
    fails: int = 0
    restart_at: float = 0.0


def run(*, bind: str = "", port: int = 0, role: str = "both") -> int:
    """Run until SIGTERM or SIGINT; return the exit code (0 stopped, 1 could not start)."""
    try:
        return _run(bind, port, role)
    except IsthmusError as fault:
        print(fault, file=sys.stderr)  # noqa: T201 - the operator's terminal is where a failed start is read
        return 1


def _run(bind: str, port: int, role: str) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "isthmus.django_settings")
    import django

    django.setup()
    from isthmus import django_settings, logs
    from isthmus.hub.serve import delivering, front, keeping, pumping

    settings = django_settings.ISTHMUS
    logs.configure(settings.log_level)
    roles: list[Role] = ["front", "work"] if role == "both" else ["front" if role == "front" else "work"]
    run_dir = settings.data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    locks = [_locked(run_dir / f"{each}.lock") for each in roles]
    _check_ready_to_serve()
    shared = Shared()
    children: list[Child] = []
    listening: socket.socket | None = None
    if "front" in roles:
        listening = _listening(bind or settings.bind, port or settings.port)
        address = listening.getsockname()
        url = f"http://{_printable(address[0])}:{address[1]}"
        serving = listening
        alone = "work" not in roles
        front.preload()
        children.append(Child("front", lambda: front.main(serving, shared, run_dir, url, alone=alone)))
    if "work" in roles:
        _load_connectors()
        children.append(Child("pump", lambda: pumping.main(shared, run_dir)))
        children.append(Child("lanes", lambda: delivering.main(shared, run_dir)))
        children.append(Child("keeper", lambda: keeping.main(shared, run_dir)))
    _close_database()
    # What is loaded now is shared between the processes; frozen, the collector never touches (copies) it.
    gc.collect()
    gc.freeze()
    try:
        _supervise(children, shared, run_dir / PROCESSES)
    finally:
        for note in (
            run_dir / "endpoint.json",
            run_dir / PROCESSES,
            *(figures_of(run_dir, each) for each in ENGINE),
        ):
            note.unlink(missing_ok=True)
        if listening is not None:
            listening.close()
        for each in locks:
            os.close(each)
    return 0


def _supervise(children: list[Child], shared: Shared, note: Path) -> None:
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        del signum, frame
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    noted: dict[str, int] = {}
    while not stopping:
        now = time.monotonic()
        for child in children:
            if child.pid == 0 and now >= child.restart_at:
                _start(child, shared)
        _reap(children)
        pids = {str(child.role): child.pid for child in children}
        if pids != noted:
            _write(note, pids)
            noted = pids
        time.sleep(0.1)
    _stop(children)


def _write(note: Path, pids: dict[str, int]) -> None:
    """Say which process is which (0: it fell and will be started again), for people and for whoever watches them."""
    half = note.with_suffix(".new")
    half.write_text(json.dumps(pids))
    half.replace(note)


def _start(child: Child, shared: Shared) -> None:
    pid = os.fork()
    if pid:
        child.pid, child.started = pid, time.monotonic()
        _log.info("started", role=child.role, pid=pid)
        return
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells everybody; the supervisor decides
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        shared.life_line.hold_on()
        child.main()
        code = 0
    except BaseException:  # noqa: BLE001 - the child ends here; the supervisor decides what follows
        _log.exception("fell", role=child.role)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _reap(children: list[Child]) -> None:
    for child in children:
        if child.pid == 0:
            continue
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if pid == 0:
            continue
        up = time.monotonic() - child.started
        child.fails = 1 if up > HEALTHY_SECONDS else child.fails + 1
        wait = min(BACKOFF_SECONDS_FIRST * 2 ** (child.fails - 1), BACKOFF_SECONDS_MAX)
        _log.warning(
            "ended", role=child.role, status=os.waitstatus_to_exitcode(status), restart_in_seconds=wait
        )
        child.pid, child.restart_at = 0, time.monotonic() + wait


def _stop(children: list[Child]) -> None:
    """Ask all to stop (what is acknowledged is durable already), then insist."""
    alive = [child for child in children if child.pid]
    for child in alive:
        os.kill(child.pid, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS_MAX
    while alive and time.monotonic() < until:
        alive = [child for child in alive if os.waitpid(child.pid, os.WNOHANG)[0] == 0]
        time.sleep(0.05)
    for child in alive:
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)


@contextmanager
def kept_out(data_dir: Path) -> Iterator[None]:
    """Keep hubs from serving this data directory; `NeedsOperator` if one does already."""
    run_dir = data_dir / "run"
    run_dir.mkdir(parents=True, exist_ok=True)
    locks: list[int] = []
    try:
        for role in ("front", "work"):
            locks.append(_locked(run_dir / f"{role}.lock"))  # noqa: PERF401 - what was locked before a failure must be given back
        yield
    finally:
        for each in locks:
            os.close(each)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as cause:
        os.close(descriptor)
        raise NeedsOperator(
            f"Another hub serves from {path.parent.parent}.",
            remedy="Stop it, or choose another ISTHMUS_DATA_DIR.",
        ) from cause
    return descriptor


def _listening(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((bind, port))
    except OSError as cause:
        found.close()
        raise NeedsOperator(
            f"{bind}:{port} cannot be listened on ({cause.strerror}).", remedy="Choose another ISTHMUS_PORT."
        ) from cause
    found.listen(2_048)
    found.setblocking(False)
    return found


def _printable(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def _check_ready_to_serve() -> None:
    """Refuse to start on a store that is missing or not migrated: half a hub is worse than none."""
    from django.apps import apps
    from django.db import DatabaseError, connection
    from django.db.migrations.executor import MigrationExecutor

    from isthmus.ledger import organisations

    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        # Only our own: packages replace their migrations by squashed ones, whose old names stay applied.
        ours = {each.label for each in apps.get_app_configs() if each.name.startswith("isthmus.")}
        known = executor.loader.disk_migrations or {}
        newer = [key for key in executor.loader.applied_migrations if key[0] in ours and key not in known]
    except DatabaseError as cause:
        raise NeedsOperator(
            "The store cannot be opened.", remedy="Check DATABASE_URL and the data directory."
        ) from cause
    if missing:
        raise NeedsOperator(
            "The store is new or of an older release.",
            remedy="Run `isthmus init` for a new one, `isthmus upgrade` for an older one.",
        )
    if newer:
        raise NeedsOperator(
            "The store was migrated by a newer release.",
            remedy="Run that release, or restore the backup made before.",
        )
    organisations.root()


def _load_connectors() -> None:
    """Load what the engine needs, before the fork."""
    from isthmus.hub import inventory

    for each in inventory.everything().values():
        _ = each.connector


def _close_database() -> None:
    """Nothing open may cross the fork: two processes on one SQLite handle corrupt each other."""
    from django.db import connections

    from isthmus.ledger import keys

    connections.close_all()
    keys.ring().close()
