"""Back-tests: the child replays through the real decisions, and nothing of the live book moves."""

from __future__ import annotations

import os
import random
import selectors
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from isthmus.connectors.kit.ports import encode_observations
from isthmus.kernel.instant import MINUTE, SECOND, Instant
from isthmus.ledger.ids import source
from isthmus.practices.monitoring.backtest import running
from isthmus.practices.monitoring.backtest.shapes import Event, Handover, Row

RULE = {"name": "per site", "by": ["site"], "topology": False}


def event_of(seen: Any) -> Event:
    return Event(
        connection=seen.connection,
        position=seen.message_position,
        place=seen.place,
        received_at=seen.received_at,
        message_id=seen.message_id,
        trace=seen.trace,
        door=seen.door,
        body=encode_observations([seen.observation]),
    )


def handover(
    book: Any,
    seens: list[Any],
    *,
    candidate: dict[str, Any],
    in_force: dict[str, Any] | None = None,
    **more: Any,
) -> Handover:
    times = [each.received_at for each in seens]
    return Handover(
        organisation=book.organisation,
        since=min(times) - MINUTE,
        until=more.pop("until", max(times) + MINUTE),
        rows=[],
        events=[event_of(each) for each in seens],
        in_force=in_force or {},
        candidate=candidate,
        **more,
    )


def with_rule(**more: Any) -> dict[str, Any]:
    return {"monitoring": {"correlation": {"rules": [{**RULE, **more}]}}}


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, (stage, share)


def run(given: Handover) -> dict[str, Any]:
    return running.run(given, quiet, name=source.new_id())


@pytest.fixture(autouse=True)
def _nothing_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A place of its own for each test's directories: none of them outlives its run."""
    place = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert list(place.iterdir()) == []


def stream(monitor: Any, seed: int) -> list[Any]:
    """Live processing of a random stream over a day; return what was taken."""
    chance = random.Random(seed)
    seens = []
    for _ in range(40):
        monitor.pass_time(seconds=chance.choice([1, 20, 90, 400, 1_500]))
        seen = monitor.event(
            chance.choice(["Down", "Slow"]),
            state=chance.choice(["firing", "firing", "resolved"]),
            severity=chance.choice(["critical", "warning"]),
            host=chance.choice(["a", "b", "c"]),
            site=chance.choice(["north", "south"]),
        )
        monitor.send(seen)
        seens.append(seen)
    monitor.pass_time(minutes=30)
    return seens


@pytest.mark.parametrize("seed", [1, 2])
def test_replaying_the_rules_in_force_gives_the_incidents_of_live_processing(monitor, seed):
    in_force = {
        "monitoring": {
            "correlation": {"rules": [{**RULE, "window": "PT20M", "threshold": 2}]},
            "times": {"stable": "PT2M", "reopen": "PT10M"},
        }
    }
    monitor.configure(**in_force)
    seens = stream(monitor, seed)
    until = monitor.book.clock.now()
    found = run(handover(monitor.book, seens, in_force=in_force, candidate=in_force, until=until))

    live = [(each.title, each.state, each.correlation_key) for each in monitor.incidents()]
    told = [(each["title"], each["state"], each["correlation_key"]) for each in found["same"]]
    assert live
    assert sorted(told) == sorted(live)
    assert found["counts"] == {
        "in_force": len(live),
        "candidate": len(live),
        "same": len(live),
        "only_in_force": 0,
        "only_candidate": 0,
        "regrouped": 0,
    }
    decisions: dict[str, int] = defaultdict(int)
    for each in monitor.alerts():
        decisions[each.decision] += 1
    assert found["decisions"]["in_force"] == dict(decisions)
    assert found["faults"] == []


def test_a_rule_that_groups_by_a_label_makes_one_of_three_and_a_rule_that_matches_nothing_changes_nothing(
    monitor,
):
    seens = []
    for host, site in (("a", "north"), ("b", "north"), ("c", "north"), ("d", "")):
        monitor.pass_time(seconds=20)
        seens.append(monitor.event("Down", host=host, **({"site": site} if site else {})))
    candidate = with_rule(match={"site": "north"})
    found = run(handover(monitor.book, seens, candidate=candidate))
    assert found["counts"] == {
        "in_force": 4,
        "candidate": 2,
        "same": 1,
        "only_in_force": 0,
        "only_candidate": 0,
        "regrouped": 1,
    }
    group = found["regrouped"][0]
    names = {"Down on a", "Down on b", "Down on c"}
    assert [len(each["alerts"]) for each in group["before"]] == [1, 1, 1]
    assert {each["alerts"][0]["summary"] for each in group["before"]} == names
    assert [{alert["summary"] for alert in each["alerts"]} for each in group["after"]] == [names]
    assert "per site" in group["after"][0]["reason"]
    assert found["same"][0]["title"] == "Down on d"

    found = run(handover(monitor.book, seens, candidate=with_rule(match={"site": "nowhere"})))
    assert found["counts"]["same"] == 4
    assert found["only_in_force"] == found["only_candidate"] == found["regrouped"] == []


def test_the_live_book_stays_as_it_is_and_a_replay_that_takes_too_long_is_ended(monitor):
    from isthmus.ledger.models import Entry

    seens = [monitor.event("Down", host=str(each)) for each in range(3)]
    before = Entry.objects.count()
    files = sorted(str(each) for each in monitor.book.directory.rglob("*"))
    with pytest.raises(running.Failed, match="longer than 0 seconds"):
        run(handover(monitor.book, seens, candidate=with_rule(), seconds_max=0))
    assert Entry.objects.count() == before
    assert sorted(str(each) for each in monitor.book.directory.rglob("*")) == files
    assert Instant(seens[0].received_at) > SECOND


def test_windows_silences_and_the_map_hold_in_the_replay_as_they_did(monitor, world):
    """The twin without them shows that they are what kept the alerts quiet."""
    from isthmus.practices.monitoring import silences
    from isthmus.practices.monitoring.backtest import gathering
    from isthmus.practices.monitoring.backtest.candidate import Wanted

    began = monitor.book.clock.now()
    world.authorised()
    monitor.book.perform(
        lambda work: silences.create(
            work,
            organisation=monitor.book.organisation,
            matchers=[{"label": "host", "value": "leaf"}],
            starts_at=work.now,
            ends_at=Instant(work.now + 20 * MINUTE),
            comment="known, called Zebedee",
        )
    )
    seens = []
    for host in ("db", "leaf", "shop-app"):
        monitor.pass_time(seconds=30)
        seens.append(monitor.event("Down", host=host))
        monitor.send(seens[-1])
    live = sorted(each.decision for each in monitor.alerts())
    assert live == ["suppressed_maintenance", "suppressed_maintenance", "suppressed_silence"]

    monitor.pass_time(minutes=40)
    until = monitor.book.clock.now()
    rows = gathering._rows(
        Wanted(organisation=monitor.book.organisation, since=began, until=until, in_force={}, candidate={})
    )
    assert "Zebedee" not in repr(rows)
    assert "New release" not in repr(rows)
    given = handover(monitor.book, seens, candidate=with_rule(match={"site": "x"}), until=until)
    found = run(msgspec.structs.replace(given, rows=rows))
    decisions: dict[str, int] = defaultdict(int)
    for each in monitor.alerts():
        decisions[each.decision] += 1
    assert found["decisions"]["in_force"] == dict(decisions)
    assert [each["title"] for each in found["same"]] == [each.title for each in monitor.incidents()]
    assert len(found["same"]) == 1  # the silence's end was replayed as well
    assert found["faults"] == []
    bare = run(given)
    assert bare["counts"]["in_force"] == 3


def test_a_child_whose_asker_is_gone_removes_its_directory_and_one_without_a_directory_of_its_own_refuses(
    monitor, tmp_path
):
    folder = tmp_path / "scratch"
    folder.mkdir(mode=0o700)
    (folder / "handover").write_bytes(
        msgspec.msgpack.encode(handover(monitor.book, [monitor.event("Down")], candidate={}))
    )
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "isthmus.django_settings"}
    command = [sys.executable, "-m", running.MODULE, str(folder)]

    live = {**environment, "ISTHMUS_DATA_DIR": str(monitor.book.directory)}
    refused = subprocess.run(command, env=live, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert "a directory of its own" in refused.stdout

    own = {**environment, "ISTHMUS_DATA_DIR": str(folder / "data")}
    child = subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    child.stdout.close()
    assert child.wait(60) == 1
    assert not folder.exists()


def _ends(pipe, seconds):
    """Whether there is something to read, or nobody left to write, in that time."""
    with selectors.DefaultSelector() as wait:
        wait.register(pipe, selectors.EVENT_READ)
        return bool(wait.select(seconds))


def test_a_replay_whose_parent_was_killed_is_ended_too():
    """The replay keeps the pipe open as long as it lives."""
    code = "import os, time; os.fork() or time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not _ends(child.stdout, 0.2)
    running._end(child)
    assert _ends(child.stdout, 20)
    child.wait()
    child.stdout.close()
    running._end(child)


def test_each_side_judges_the_verdicts_of_sampled_accuracy_by_its_own_threshold(monitor):
    def asking(threshold: float) -> dict[str, Any]:
        return {"monitoring": {"automation": {"accuracy": {"threshold": threshold, "verdicts_min": 2}}}}

    earned = {"alert_class": "Down", "service": "", "full_permitted": True, "verdicts": 4, "wrong": 1}
    given = handover(monitor.book, [monitor.event("Down")], in_force=asking(0.5), candidate=asking(0.9))
    found = run(msgspec.structs.replace(given, rows=[Row("automation_mode", source.new_id(), earned)]))
    assert found["decisions"] == {"in_force": {"opened": 1}, "candidate": {"drafted": 1}}
