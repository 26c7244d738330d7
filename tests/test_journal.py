"""The journal's lines and what they say about every job (R4, R7, R8, T9; law 10)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from sinkd.errors import ConfigError
from sinkd.journal import (
    FORMAT,
    compacted,
    decode,
    encode,
    is_terminal,
    replay,
    settled_by,
)
from sinkd.state import JobState, apply

SLOT = 1_795_424_400
STEP = 900


class Entries:
    """Numbers entries as the writer does, and gives the bytes of a journal."""

    def __init__(self):
        self.seq = 0
        self.lines = []

    def add(self, entry, **fields):
        self.seq += 1
        self.lines.append(encode({"seq": self.seq, "entry": entry, **fields}))
        return self

    def version(self):
        return self.add("version", format=FORMAT)

    def cursor(self, job="a", decided=SLOT, schedule="15/0"):
        return self.add("cursor", job=job, decided=decided, schedule=schedule)

    def claim(self, slot, job="a"):
        return self.add(
            "claim",
            job=job,
            run_id=f"{job}@{slot}",
            slot=slot,
            after=slot - STEP,
            record={"job": job},
        )

    def manual(self, number, job="a"):
        run_id = f"{job}@{number}#manual"
        return self.add("claim", job=job, run_id=run_id, record={"job": job})

    def close(self, slot, job="a"):
        return self.add("close", job=job, run_id=f"{job}@{slot}")

    def alive(self, at=9.5, draining=None, **cursors):
        return self.add("alive", at=at, cursors=cursors, tzdata="2026f", draining=draining)

    @property
    def data(self):
        return b"".join(self.lines)

    def replayed(self):
        return replay(self.data)


# --- lines ----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=9,
)
ENTRIES = st.dictionaries(st.text(max_size=9), JSON, min_size=1, max_size=5)


@given(ENTRIES)
def test_an_entry_survives_its_line_which_is_ascii_json(entry):
    line = encode(entry)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1
    assert decode(line[:-1]) == entry
    assert {key: value for key, value in from_json(line).items() if key != "crc"} == {
        key: value for key, value in entry.items() if key != "crc"
    }


@given(ENTRIES, st.data())
def test_a_line_in_which_any_byte_changed_does_not_prove_itself(entry, data):
    line = bytearray(encode(entry)[:-1])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(line)) is None


@given(ENTRIES, st.data())
def test_a_line_that_was_cut_does_not_prove_itself(entry, data):
    line = encode(entry)[:-1]
    assert decode(line[: data.draw(st.integers(0, len(line) - 1))]) is None


@given(st.binary(max_size=99))
def test_no_bytes_are_an_error(noise):
    assert decode(noise) is None
    assert replay(noise).states == {}


# --- torn and damaged lines -------------------------------------------------------------------


def test_damaged_lines_are_counted_and_the_others_count():
    entries = Entries().version().cursor("a").cursor("b").cursor("c").cursor("d")
    for number in (2, 3):
        entries.lines[number] = entries.lines[number].replace(b'"decided"', b'"undecided"')
    found = entries.replayed()
    assert set(found.states) == {"a", "d"}
    assert found.damaged == 2
    assert found.seq == 5


def test_an_empty_line_is_no_damage_and_no_end():
    found = replay(Entries().version().data + b"\n" + Entries().cursor().data)
    assert set(found.states) == {"a"}
    assert found.damaged == 0


@pytest.mark.parametrize("tail", [b'{"seq":9,"ent', b"\0" * 5000, b"\0" * 10 + b"\n", b"{}\n"])
def test_a_torn_tail_takes_nothing_else_with_it(tail):
    entries = Entries().version().cursor()
    found = replay(entries.data + tail)
    assert found.states == entries.replayed().states
    assert found.damaged == 1


def test_a_line_that_only_lost_its_newline_counts():
    entries = Entries().version().cursor()
    assert replay(entries.data[:-1]).states == entries.replayed().states


def test_a_sealed_journal_says_what_it_said_before():
    entries = Entries().version().cursor()
    sealed = replay(entries.data + b"\n")
    assert (sealed.states, sealed.damaged) == (entries.replayed().states, 0)


@settings(max_examples=50)
@given(st.data())
def test_cutting_a_journal_anywhere_forgets_only_its_end(data):
    entries = Entries().version().cursor().claim(SLOT + STEP).close(SLOT + STEP).alive(a=SLOT)
    cut = data.draw(st.integers(0, len(entries.data)))
    whole = [
        n for n in range(len(entries.lines)) if len(b"".join(entries.lines[: n + 1])) - 1 <= cut
    ]
    assert replay(entries.data[:cut]).states == replay(b"".join(entries.lines[: len(whole)])).states


def test_a_journal_of_a_newer_format_is_refused_with_a_sentence():
    newer = Entries().add("version", format=FORMAT + 1)
    with pytest.raises(ConfigError, match=r"written by a newer sinkd \(journal format 2.*upgrade"):
        newer.replayed()


def test_an_empty_journal_says_nothing():
    found = replay(b"")
    assert (found.states, found.seq, found.alive_at, found.damaged) == ({}, 0, None, 0)


# --- what settles a job (T9) ----------------------------------------------------------------


def test_the_newest_entry_says_through_when_a_job_is_settled():
    entries = Entries().version().cursor().claim(SLOT + STEP).alive(a=SLOT + 2 * STEP)
    assert entries.replayed().states["a"].decided == SLOT + 2 * STEP
    assert entries.claim(SLOT + 3 * STEP).replayed().states["a"].decided == SLOT + 3 * STEP
    assert entries.cursor(decided=7).replayed().states["a"].decided == 7


def test_the_last_sign_of_life_is_known():
    found = Entries().version().cursor().alive(9.5).alive(69.5, draining=60.25).replayed()
    assert (found.alive_seq, found.alive_at, found.draining) == (4, 69.5, 60.25)
    assert Entries().alive(1, draining=1).alive(2).replayed().draining is None


def test_a_cursor_of_a_job_that_is_not_known_is_passed_over():
    assert Entries().alive(b=SLOT).replayed().states == {}


@pytest.mark.parametrize(("seq", "decided"), [(1, SLOT), (2, SLOT), (3, SLOT + STEP)])
def test_a_line_of_the_run_log_settles_only_when_it_is_newer(seq, decided):
    found = Entries().version().cursor().replayed()
    found.settle("a", seq, SLOT + STEP)
    assert found.states["a"].decided == decided


def test_after_a_compaction_an_older_line_of_the_run_log_settles_nothing():
    long = Entries().version().cursor()
    short = b"".join(
        encode({"seq": seq, **entry})
        for seq, entry in enumerate(compacted(long.replayed().states), 5)
    )
    found = replay(short)
    found.settle("a", 4, SLOT + STEP)
    assert found.states["a"].decided == SLOT


def test_a_line_of_the_run_log_settles_nothing_of_a_job_that_is_not_known():
    found = Entries().version().replayed()
    found.settle("a", 9, SLOT)
    assert found.states == {}


def test_a_manual_claim_is_no_reason_to_pass_over_an_older_skipped_slot():
    entries = Entries().version().cursor()
    entries.seq += 1  # of the skipped slot's line
    found = entries.manual(1).replayed()
    found.settle("a", 3, SLOT + STEP)
    assert found.states["a"].decided == SLOT + STEP


def test_only_lines_of_unsent_slots_settle():
    skipped = {"scheduled_at": "2026-11-23T09:00:00Z", "outcome": "skipped"}
    missed = {**skipped, "last_scheduled_at": "2026-11-23T10:00:00Z", "outcome": "missed"}
    claimed = {**skipped, "outcome": "success", "trigger": "schedule"}
    assert settled_by(skipped) == "2026-11-23T09:00:00Z"
    assert settled_by(missed) == "2026-11-23T10:00:00Z"
    assert settled_by(claimed) is None
    assert is_terminal(claimed)
    assert not is_terminal(missed)


def test_open_claims_come_oldest_first():
    entries = Entries().cursor("b").cursor("a").claim(SLOT, "a").claim(SLOT, "b").claim(SLOT, "c")
    found = entries.close(SLOT, "b").replayed()
    assert [claim.run_id for claim in found.open_claims()] == [f"a@{SLOT}", f"c@{SLOT}"]


# --- compaction (R8, law 10) -------------------------------------------------------------------

JOBS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("cursor"), JOBS, st.integers(0, 30), st.sampled_from(["15/0", None])),
        st.tuples(st.just("claim"), JOBS, st.integers(0, 30)),
        st.tuples(st.just("manual"), JOBS, st.integers(0, 30)),
        st.tuples(st.just("close"), JOBS, st.integers(0, 30)),
        st.tuples(st.just("pause"), JOBS, st.integers(0, 30)),
        st.tuples(st.just("resume"), JOBS),
        st.tuples(st.just("alive"), st.dictionaries(JOBS, st.integers(0, 30))),
    ),
    max_size=30,
)


def lived(steps):
    entries = Entries().version()
    for step in steps:
        match step:
            case ("cursor", job, slot, schedule):
                entries.cursor(job, slot * STEP, schedule)
            case ("claim", job, slot):
                entries.claim(slot * STEP, job)
            case ("manual", job, number):
                entries.manual(number, job)
            case ("close", job, slot):
                entries.close(slot * STEP, job)
            case ("pause", job, until):
                entries.add("pause", job=job, until=until + 0.5, reason="r", by="b")
            case ("resume", job):
                entries.add("resume", job=job, at=7.5)
            case ("alive", cursors):
                entries.alive(**{job: slot * STEP for job, slot in cursors.items()})
    return entries


def without_seq(states):
    """Give the states without the number of an open claim's line, which a compaction changes."""
    return {
        job: replace(known, open=known.open and replace(known.open, seq=0))
        for job, known in states.items()
    }


@given(STEPS)
def test_a_compacted_journal_says_the_same(steps):
    found = lived(steps).replayed()
    short = b"".join(
        encode({"seq": 100 + n, **entry}) for n, entry in enumerate(compacted(found.states))
    )
    again = replay(short)
    assert again.states == found.states
    assert again.damaged == 0
    assert from_json(short.split(b"\n")[0])["format"] == FORMAT


@given(STEPS)
def test_replaying_is_folding_entry_by_entry(steps):
    entries = lived(steps)
    states: dict[str, JobState] = {}
    for line in entries.lines:
        entry = decode(line[:-1])
        match entry["entry"]:
            case "version":
                pass
            case "alive":
                for job, decided in entry["cursors"].items():
                    if job in states:
                        states[job] = replace(states[job], decided=decided)
            case _:
                states[entry["job"]] = apply(states.get(entry["job"]), entry)
    assert entries.replayed().states == states
    assert entries.replayed().seq == entries.seq
