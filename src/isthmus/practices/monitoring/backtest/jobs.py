"""Back-tests as operations: asked for, running, done or failed, with a result that expires.

An operation is a file of the data directory (`backtests/`, private), not a record: trying a rule says nothing about
the past and changes nothing in the book. Every process of an installation that shares the directory sees it.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from django.db import connections as databases

from isthmus import django_settings
from isthmus.hub.intake import shared
from isthmus.kernel.actor import Actor
from isthmus.kernel.errors import Conflict, IsthmusError, NotFound
from isthmus.kernel.instant import HOUR, MINUTE, Instant
from isthmus.ledger import scope
from isthmus.ledger.ids import source
from isthmus.practices.monitoring.backtest import gathering, running
from isthmus.practices.monitoring.backtest.candidate import Wanted

_log = structlog.get_logger(__name__)

KEPT_HOURS: Final = 24
KEPT_MAX: Final = 50
KEPT_BYTES_MAX: Final = 200_000_000
LOST_AFTER: Final = 2 * MINUTE
"""An operation that said nothing for so long has lost its process: whoever runs one writes more often."""
STAGES: Final = {"waiting": 0, "reading": 0, "preparing": 10, "in_force": 20, "candidate": 60}
BEAT_SECONDS: Final = 15
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_turn = threading.Lock()
"""Whoever replays holds it: of two that were asked for at the same moment, one waits."""
_threads: dict[str, threading.Thread] = {}


class Job(msgspec.Struct, kw_only=True):
    """One back-test; `progress` is in per cent, `rules` the correlation rules that are tried."""

    id: str
    organisation: str
    owner: str
    owner_label: str
    since: int
    until: int
    created_at: int
    told_at: int
    expires_at: int
    state: str = "running"
    stage: str = "waiting"
    progress: int = 0
    problem: str = ""
    remedy: str = ""
    result: dict[str, Any] | None = None
    rules: list[dict[str, Any]] = []


class Head(msgspec.Struct, kw_only=True):
    """What tells how a kept back-test stands; its result, which may be large, is not decoded for it."""

    id: str
    state: str
    told_at: int
    expires_at: int


def ready(wanted: Wanted, actor: Actor) -> Job:
    """Return a back-test that may begin; one at a time, so that trying never starves deciding."""
    now = source.now()
    if any(each is not None and _runs(each, now) for each in map(_head, _folder().glob("*.json"))):
        raise Conflict(
            "A back-test is running already.", remedy="Wait until it is done: a few minutes at most."
        )
    return Job(
        id=source.new_id(),
        organisation=wanted.organisation,
        owner=actor.id,
        owner_label=actor.label,
        since=wanted.since,
        until=wanted.until,
        created_at=now,
        told_at=now,
        expires_at=now + KEPT_HOURS * HOUR,
        rules=wanted.rules,
    )


def begin(job: Job, wanted: Wanted) -> None:
    """Begin a back-test in the background."""
    _forget(source.now())
    _write(job)
    # Whatever organisations the asker sees, the thread opens the scopes that it needs itself.
    thread = threading.Thread(target=_run, args=(job, wanted), name=f"backtest-{job.id}", daemon=True)
    _threads[job.id] = thread
    thread.start()


def get(job_id: str) -> Job:
    """Return an operation, whoever owns it: the caller checks the organisation."""
    now = source.now()
    found = _read(_folder() / f"{job_id}.json") if _ID.fullmatch(job_id) else None
    if found is None or found.expires_at <= now:
        raise NotFound("There is no such back-test, or its result has expired.", remedy="Start it again.")
    return _judged(found, now)


def wait(job_id: str, seconds: float) -> None:
    """Wait for an operation of this process: before it ends, and in tests."""
    thread = _threads.get(job_id)
    if thread is not None:
        thread.join(seconds)


def _run(job: Job, wanted: Wanted) -> None:
    lock, over = threading.Lock(), threading.Event()

    def told(stage: str, share: float) -> None:
        with lock:
            width = 40 if stage in {"in_force", "candidate"} else 10
            job.stage, job.progress = stage, STAGES.get(stage, 0) + int(width * min(1.0, share))
            job.told_at = source.now()
            _write(job)

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with lock:
                job.told_at = source.now()
                _write(job)

    threading.Thread(target=beat, name=f"backtest-beat-{job.id}", daemon=True).start()
    try:
        with _turn:
            with scope.everywhere(
                "a back-test reads the log of connections; only its organisation's alerts are kept"
            ):
                given = gathering.gather(wanted, shared.log(), told)
            job.result = running.run(given, told, name=job.id)
        job.state = "done"
    except IsthmusError as fault:
        job.state, job.problem, job.remedy = "failed", fault.text, fault.remedy
    except Exception as fault:  # noqa: BLE001 - whatever it is, the asker is told
        _log.exception("backtest_failed", id=job.id)
        job.state, job.problem = "failed", f"The back-test failed ({type(fault).__name__})."
    finally:
        over.set()
        databases.close_all()
        with lock:
            job.stage, job.progress, job.told_at = "", 100, source.now()
            _write(job)
        _threads.pop(job.id, None)


def _runs(job: Job | Head, now: Instant) -> bool:
    """Return whether it is under way: whoever runs it says so every few seconds."""
    return job.state == "running" and job.told_at >= now - LOST_AFTER


def _judged(job: Job, now: Instant) -> Job:
    if job.state == "running" and not _runs(job, now):
        job.state, job.problem, job.remedy = "failed", "The process that ran it has ended.", "Start it again."
    return job


def _forget(now: Instant) -> None:
    """Remove what is expired or too much, and what a process that was killed has left."""
    kept, size = 0, 0
    for path in sorted(_folder().glob("*.json"), reverse=True):
        job = _head(path)
        kept, size = kept + 1, size + path.stat().st_size
        if job is not None and job.state == "running" and not _runs(job, now):
            shutil.rmtree(running.folder_of(job.id), ignore_errors=True)
        if job is None or job.expires_at <= now or kept >= KEPT_MAX or size > KEPT_BYTES_MAX:
            for each in _folder().glob(f"{path.stem}.*"):
                each.unlink(missing_ok=True)


def _folder() -> Path:
    folder = django_settings.ISTHMUS.data_dir / "backtests"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _head(path: Path) -> Head | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except (OSError, msgspec.DecodeError):
        return None


def _read(path: Path) -> Job | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except (OSError, msgspec.DecodeError):
        return None


def _write(job: Job) -> None:
    """Replace the file whole: a reader sees the one before or this one."""
    path = _folder() / f"{job.id}.json"
    new = path.with_suffix(f".{threading.get_ident()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(job))
    new.replace(path)
