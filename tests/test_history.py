"""The run log read back: every file, both directions, whatever state the disk is in."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinkd import history, record
from sinkd.errors import UsageError
from sinkd.history import LINE_CAP_BYTES, History

SLOT = 1_795_424_400  # 2026-11-23T09:00Z


def run(seq, job="a", slot=None, **fields):
    at = record.rfc3339(SLOT + 60 * seq if slot is None else slot)
    return {
        "v": 1,
        "seq": seq,
        "run_id": f"{job}@{at}",
        "job": job,
        "scheduled_at": at,
        "outcome": "success",
        **fields,
    }


def lines(*seqs):
    return b"".join(record.line(run(seq)) for seq in seqs)


def seqs(records):
    return [found["seq"] for found in records]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], None]:
    def write(name: str, content: bytes) -> None:
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    return write


def test_sealed_compressed_and_rotated_files_are_read_in_the_order_of_seq(tmp_path, write):
    write("runs.jsonl.2.gz", lines(1, 2))
    write("runs.jsonl.1", lines(3))
    write("runs-20991231T000000Z.jsonl.gz", lines(4, 5))  # sealed while the clock was ahead
    write("runs-20261123T090000Z.jsonl", lines(6, 7))
    write("runs.jsonl", lines(8, 9))
    write("runs-20261123T090000Z.summary.json", b"{}")
    write("events.jsonl", b"")
    found = History(tmp_path)
    assert seqs(found.runs()) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert seqs(found.runs_backwards()) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert found.unreadable == 0


def test_a_segment_that_stands_there_plain_and_compressed_is_read_once(tmp_path, write):
    write("runs-20261123T090000Z.jsonl", lines(1, 2))
    write("runs-20261123T090000Z.jsonl.gz", lines(1))
    assert seqs(History(tmp_path).runs()) == [1, 2]


def test_a_file_sealed_after_a_reading_began_is_read_once_and_whole(tmp_path, write):
    write("runs-20261122T090000Z.jsonl", lines(1))
    write("runs.jsonl", lines(2, 3))
    reading = History(tmp_path).runs()
    assert seqs([next(reading)]) == [1]
    (tmp_path / "runs.jsonl").rename(tmp_path / "runs-20261123T090000Z.jsonl")
    write("runs.jsonl", lines(4))
    assert seqs(reading) == [2, 3]


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen when a reading has opened the current file and lists the others."""

    def meanwhile(happens):
        names, left = History._names, [happens]
        monkeypatch.setattr(History, "_names", lambda self: (left and left.pop()()) or names(self))

    return meanwhile


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("names", [[], ["runs.jsonl"]])
@pytest.mark.parametrize("sealed", ["runs-1.jsonl", "runs-1.jsonl.gz"])
def test_a_file_sealed_before_the_others_are_listed_is_read_once(
    tmp_path, write, meanwhile, backwards, *, sealed, names
):
    def seal():
        (tmp_path / "runs.jsonl").unlink()
        write(sealed, lines(1, 2))
        for name in names:
            write(name, lines(3))

    write("runs.jsonl", lines(1, 2))
    found = History(tmp_path)
    meanwhile(seal)
    read = found.runs_backwards() if backwards else found.runs()
    assert sorted(seqs(read)) == [1, 2, 3][: 2 + len(names)]


def test_a_segment_compressed_after_it_was_listed_is_read(tmp_path, write, monkeypatch):
    write("runs-1.jsonl", lines(1))
    write("runs.jsonl", lines(2))
    found = History(tmp_path)
    monkeypatch.setattr(found, "_names", lambda: ["runs-1.jsonl"])
    write("runs-1.jsonl.gz", lines(1))
    (tmp_path / "runs-1.jsonl").unlink()
    assert seqs(found.runs()) == [1, 2]


@pytest.mark.parametrize("backwards", [False, True])
def test_lines_that_cannot_be_parsed_are_skipped_and_counted(tmp_path, write, backwards):
    newer = record.line(run(7, v=2))
    broken = (
        b'{"v":1,"se\n',
        b"\xff\xfe\n",
        b"\0" * 3_000_000 + b"\n",
        b"[" * 60_000 + b"\n",
        b"17\n",
        newer,
        record.line(run(8, scheduled_at="yesterday")),
        record.line(run(8, count=0)),
        record.line(run(9, url="x" * LINE_CAP_BYTES)),
    )
    write("runs.jsonl", lines(1) + b"".join(broken) + lines(2))
    found = History(tmp_path)
    read = found.runs_backwards() if backwards else found.runs()
    assert sorted(seqs(read)) == [1, 2]
    assert found.unreadable == len(broken)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_last_line_without_newline_counts_when_complete_and_is_no_error_when_not(
    tmp_path, write, backwards
):
    found = History(tmp_path)
    for content, expected in ((lines(1, 2)[:-1], [1, 2]), (lines(1, 2)[:-9], [1])):
        write("runs.jsonl", content)
        read = found.runs_backwards() if backwards else found.runs()
        assert sorted(seqs(read)) == expected
    assert found.unreadable == 0


@pytest.mark.parametrize("backwards", [False, True])
def test_a_damaged_segment_gives_what_it_can_and_counts(tmp_path, write, backwards):
    cut = gzip.compress(lines(*range(1, 200)))[:-200]
    (tmp_path / "runs-1.jsonl.gz").write_bytes(cut)
    (tmp_path / "runs-2.jsonl.gz").write_bytes(b"no gzip at all")
    write("runs.jsonl", lines(500))
    found = History(tmp_path)
    read = seqs(found.runs_backwards() if backwards else found.runs())
    assert 1 in read
    assert 500 in read
    assert found.losses == (
        "2 lines of the run log cannot be read; damaged: runs-1.jsonl.gz, runs-2.jsonl.gz"
    )


@pytest.mark.parametrize("lost", range(1, 60))
def test_a_segment_that_breaks_off_anywhere_gives_the_same_both_ways(tmp_path, lost):
    (tmp_path / "runs-1.jsonl.gz").write_bytes(gzip.compress(lines(1, 2, 3)[:-1])[:-lost])
    read = [
        list(History(tmp_path).lines("runs", backwards=backwards)) for backwards in (False, True)
    ]
    assert read[0] == read[1][::-1]
    assert len(read[0]) > 1 or lost > 8  # of the checksum and the length


def test_runs_can_be_limited_to_slots_from_one_instant_to_before_another(tmp_path, write):
    write("runs.jsonl", lines(*range(10)))
    found = History(tmp_path)
    assert seqs(found.runs(SLOT + 120, SLOT + 300)) == [2, 3, 4]
    assert seqs(found.runs(since=SLOT + 480)) == [8, 9]
    assert seqs(found.runs(until=SLOT + 61)) == [0, 1]


def test_a_missed_range_counts_where_any_of_its_slots_lies(tmp_path, write):
    gap = run(1, slot=SLOT, count=3, last_scheduled_at=record.rfc3339(SLOT + 7200))
    write("runs.jsonl", record.line(gap))
    assert seqs(History(tmp_path).runs(since=SLOT + 7200)) == [1]
    assert seqs(History(tmp_path).runs(since=SLOT + 7201)) == []


def test_a_range_of_one_slot_may_lack_its_last(tmp_path, write):
    write("runs.jsonl", record.line(run(1, count=1)) + record.line(run(2, count=2)))
    found = History(tmp_path)
    assert seqs(found.runs(since=0)) == [1]
    assert found.unreadable == 1


def test_events_are_read_both_ways(tmp_path, write):
    at = record.rfc3339(SLOT)
    both = [{"v": 1, "seq": seq, "at": at, "event": "config_unsettled"} for seq in (1, 2)]
    write("events.jsonl", b"".join(map(record.line, both)) + b'{"v":1,"seq":3}\n')
    found = History(tmp_path)
    assert list(found.events()) == both
    assert list(found.events_backwards()) == both[::-1]
    assert found.unreadable == 2


def test_an_empty_directory_has_no_history_and_a_missing_one_is_named(tmp_path):
    assert list(History(tmp_path).runs()) == []
    assert list(History(tmp_path).events_backwards()) == []
    with pytest.raises(UsageError, match=r"`.*/nowhere` \(no such file.*--data-dir"):
        History(tmp_path / "nowhere")


def test_a_log_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "runs.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"runs\.jsonl` \(is a directory\)"):
        list(History(tmp_path).runs())


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_reading_backwards_is_reading_forwards_reversed(pieces, block):
    content = b"\n".join(pieces)
    forth = list(history.forwards(io.BytesIO(content)))
    assert list(history._backwards(io.BytesIO(content), block)) == forth[::-1]
    assert b"".join(forth) == content
    assert all(line.endswith(b"\n") for line in forth[:-1])
