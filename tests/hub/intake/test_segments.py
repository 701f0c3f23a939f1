"""The segment log: what was acknowledged is there, in order, whatever happened to the writer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hub.intake.support import DAY, NOON, FileKeys, draft

from isthmus.hub.intake.log import LogUnavailable
from isthmus.hub.intake.sealing import Damaged
from isthmus.hub.intake.segments import SegmentLog
from isthmus.kernel.errors import Rejected


def opened(path: Path, **limits: int) -> SegmentLog:
    return SegmentLog(path / "log", FileKeys(path / "keys"), **limits)


def bodies(log: SegmentLog, after: int = 0) -> list[bytes]:
    found = []
    while messages := log.read("web", after, messages_max=7):
        found += [each.body for each in messages]
        assert [each.position for each in messages] == list(range(after + 1, after + 1 + len(messages)))
        after = messages[-1].position
    return found


def test_messages_come_back_in_order_with_everything_that_the_sender_gave(tmp_path):
    log = opened(tmp_path)
    assert log.append("web", [draft(b"one", number=1), draft(b"two", number=2)]) == 1
    assert log.append("web", [draft(b"three", number=3)]) == 3
    first = log.read("web", 0, messages_max=1)[0]
    assert (first.position, first.id, first.body, first.headers) == (
        1,
        f"{1:026d}",
        b"one",
        [("content-type", "application/json")],
    )
    assert bodies(log) == [b"one", b"two", b"three"]
    assert bodies(log, after=2) == [b"three"]
    assert log.durable("web") == 3


def test_a_connection_that_never_sent_anything_is_empty(tmp_path):
    log = opened(tmp_path)
    assert log.durable("nobody") == 0
    assert log.read("nobody", 0, messages_max=5) == []
    assert log.connections() == []


def test_a_name_that_would_leave_the_directory_is_refused(tmp_path):
    with pytest.raises(Rejected, match="cannot name a connection"):
        opened(tmp_path).append("../evil", [draft(b"x")])


def test_nothing_of_a_message_is_readable_on_disk(tmp_path):
    opened(tmp_path).append("web", [draft(b"MARKER-of-a-secret-body")])
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"MARKER" not in path.read_bytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=4), min_size=1, max_size=8),
    unacknowledged=st.lists(st.binary(max_size=40), max_size=3),
    cut=st.integers(min_value=0, max_value=400),
    segment_bytes=st.sampled_from([150, 400, 64_000_000]),
)
def test_any_kill_point_recovers_a_prefix_with_everything_acknowledged(
    tmp_path_factory, groups, unacknowledged, cut, segment_bytes
):
    path = tmp_path_factory.mktemp("log")
    log = opened(path, segment_bytes_max=segment_bytes)
    for group in groups:
        log.append("web", [draft(body) for body in group])
    acknowledged = [body for group in groups for body in group]
    newest = max((path / "log" / "web").glob("*.seg"))
    whole = newest.stat().st_size
    mark = (path / "log" / "web" / "mark").read_bytes()
    if unacknowledged:
        log.append("web", [draft(body) for body in unacknowledged])
    log.close()
    # The kill: the mark was not yet published, and of the last write any number of bytes reached the file.
    (path / "log" / "web" / "mark").write_bytes(mark)
    last = max((path / "log" / "web").glob("*.seg"))
    floor = whole if last == newest else 0
    os.truncate(last, max(floor, last.stat().st_size - cut))

    again = opened(path, segment_bytes_max=segment_bytes)
    again.recover()
    found = bodies(again)
    everything = acknowledged + unacknowledged
    assert found[: len(acknowledged)] == acknowledged
    assert found == everything[: len(found)]
    assert again.append("web", [draft(b"next")]) == len(found) + 1
    assert bodies(again) == [*found, b"next"]
    again.close()


def test_garbage_behind_the_tail_is_cut_and_never_read(tmp_path):
    log = opened(tmp_path)
    log.append("web", [draft(b"kept")])
    log.close()
    segment = next((tmp_path / "log" / "web").glob("*.seg"))
    segment.write_bytes(segment.read_bytes() + b"\x40\x00\x00\x00" + b"garbage" * 20)
    again = opened(tmp_path)
    again.recover()
    assert again.append("web", [draft(b"after")]) == 2
    assert bodies(again) == [b"kept", b"after"]


def test_an_altered_message_is_reported_not_read(tmp_path):
    log = opened(tmp_path)
    log.append("web", [draft(b"genuine")])
    segment = next((tmp_path / "log" / "web").glob("*.seg"))
    from isthmus.hub.intake import frames

    data = segment.read_bytes()
    frame = next(frames.frames(data, frames.HEADER_BYTES, 0, 1))
    forged = frame.payload[:-1] + bytes([frame.payload[-1] ^ 1])
    segment.write_bytes(data[: frames.HEADER_BYTES] + frames.pack_frame(1, frame.received_at, forged))
    with pytest.raises(Damaged, match="does not open"):
        opened(tmp_path).read("web", 0, messages_max=1)


def test_two_writers_take_turns_and_no_position_is_used_twice(tmp_path):
    front, work = opened(tmp_path), opened(tmp_path)
    assert [
        front.append("web", [draft(b"a")]),
        work.append("web", [draft(b"b")]),
        front.append("web", [draft(b"c")]),
    ] == [1, 2, 3]
    assert bodies(work) == bodies(front) == [b"a", b"b", b"c"]


def test_a_reader_of_another_process_sees_only_what_is_published(tmp_path):
    writer, reader = opened(tmp_path), opened(tmp_path)
    assert reader.durable("web") == 0
    writer.append("web", [draft(b"a")])
    assert bodies(reader) == [b"a"]
    writer.append("web", [draft(b"b")])
    assert bodies(reader, after=1) == [b"b"]


def test_segments_roll_by_size_and_by_day(tmp_path):
    log = opened(tmp_path, segment_bytes_max=200)
    for number in range(6):
        log.append("web", [draft(b"x" * 100, at=NOON + (number // 3) * DAY)])
    assert len(list((tmp_path / "log" / "web").glob("*.seg"))) >= 3
    assert len(bodies(log)) == 6


def test_one_message_larger_than_a_read_chunk_is_read_whole(tmp_path):
    log = opened(tmp_path)
    log.append("web", [draft(b"small"), draft(b"L" * 1_900_000), draft(b"tail")])
    assert [len(each) for each in bodies(log)] == [5, 1_900_000, 4]
    assert [len(each) for each in bodies(opened(tmp_path), after=2)] == [4]


def test_retention_unlinks_days_and_destroys_their_keys_but_never_reuses_positions(tmp_path):
    log = opened(tmp_path)
    log.append("web", [draft(b"old one"), draft(b"old two")])
    log.append("web", [draft(b"young", at=NOON + 3 * DAY)])
    assert log.forget("web", NOON + DAY, up_to=1) == 0, "not everything old was consumed yet"
    assert log.forget("web", NOON + DAY, up_to=3) == 1
    assert [each.body for each in log.read("web", 0, messages_max=9)] == [b"young"]
    assert list((tmp_path / "keys").glob("*.gone"))
    assert log.forget("web", NOON + 9 * DAY, up_to=3) == 1
    assert log.append("web", [draft(b"new", at=NOON + 9 * DAY)]) == 4
    assert [each.body for each in opened(tmp_path).read("web", 0, messages_max=9)] == [b"new"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
def test_a_full_disk_is_said_and_leaves_the_log_as_it_was(tmp_path):
    log = opened(tmp_path)
    log.append("web", [draft(b"kept")])
    writer = log._writer("web")
    full = os.open("/dev/full", os.O_WRONLY)
    good, writer._file = writer._file, full
    size = os.fstat(good).st_size
    real_fstat_end, writer._end = writer._end, os.fstat(full).st_size
    with pytest.raises(LogUnavailable, match="No space left"):
        writer.append([draft(b"lost")])
    os.close(good)
    assert next((tmp_path / "log" / "web").glob("*.seg")).stat().st_size == size == real_fstat_end
    assert log.append("web", [draft(b"next")]) == 2
    assert bodies(log) == [b"kept", b"next"]
