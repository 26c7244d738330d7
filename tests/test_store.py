"""What a start finds and what the files prove: recovery, signs of life, claims (R4, R8, R11, T9)."""

import asyncio
import json
from collections import Counter

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinkd import journal
from sinkd.errors import ConfigError, LockedError
from sinkd.history import History
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.runlog import EVENTS, RESERVE, RUNS
from sinkd.state import Pause, is_sent
from sinkd.storage import Storage
from sinkd.store import ALIVE_SECONDS, Promise, Store
from sinkd.testing import MemoryConfig, VirtualClock, World, inline, run_virtual

NINE = 1_795_424_400
STEP = 900


async def pausing(call):
    """Take half a second over what a thread would do, so that lines come meanwhile."""
    done = call()
    await asyncio.sleep(0.5)
    return done


class Life:
    """One daemon's store over a directory, with its writer at work."""

    def __init__(self, path, offload=inline, storage=Storage):
        self.path = path
        self.clock = VirtualClock(NINE)
        self.store = Store(storage(path), self.clock, offload, tzdata="2026f")
        self.writer = asyncio.create_task(self.store.log.serve())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        """Crash: what is not written yet is lost, and so is the lock."""
        self.writer.cancel()
        self.store.close()

    def promise(self, slot, job="a"):
        return Promise(run_id(slot, job), job, known(slot, job), slot, slot - STEP)

    async def claim(self, *slots, job="a"):
        return await self.store.claim([self.promise(slot, job) for slot in slots])

    async def finish(self, slot, job="a"):
        await self.store.finish({**known(slot, job), "outcome": "success"})

    def skip(self, slot, job="a"):
        line = {**known(slot, job), "outcome": "skipped", "reason": "overlap"}
        del line["trigger"]
        self.store.settle(job, slot, [line])

    def miss(self, first, last, job="a"):
        line = {**known(first, job), "outcome": "missed", "count": 1 + (last - first) // STEP}
        line["last_scheduled_at"] = rfc3339(last)
        del line["trigger"]
        self.store.settle(job, last, [line])

    async def seen(self):
        """Wait until all is durable, and return the states."""
        await self.store.log.flush()
        return dict(self.store.states)


def run_id(slot, job="a"):
    return f"{job}@{slot}"


def known(slot, job="a"):
    return {
        "run_id": run_id(slot, job),
        "job": job,
        "scheduled_at": rfc3339(slot),
        "trigger": "schedule",
    }


def runs(path):
    return [(run["run_id"], run["outcome"], run.get("reason")) for run in History(path).runs()]


def entries(path):
    lines = (path / journal.FILE).read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def lives(*several):
    """Run scenarios one after another, each with a life of its own that ends in a crash."""

    async def live(path):
        for scenario in several:
            async with Life(path) as life:
                await scenario(life)

    return lambda path: run_virtual(live(path))


async def begin(life):
    life.store.cursor("a", NINE, "15/0")
    await life.seen()


async def nothing(life):
    await life.seen()


# --- beginning -------------------------------------------------------------------------------


def test_a_new_directory_has_a_journal_that_begins_with_its_version(tmp_path):
    lives(begin, nothing)(tmp_path)
    assert [(entry["entry"], entry["seq"]) for entry in entries(tmp_path)] == [
        ("version", 1),
        ("cursor", 2),
    ]
    assert (tmp_path / RESERVE).exists()


def test_a_journal_that_was_lost_begins_with_its_version_again(tmp_path):
    async def one_run(life):
        await begin(life)
        await life.claim(NINE + STEP)
        await life.finish(NINE + STEP)

    lives(one_run)(tmp_path)
    (tmp_path / journal.FILE).unlink()
    lives(begin)(tmp_path)
    assert [(entry["entry"], entry["seq"]) for entry in entries(tmp_path)] == [
        ("version", 5),
        ("cursor", 6),
    ]


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    newer = journal.encode({"seq": 1, "entry": "version", "format": 9})
    (tmp_path / journal.FILE).write_bytes(newer)
    with pytest.raises(ConfigError, match="newer sinkd"):
        lives(nothing)(tmp_path)
    assert (tmp_path / journal.FILE).read_bytes() == newer


def test_a_second_store_is_refused_and_touches_nothing(tmp_path):
    async def twice(life):
        await begin(life)
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(LockedError):
            Store(Storage(tmp_path), life.clock, inline, tzdata="x")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    lives(twice)(tmp_path)


def test_seq_continues_over_all_files(tmp_path):
    async def several(life):
        await begin(life)
        life.store.log.event("started")
        await life.seen()
        life.skip(NINE + STEP)
        await life.seen()

    async def one_more(life):
        assert await life.store.log.write(RUNS, {**known(NINE), "outcome": "success"}) == 5

    lives(several, one_more)(tmp_path)


def test_seq_continues_after_an_event_that_was_the_last_line(tmp_path):
    async def told(life):
        await begin(life)
        life.store.log.event("started")
        await life.seen()

    async def one_more(life):
        assert await life.store.log.write(RUNS, {**known(NINE), "outcome": "success"}) == 4

    lives(told, one_more)(tmp_path)


# --- claims ------------------------------------------------------------------------------------


def test_a_claim_is_durable_and_settles_its_slot_until_the_run_is_finished(tmp_path):
    async def scenario(life):
        await begin(life)
        assert await life.claim(NINE + STEP) == [True]
        assert entries(tmp_path)[-1]["slot"] == NINE + STEP
        state = life.store.states["a"]
        assert (state.decided, state.sent) == (NINE + STEP, state.sent)
        assert state.open.run_id == run_id(NINE + STEP)
        await life.finish(NINE + STEP)
        assert life.store.states["a"].open is None
        assert runs(tmp_path) == [(run_id(NINE + STEP), "success", None)]

    lives(scenario)(tmp_path)


def test_a_refused_claim_is_no_promise(tmp_path):
    async def scenario(life):
        await begin(life)
        before = dict(life.store.states)
        life.store.log.blocked = OSError(28, "full")
        assert await life.claim(NINE + STEP, NINE + 2 * STEP) == [False, False]
        assert life.store.states == before

    lives(scenario)(tmp_path)


def test_a_manual_claim_names_no_slot(tmp_path):
    async def scenario(life):
        await begin(life)
        promise = Promise("a@x#manual", "a", known(NINE))
        assert await life.store.claim([promise]) == [True]
        assert "slot" not in entries(tmp_path)[-1]
        assert life.store.states["a"].decided == NINE

    lives(scenario)(tmp_path)


# --- recovery (R4) -------------------------------------------------------------------------------


async def claim_only(life):
    await begin(life)
    await life.claim(NINE + STEP)


async def claim_and_line(life):
    """Crash between a run's last line and its `close`."""
    await claim_only(life)
    line = {"v": 1, "seq": 9, **known(NINE + STEP), "outcome": "success"}
    (life.path / RUNS).write_text(json.dumps(line) + "\n")


async def settled(life):
    states = await life.seen()
    assert states["a"].open is None
    assert states["a"].decided == NINE + STEP


def test_a_run_without_an_end_becomes_interrupted_once_and_is_closed(tmp_path):
    lives(claim_only, settled, settled, settled)(tmp_path)
    assert runs(tmp_path) == [(run_id(NINE + STEP), "interrupted", "crash")]
    (line,) = History(tmp_path).runs()
    assert line["finished_at"] is None
    assert line["trigger"] == "schedule"
    kinds = [entry["entry"] for entry in entries(tmp_path)]
    assert kinds == ["version", "cursor", "claim", "close"]


def test_a_run_whose_end_is_on_the_disk_is_only_closed(tmp_path):
    lives(claim_and_line, settled, settled)(tmp_path)
    assert runs(tmp_path) == [(run_id(NINE + STEP), "success", None)]
    assert [entry["entry"] for entry in entries(tmp_path)][-1] == "close"


def test_a_crash_during_the_recovery_repeats_it_without_a_second_line(tmp_path):
    async def at_once(life):
        assert life.store.states["a"].open is None

    lives(claim_only, at_once, at_once, settled, settled)(tmp_path)
    assert runs(tmp_path) == [(run_id(NINE + STEP), "interrupted", "crash")]


def test_a_closed_run_is_not_searched_for_in_the_log(tmp_path):
    async def finished(life):
        await claim_only(life)
        await life.finish(NINE + STEP)
        await life.seen()

    lives(finished)(tmp_path)
    (tmp_path / RUNS).write_bytes(b"")  # as when its segment has expired
    lives(settled)(tmp_path)
    assert runs(tmp_path) == []


def test_a_skipped_slot_that_names_the_same_run_ends_nothing(tmp_path):
    async def skipped_later(life):
        await claim_only(life)
        line = {"v": 1, "seq": 9, **known(NINE + STEP), "outcome": "skipped"}
        del line["trigger"]
        (life.path / RUNS).write_text(json.dumps(line) + "\n")

    lives(skipped_later, nothing)(tmp_path)
    assert runs(tmp_path)[-1] == (run_id(NINE + STEP), "interrupted", "crash")


def test_a_terminal_line_older_than_the_claim_is_of_another_life(tmp_path):
    async def older(life):
        line = {"v": 1, "seq": 1, **known(NINE + STEP), "outcome": "success"}
        (life.path / RUNS).write_text(json.dumps(line) + "\n")
        await claim_only(life)

    lives(older, nothing)(tmp_path)
    assert runs(tmp_path)[-1] == (run_id(NINE + STEP), "interrupted", "crash")


@pytest.mark.parametrize("tail", [b'{"v":1,"seq":', b"\0" * 70_000])
def test_torn_tails_are_sealed_and_take_nothing_with_them(tmp_path, tail):
    lives(claim_and_line)(tmp_path)
    for file in (RUNS, EVENTS, journal.FILE):
        with (tmp_path / file).open("ab") as torn:
            torn.write(tail)

    async def goes_on(life):
        await settled(life)
        life.store.log.event("started")
        await life.claim(NINE + 2 * STEP)
        await life.finish(NINE + 2 * STEP)
        await life.seen()

    lives(goes_on)(tmp_path)
    for file in (RUNS, EVENTS, journal.FILE):
        assert tail + b"\n" in (tmp_path / file).read_bytes()
    assert [run for run, *_ in runs(tmp_path)] == [run_id(NINE + STEP), run_id(NINE + 2 * STEP)]
    history = History(tmp_path)
    assert [event["event"] for event in history.events()] == ["started"]
    assert journal.replay((tmp_path / journal.FILE).read_bytes()).damaged == 1


def test_a_whole_line_that_only_lost_its_newline_is_an_end(tmp_path):
    lives(claim_and_line)(tmp_path)
    (tmp_path / RUNS).write_bytes((tmp_path / RUNS).read_bytes().rstrip(b"\n"))
    lives(settled)(tmp_path)
    assert runs(tmp_path) == [(run_id(NINE + STEP), "success", None)]


# --- through when a job is settled (T9) --------------------------------------------------------------


def decided_after(*scenarios):
    """Return what a start finds decided for job `a` after these lives."""
    found = []

    async def look(life):
        found.append(life.store.states["a"].decided)

    def check(path):
        lives(*scenarios, look)(path)
        return found[0]

    return check


def test_a_skipped_slot_after_the_last_sign_of_life_counts(tmp_path):
    async def scenario(life):
        await begin(life)
        life.store.alive(NINE + 1)
        life.skip(NINE + STEP)
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + STEP


def test_a_missed_range_counts_through_its_last_slot(tmp_path):
    async def scenario(life):
        await begin(life)
        life.miss(NINE + STEP, NINE + 4 * STEP)
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + 4 * STEP


def test_a_cursor_after_a_skipped_slot_counts_even_when_it_is_lower(tmp_path):
    async def scenario(life):
        await begin(life)
        life.skip(NINE + 4 * STEP)
        life.store.cursor("a", NINE + STEP, "15/0")
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + STEP


def test_a_skipped_slot_after_a_cursor_of_the_same_group_counts(tmp_path):
    async def scenario(life):
        await begin(life)
        life.store.cursor("a", NINE + 60, "15/0")
        life.skip(NINE + STEP)
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + STEP


def test_a_manual_run_hides_no_skipped_slot(tmp_path):
    async def scenario(life):
        await begin(life)
        life.skip(NINE + STEP)
        await life.store.claim([Promise("a@x#manual", "a", known(NINE))])
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + STEP


def test_terminal_lines_settle_nothing(tmp_path):
    async def scenario(life):
        await begin(life)
        await life.claim(NINE + STEP)
        life.store.cursor("a", NINE + 2 * STEP, "7/0")
        await life.finish(NINE + STEP)
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + 2 * STEP


def test_a_sign_of_life_tells_the_cursors_that_moved_without_a_line(tmp_path):
    async def scenario(life):
        await begin(life)
        life.store.settle("a", NINE + STEP)
        life.store.alive(NINE + 1)
        await life.seen()
        assert entries(life.path)[-1]["cursors"] == {"a": NINE + STEP}
        life.store.alive(NINE + 1 + ALIVE_SECONDS)
        await life.seen()
        assert entries(life.path)[-1]["cursors"] == {}

    assert decided_after(scenario)(tmp_path) == NINE + STEP


def test_a_cursor_that_went_back_and_came_to_the_same_slot_again_is_told_again(tmp_path):
    async def scenario(life):
        await begin(life)
        life.skip(NINE + STEP)
        life.store.alive(NINE, at_once=True)
        life.store.cursor("a", NINE + 60, "15/0")  # T4: the clock went back
        life.skip(NINE + STEP)
        life.store.alive(NINE, at_once=True)
        await life.seen()

    assert decided_after(scenario)(tmp_path) == NINE + STEP  # T9


def test_lines_of_a_job_that_the_journal_does_not_know_are_passed_over(tmp_path):
    async def scenario(life):
        await begin(life)
        line = {**known(NINE + STEP, "b"), "outcome": "skipped"}
        del line["trigger"]
        await life.store.log.write(RUNS, line)

    async def look(life):
        assert set(life.store.states) == {"a"}

    lives(scenario, look)(tmp_path)


# --- signs of life (R12) ------------------------------------------------------------------------------


def test_a_sign_of_life_comes_each_minute_at_once_when_asked_and_when_the_clock_steps_back(
    tmp_path,
):
    async def scenario(life):
        await begin(life)
        for now in (NINE, NINE + 59.9, NINE + 60, NINE + 61):
            life.store.alive(now)
        life.store.alive(NINE + 62, draining=NINE + 61.5, at_once=True)
        life.store.alive(NINE - 1000)
        await life.seen()
        told = [(entry["at"], entry["draining"]) for entry in entries(life.path)[2:]]
        assert told == [
            (NINE, None),
            (NINE + 60, None),
            (NINE + 62, NINE + 61.5),
            (NINE - 1000, None),
        ]
        assert entries(life.path)[-1]["tzdata"] == "2026f"

    lives(scenario)(tmp_path)


def test_the_last_sign_of_life_and_how_the_daemon_stopped_are_known(tmp_path):
    found = []

    async def look(life):
        found.append((life.store.last_alive, life.store.stopped_clean))

    async def crashes(life):
        await look(life)
        life.store.log.event("started")
        life.store.alive(NINE + 5.5)
        await life.seen()

    async def stops(life):
        await look(life)
        life.store.log.event("started")
        life.store.log.event("stopped", clean=True)
        life.store.log.event("config_restored")
        await life.seen()

    lives(crashes, stops, look)(tmp_path)
    assert found == [(None, False), (NINE + 5.5, False), (NINE + 5.5, True)]


@pytest.mark.parametrize(
    ("draining", "slot", "reason"),
    [
        (None, NINE, "down"),
        (NINE - 1, NINE, "draining"),
        (NINE, NINE, "draining"),
        (NINE - 1, NINE + 60, "draining"),
        (NINE - 1, NINE + 120, "down"),
        (NINE + 1, NINE, "down"),
    ],
)
def test_slots_that_came_due_while_the_daemon_before_drained_say_so(
    tmp_path, draining, slot, reason
):
    async def drains(life):
        life.store.alive(NINE + 60, draining=draining, at_once=True)
        await life.seen()

    async def look(life):
        assert life.store.down(slot) == reason

    lives(drains, look)(tmp_path)


def test_in_a_new_directory_the_daemon_was_down(tmp_path):
    async def look(life):
        assert life.store.down(NINE) == "down"

    lives(look)(tmp_path)


def test_a_pause_lasts_over_a_start_until_it_is_resumed(tmp_path):
    held = Pause(NINE + 3600.5, "deploy", "kim")

    async def pauses(life):
        await begin(life)
        life.store.pause("a", held)
        await life.seen()

    async def resumes(life):
        assert life.store.states["a"].pause == held
        life.store.resume("a")
        await life.seen()

    async def look(life):
        assert life.store.states["a"].pause is None

    lives(pauses, resumes, look)(tmp_path)


def test_an_accepted_file_is_kept(tmp_path):
    async def scenario(life):
        life.store.keep(b"version: 1\n", tmp_path / "jobs.yaml", NINE)
        assert json.loads((tmp_path / "accepted.json").read_text())["at"] == "2026-11-23T09:00:00Z"

    lives(scenario)(tmp_path)


# --- law 10, from the files ----------------------------------------------------------------------

JOBS = st.sampled_from(["a", "b"])
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["skip", "skip", "miss", "claim", "claim", "manual", "cursor", "alive", "silent"]
        ),
        JOBS,
        st.integers(1, 5),
        st.sampled_from([0, 0, 0.1, 0.6, 2]),
    ),
    max_size=25,
)


async def lived(life, operations):
    """Do what a daemon does, in one task, with runs that take a while to end."""
    runs, manual = [], 0
    for job in "ab":
        life.store.cursor(job, NINE, "15/0")
    for what, job, steps, nap in operations:
        state = life.store.states[job]
        slot = state.decided - state.decided % STEP + steps * STEP
        match what:
            case "skip":
                life.skip(slot, job)
            case "miss":
                life.miss(slot, slot + 2 * STEP, job)
            case "claim" if state.open is None and not is_sent(state.sent, slot):
                assert await life.claim(slot, job=job) == [True]
                runs.append(asyncio.create_task(life.finish(slot, job)))
            case "manual" if state.open is None:
                manual += 1
                name = f"{job}@{manual}#manual"
                line = {**known(NINE, job), "run_id": name, "trigger": "manual"}
                await life.store.claim([Promise(name, job, line)])
                ending = life.store.finish({**line, "outcome": "failure"})
                runs.append(asyncio.create_task(ending))
            case "cursor":
                life.store.cursor(job, slot - steps * 2 * STEP, "15/0")
            case "alive":
                life.store.alive(NINE, at_once=True)
            case "silent":
                life.store.settle(job, slot)
                life.store.alive(NINE, at_once=True)
        await asyncio.sleep(nap)
    return runs


def reopened(path):
    async def look():
        async with Life(path) as life:
            return await life.seen()

    return run_virtual(look())


@settings(max_examples=60)
@given(OPERATIONS)
def test_a_start_finds_what_the_daemon_before_had_settled(tmp_path_factory, operations):
    path = tmp_path_factory.mktemp("data")

    async def live():
        async with Life(path, pausing) as life:
            await asyncio.gather(*await lived(life, operations))
            return await life.seen()

    settled = run_virtual(live())
    assert reopened(path) == settled
    answered = [run["run_id"] for run in History(path).runs() if journal.is_terminal(run)]
    assert len(answered) == len(set(answered))


class Remembering(Storage):
    """Keeps what each file held at its last sync: what a power cut leaves at the worst."""

    def __init__(self, path):
        self.durable = {}
        super().__init__(path)

    def sync(self, name):
        super().sync(name)
        self.durable[name] = (self.path / name).read_bytes()


def newest_by_seq(path):
    """Say of each job through when the line with the largest `seq` settles it (T9)."""
    found = {}
    for run in History(path).runs():
        if through := journal.settled_by(run):
            found[run["seq"]] = {run["job"]: int(parse_rfc3339(through))}
    for line in (path / journal.FILE).read_bytes().splitlines():
        entry = journal.decode(line) or {"seq": 0}
        if "slot" in entry or "decided" in entry:
            found[entry["seq"]] = {entry["job"]: entry.get("decided", entry.get("slot"))}
        found.setdefault(entry["seq"], entry.get("cursors", {}))
    newest = {}
    for seq in sorted(found):
        newest |= found[seq]
    return newest


@settings(max_examples=100)
@given(OPERATIONS, st.floats(0, 8), st.tuples(*[st.sampled_from([0, 0.5, 1])] * 3))
def test_after_a_power_cut_each_claim_has_one_end_and_no_line_is_unsettled(
    tmp_path_factory, operations, cut_after, kept_parts
):
    path = tmp_path_factory.mktemp("data")
    promised = []

    async def live():
        async with Life(path, pausing, Remembering) as life:
            claiming = life.store.claim

            async def noting(promises):
                results = await claiming(promises)
                promised.extend(each.run_id for each in promises)
                return results

            life.store.claim = noting
            with_end = asyncio.create_task(lived(life, operations))
            await asyncio.wait([with_end], timeout=cut_after)
            with_end.cancel()
            return life.store._storage.durable

    durable = run_virtual(live())
    for name, part in zip((RUNS, EVENTS, journal.FILE), kept_parts, strict=True):
        synced, written = durable.get(name, b""), (path / name).read_bytes()
        tail = written[len(synced) :]  # all of it, some or nothing may have reached the disk
        (path / name).write_bytes(synced + tail[: int(part * len(tail))])
    states = reopened(path)
    ends = [run["run_id"] for run in History(path).runs() if journal.is_terminal(run)]
    assert sorted(ends) == sorted(set(ends))
    assert set(promised) <= set(ends)
    newest = newest_by_seq(path)
    for job, state in states.items():
        assert state.decided == newest[job]


# --- compaction (R8) ---------------------------------------------------------------------------


def test_a_large_journal_becomes_short_and_says_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "COMPACT_BYTES", 20_000)
    jobs = "version: 1\njobs:\n" + "".join(
        f"  - {{name: j{n}, schedule: {{interval_minutes: 1}}, request: {{url: 'http://h/'}}}}\n"
        for n in range(3)
    )
    sizes = []

    async def answer(request):
        await asyncio.sleep(40)
        sizes.append((tmp_path / journal.FILE).stat().st_size)
        return httpx.Response(200)

    async def live():
        clock = VirtualClock(NINE)
        world = World(tmp_path, clock, MemoryConfig(jobs.encode()), answer)
        for _ in range(4):
            life = await world.start()
            await asyncio.sleep(1210)
            await life.crash()
        life = await world.start()
        await asyncio.sleep(30)
        await life.stop()
        return world.sent

    sent = run_virtual(live())
    assert max(sizes) < 25_000
    assert sizes != sorted(sizes)  # it was replaced
    ids = [each.run_id for each in sent]
    assert len(ids) == len(set(ids)) > 200
    ends = Counter(run["run_id"] for run in History(tmp_path).runs() if "trigger" in run)
    assert {ends[run_id] for run_id in ids} == {1}
