"""The writer: groups, order, and a disk that refuses (R1, R5, R6; E1 to E6)."""

import asyncio
import errno
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sinkd import journal
from sinkd.errors import LogUnusableError
from sinkd.history import History
from sinkd.runlog import EVENTS, LINGER_SECONDS, RESERVE, RESERVE_BYTES, RUNS, RunLog
from sinkd.storage import Storage
from sinkd.testing import DeadlockError, VirtualClock, inline, run_virtual

NINE = 1_795_424_400
SKIPPED = {"job": "a", "outcome": "skipped", "scheduled_at": "2026-11-23T09:00:00Z"}
RUN = {**SKIPPED, "run_id": "a@1", "outcome": "success", "trigger": "schedule"}
CURSOR = {"entry": "cursor", "job": "a", "decided": NINE, "schedule": "15/0"}
CLOSE = {"entry": "close", "job": "a", "run_id": "x"}


def claim(run_id="a@1"):
    return {"entry": "claim", "job": "a", "run_id": run_id, "record": {}}


class Disk(Storage):
    """A data directory that notes what is done to it; `room` bytes are free, None for plenty."""

    def __init__(self, path, room=None):
        super().__init__(path)
        self.room = room
        self.done = []
        self.bad_sync = self.bad_truncate = False

    def append(self, name, data, mode=0o640):
        fits = data if self.room is None else data[: self.room]
        self.take(len(fits))
        super().append(name, fits, mode)
        self.done.append(("append", name, len(fits)))
        if len(fits) < len(data):
            raise full()

    def truncate(self, name, size):
        if self.bad_truncate:
            raise OSError(errno.EIO, "bad")
        self.take(size - self.size(name))
        super().truncate(name, size)

    def sync(self, name):
        if self.bad_sync:
            raise OSError(errno.EIO, "bad")
        super().sync(name)
        self.done.append(("sync", name))

    def reserve(self, name, size):
        more = size - self.reserved(name)
        if self.room is not None and self.room < more:
            raise full()
        self.take(more)
        super().reserve(name, size)
        self.done.append(("reserve",))

    def remove(self, name):
        self.take(-self.reserved(name))
        super().remove(name)

    def reserved(self, name):
        return (self.path / name).stat().st_size if (self.path / name).exists() else 0

    def take(self, size):
        if self.room is not None:
            self.room -= size

    @property
    def order(self):
        return [f"{what} {name}" for what, name, *_ in self.done]


def full():
    return OSError(errno.ENOSPC, "no space")


async def pausing(call):
    """Take half a second over what a thread would do, so that lines come meanwhile."""
    done = call()
    await asyncio.sleep(0.5)
    return done


class Writer:
    """A run log at work over a disk in a fresh directory."""

    def __init__(self, path, room=None, offload=inline, seq=0):
        self.disk = Disk(path, room)
        self.shown = []
        clock = VirtualClock(NINE)
        self.log = RunLog(self.disk, clock, offload, seq=seq, show=self.shown.append)
        self.serving = asyncio.create_task(self.log.serve())

    def __getattr__(self, name):
        return getattr(self.log, name)

    def lines(self, file):
        return [json.loads(line) for line in (self.disk.path / file).read_bytes().splitlines()]

    @property
    def entries(self):
        """The journal, as `kind run_id`."""
        texts = (f"{line['entry']} {line.get('run_id', '')}" for line in self.lines(journal.FILE))
        return [text.strip() for text in texts]

    @property
    def events(self):
        return [event["event"] for event in self.lines(EVENTS)]


@pytest.fixture
def virtual(tmp_path):
    """Run a scenario over a writer in virtual time."""

    def run(scenario, **options):
        async def live():
            return await scenario(Writer(tmp_path / "data", **options))

        return run_virtual(live())

    return run


def seqs(writer, *files):
    return [line["seq"] for file in files for line in writer.lines(file)]


# --- groups and order ----------------------------------------------------------------------------


def test_a_group_is_written_public_lines_first_with_one_sync_a_file(virtual):
    async def scenario(writer):
        writer.put(RUNS, SKIPPED)
        writer.event("started")
        writer.put(RUNS, RUN)
        writer.put(journal.FILE, CURSOR)
        assert await writer.claim([claim(), claim("b@1")]) == [5, 6]
        done = writer.disk.order
        appends = [f"append {name}" for name in (RUNS, EVENTS, RUNS)]
        assert done[:3] == appends
        assert sorted(done[3:5]) == [f"sync {EVENTS}", f"sync {RUNS}"]
        assert done[5:] == ["append journal.jsonl"] * 4 + ["sync journal.jsonl"]
        assert writer.entries == ["cursor", "claim a@1", "claim b@1", "close a@1"]

    virtual(scenario)


def test_a_public_line_never_overtakes_a_line_of_the_journal_that_was_queued_before_it(virtual):
    async def scenario(writer):
        alive = {"entry": "alive", "at": 1, "cursors": {"a": NINE}, "tzdata": "x", "draining": None}
        writer.put(journal.FILE, alive)
        writer.put(RUNS, SKIPPED)  # settled after the sign of life, so of a larger `seq` (T9)
        writer.put(journal.FILE, CURSOR)
        await writer.flush()
        assert seqs(writer, journal.FILE, RUNS) == [1, 3, 2]

    virtual(scenario)


def test_a_terminal_line_is_durable_before_its_close_is_written(virtual):
    async def scenario(writer):
        assert await writer.write(RUNS, RUN) == 1
        await writer.flush()
        assert writer.disk.order == [f"append {RUNS}", f"sync {RUNS}", "append journal.jsonl"]
        assert writer.entries == ["close a@1"]

    virtual(scenario)


def test_a_slot_that_was_not_sent_is_closed_by_nothing(virtual):
    async def scenario(writer):
        await writer.write(RUNS, SKIPPED)
        await writer.flush()
        assert writer.disk.order == [f"append {RUNS}", f"sync {RUNS}"]

    virtual(scenario)


def test_closes_and_signs_of_life_have_no_sync_of_their_own(virtual):
    async def scenario(writer):
        writer.put(journal.FILE, CLOSE)
        writer.put(journal.FILE, {"entry": "alive"})
        await writer.flush()
        assert writer.disk.order == ["append journal.jsonl"] * 2

    virtual(scenario)


def test_a_line_nobody_waits_for_gathers_company_and_a_claim_waits_for_none(virtual):
    async def scenario(writer):
        now = asyncio.get_running_loop().time
        writer.put(RUNS, SKIPPED)
        await asyncio.sleep(LINGER_SECONDS / 2)
        assert not writer.disk.done
        writer.put(RUNS, SKIPPED)
        await asyncio.sleep(LINGER_SECONDS)
        assert writer.disk.order == [f"append {RUNS}"] * 2 + [f"sync {RUNS}"]
        before = now()
        writer.put(RUNS, SKIPPED)
        await writer.claim([claim()])
        assert now() == before

    virtual(scenario)


def test_after_a_claim_other_lines_gather_company_again(virtual):
    async def scenario(writer):
        await writer.claim([claim()])
        await asyncio.sleep(1)
        writer.put(RUNS, SKIPPED)
        await asyncio.sleep(LINGER_SECONDS / 2)
        assert f"append {RUNS}" not in writer.disk.order
        await asyncio.sleep(LINGER_SECONDS)
        assert f"append {RUNS}" in writer.disk.order

    virtual(scenario)


def test_a_writer_without_work_never_wakes(virtual):
    async def scenario(writer):
        await writer.claim([claim()])
        await writer.write(RUNS, RUN)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        virtual(scenario)


def test_seq_goes_on_after_the_one_it_was_given(virtual):
    async def scenario(writer):
        assert await writer.write(RUNS, RUN) == 42

    virtual(scenario, seq=41)


def test_public_lines_have_version_and_seq_first_and_are_shown_when_durable(virtual):
    async def scenario(writer):
        writing = asyncio.create_task(writer.write(RUNS, SKIPPED))
        await asyncio.sleep(0.4)
        assert writer.disk.order == [f"append {RUNS}", f"sync {RUNS}"]
        assert not writer.shown
        await writing
        writer.put(journal.FILE, CURSOR)
        writer.event("started", pid=7)
        await writer.flush()
        files = (writer.disk.path / RUNS, writer.disk.path / EVENTS)
        assert writer.shown == [file.read_bytes() for file in files]
        assert list(json.loads(writer.shown[0]))[:3] == ["v", "seq", "job"]
        assert writer.lines(EVENTS) == [
            {"v": 1, "seq": 3, "at": "2026-11-23T09:00:00.520Z", "event": "started", "pid": 7}
        ]

    virtual(scenario, offload=pausing)


def test_flush_waits_for_a_group_that_is_being_written(virtual):
    async def scenario(writer):
        writer.put(RUNS, RUN)
        await asyncio.sleep(0.1)  # the group is on its way to the disk now
        await writer.flush()
        assert writer.entries == ["close a@1"]

    virtual(scenario, offload=pausing)


def test_what_is_asked_before_a_file_exists_and_after_it_is_moved_away_is_written(virtual):
    async def scenario(writer):
        await writer.write(RUNS, SKIPPED)
        (writer.disk.path / RUNS).rename(writer.disk.path / "runs.jsonl.1")
        await writer.write(RUNS, SKIPPED)
        assert seqs(writer, "runs.jsonl.1", RUNS) == [1, 2]

    virtual(scenario)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["skip", "run", "event", "cursor", "close", "alive", "claim", "wait"]),
        st.sampled_from([0, 0, 0, 0.01, 0.3, 0.7]),
    ),
    max_size=30,
)


@settings(max_examples=60)
@given(operations=OPERATIONS, room=st.none() | st.integers(0, 3000))
def test_nothing_is_lost_and_seq_is_unique_and_increases_in_every_file(
    tmp_path_factory, operations, room
):
    put = []

    async def scenario(writer):
        tasks = []
        for number, (what, nap) in enumerate(operations):
            named = {"run_id": f"a@{number}"}
            match what:
                case "skip" | "run":
                    line = {**(SKIPPED if what == "skip" else RUN), **named}
                    put.append((RUNS, number))
                    tasks.append(asyncio.create_task(writer.write(RUNS, line)))
                case "event":
                    put.append((EVENTS, number))
                    writer.event("started", **named)
                case "claim":
                    tasks.append(asyncio.create_task(writer.claim([claim(named["run_id"])])))
                case "wait":
                    writer.disk.room = None
                case _:
                    put.append((journal.FILE, number))
                    writer.put(journal.FILE, {"entry": what, "job": "a", **named})
            await asyncio.sleep(nap)
        writer.disk.room = None
        await asyncio.sleep(30)  # each sync takes half a second
        await asyncio.gather(*tasks)
        await writer.flush()
        assert writer.blocked is None
        return writer

    async def live():
        return await scenario(Writer(tmp_path_factory.mktemp("data"), room, pausing))

    writer = run_virtual(live())
    by_file = {
        file: writer.lines(file) for file in (RUNS, EVENTS, journal.FILE) if put_to(writer, file)
    }
    for file, lines in by_file.items():
        numbers = [line["seq"] for line in lines]
        assert numbers == sorted(set(numbers))
        asked = [f"a@{number}" for name, number in put if name == file]
        found = [
            line["run_id"]
            for line in lines
            if line.get("event") not in {"log_failed", "log_recovered"}
            and (line.get("entry") != "claim")
        ]
        closes = {f"a@{n}" for n, (what, _) in enumerate(operations) if what == "run"}
        if file == journal.FILE:
            assert closes <= set(found)
            found = [run_id for run_id in found if run_id not in closes]
        assert found == asked
    everything = [line["seq"] for lines in by_file.values() for line in lines]
    assert len(everything) == len(set(everything))


def put_to(writer, file):
    return (writer.disk.path / file).exists()


# --- a disk that refuses ---------------------------------------------------------------------------


def test_on_a_full_disk_claims_fail_at_once_and_the_log_says_why(virtual):
    async def scenario(writer):
        refused = (await writer.claim([claim(), claim("b@1")]))[0]
        assert refused.errno == errno.ENOSPC
        assert writer.blocked.errno == errno.ENOSPC
        before = asyncio.get_running_loop().time()
        assert await writer.claim([claim()]) == [writer.blocked]
        assert asyncio.get_running_loop().time() == before
        assert (writer.disk.path / journal.FILE).read_bytes() == b""

    virtual(scenario, room=50)


def test_a_claim_that_was_queued_while_the_disk_refused_fails_too(virtual):
    async def scenario(writer):
        first = asyncio.create_task(writer.claim([claim()]))
        await asyncio.sleep(0.1)
        second = await writer.claim([claim("b@1")])
        assert isinstance(second[0], OSError)
        assert isinstance((await first)[0], OSError)
        assert len((writer.disk.path / journal.FILE).read_bytes()) == 0

    virtual(scenario, room=50, offload=pausing)


def test_claims_that_landed_before_the_disk_was_full_are_promised(virtual):
    async def scenario(writer):
        kept, refused = await writer.claim([claim(), claim("b@1")])
        assert kept == 1
        assert isinstance(refused, OSError)
        assert writer.entries == ["claim a@1"]
        assert f"sync {journal.FILE}" in writer.disk.order

    virtual(scenario, room=150)


def test_no_claim_lands_before_a_public_line_that_was_queued_before_it(virtual):
    async def scenario(writer):
        writer.put(RUNS, {**SKIPPED, "url": "x" * 200})
        assert isinstance((await writer.claim([claim()]))[0], OSError)
        writer.disk.room = None
        await asyncio.sleep(2)
        assert len(writer.lines(RUNS)) == 1
        assert not (writer.disk.path / journal.FILE).exists()

    virtual(scenario, room=150)


def test_terminal_lines_go_into_the_reserve_when_the_disk_is_full(virtual):
    async def scenario(writer):
        writer.disk.reserve(RESERVE, RESERVE_BYTES)
        assert writer.disk.room == 0
        assert await writer.write(RUNS, RUN)
        assert asyncio.get_running_loop().time() < 1  # at once, not when it is tried again
        assert writer.blocked
        assert not (writer.disk.path / RESERVE).exists()
        await writer.flush()
        assert [line["run_id"] for line in writer.lines(RUNS)] == ["a@1"]
        await asyncio.sleep(0.5)
        assert writer.entries == ["close a@1"]
        assert writer.events == ["log_failed"]

    virtual(scenario, room=RESERVE_BYTES)


def test_terminal_lines_wait_however_long_and_are_written_in_their_order(virtual):
    async def scenario(writer):
        waiting = [
            asyncio.create_task(writer.write(RUNS, {**RUN, "run_id": f"a@{n}"})) for n in range(3)
        ]
        await asyncio.sleep(3600)
        assert not any(each.done() for each in waiting)
        writer.disk.room = None
        assert await asyncio.gather(*waiting) == sorted(seqs(writer, RUNS))
        assert [line["run_id"] for line in writer.lines(RUNS)] == ["a@0", "a@1", "a@2"]
        await writer.flush()
        assert writer.entries == ["close a@0", "close a@1", "close a@2"]

    virtual(scenario, room=10)


def test_a_line_that_landed_before_the_disk_was_full_is_closed_after_it(virtual):
    async def scenario(writer):
        writer.put(RUNS, {**RUN, "run_id": "a@0"})
        writer.put(RUNS, {**RUN, "run_id": "a@1"})
        await asyncio.sleep(1.5)
        assert [line["run_id"] for line in writer.lines(RUNS)] == ["a@0"]
        writer.disk.room = None
        await asyncio.sleep(1)
        await writer.flush()
        assert writer.entries == ["close a@0", "close a@1"]

    virtual(scenario, room=150)


def test_a_short_write_is_cut_back_so_that_every_line_can_be_read(virtual):
    async def scenario(writer):
        writer.put(RUNS, RUN)
        await asyncio.sleep(0.5)
        assert ("append", RUNS, 100) in writer.disk.done
        assert (writer.disk.path / RUNS).read_bytes() == b""

    virtual(scenario, room=100)


def test_a_line_that_cannot_be_cut_back_is_made_unreadable_never_another_record(virtual):
    async def scenario(writer):
        writer.disk.bad_truncate = True
        writer.put(RUNS, RUN)
        await asyncio.sleep(0.5)
        torn = (writer.disk.path / RUNS).read_bytes()
        assert torn.endswith(
            b"}"
        )  # a whole record but for its newline, which recovery would believe
        writer.disk.room = None
        await asyncio.sleep(2)
        await writer.write(RUNS, SKIPPED)
        history = History(writer.disk.path)
        assert [run["outcome"] for run in history.runs()] == ["success", "skipped"]
        assert history.unreadable == 1

    line = b'{"v":1,"seq":1,' + json.dumps(RUN, separators=(",", ":")).encode()[1:]
    virtual(scenario, room=len(line))


def test_a_claim_that_cannot_be_cut_back_counts_as_damaged(virtual):
    async def scenario(writer):
        writer.disk.bad_truncate = True
        await writer.claim([claim()])
        writer.disk.room = None
        await asyncio.sleep(2)
        assert await writer.claim([claim("b@1")])
        found = journal.replay((writer.disk.path / journal.FILE).read_bytes())
        assert found.damaged == 1
        assert found.states["a"].open.run_id == "b@1"

    virtual(scenario, room=60)


def test_when_there_is_space_again_the_log_goes_on_by_itself_and_tells_it(virtual):
    async def scenario(writer):
        writing = asyncio.gather(writer.write(RUNS, RUN), writer.write(RUNS, SKIPPED))
        await asyncio.sleep(10.5)
        assert writer.blocked
        writer.disk.room = 10 * RESERVE_BYTES
        await writing
        await writer.flush()
        assert writer.blocked is None
        assert (writer.disk.path / RESERVE).stat().st_size == RESERVE_BYTES
        assert await writer.claim([claim()])
        failed, recovered = writer.lines(EVENTS)
        assert (failed["event"], failed["errno"]) == ("log_failed", "ENOSPC")
        assert failed["at"] == "2026-11-23T09:00:00.020Z"
        assert (recovered["event"], recovered["held"]) == ("log_recovered", 2)
        assert recovered["at"] == "2026-11-23T09:00:11.020Z"

    virtual(scenario, room=10)


def test_a_blocked_log_is_said_at_once_and_each_minute(virtual):
    async def scenario(writer):
        await writer.claim([claim()])
        await asyncio.sleep(150)
        writer.disk.room = None
        await asyncio.sleep(2)

    with capture_logs() as logs:
        virtual(scenario, room=10)
    told = [(log["log_level"], log["event"], log.get("errno")) for log in logs]
    failed = ("error", "log_failed", "ENOSPC")
    assert told == [failed, failed, failed, ("info", "log_recovered", None)]


def test_the_log_stays_blocked_until_the_reserve_fits_again_and_as_much_beside_it(virtual):
    async def scenario(writer):
        await writer.claim([claim()])
        writer.disk.room = 2 * RESERVE_BYTES - 1
        await asyncio.sleep(10)
        assert writer.events == ["log_failed"]
        assert writer.blocked
        writer.disk.room = 2 * RESERVE_BYTES
        await asyncio.sleep(1)
        assert writer.blocked is None
        assert writer.events == ["log_failed", "log_recovered"]

    virtual(scenario, room=10)


def test_a_disk_that_is_full_again_blocks_again(virtual):
    async def scenario(writer):
        await writer.claim([claim()])
        writer.disk.room = 3 * RESERVE_BYTES
        await asyncio.sleep(2)
        assert writer.blocked is None
        writer.disk.room = 10
        await writer.claim([claim("a@2")])
        assert writer.blocked
        writer.disk.room = None
        await asyncio.sleep(2)
        assert writer.blocked is None
        assert writer.events == ["log_failed", "log_recovered"] * 2

    virtual(scenario, room=10)


def test_a_file_system_that_became_read_only_blocks_and_ends_nothing(virtual):
    async def scenario(writer):
        def refuse(*_):
            raise OSError(errno.EROFS, "read-only")

        writer.disk.append = writer.disk.remove = refuse
        assert [each.errno for each in await writer.claim([claim()])] == [errno.EROFS]
        await asyncio.sleep(5)
        assert not writer.serving.done()
        del writer.disk.append, writer.disk.remove
        await asyncio.sleep(2)
        assert writer.blocked is None

    virtual(scenario)


def test_flush_does_not_wait_for_a_blocked_log(virtual):
    async def scenario(writer):
        writer.put(RUNS, RUN)
        await writer.flush()
        assert writer.blocked
        writer.put(RUNS, RUN)
        await writer.flush()

    virtual(scenario, room=10)


def test_a_failed_sync_is_final_and_answers_nobody(virtual):
    async def scenario(writer):
        writer.disk.bad_sync = True
        asked = asyncio.create_task(writer.claim([claim()]))
        with pytest.raises(LogUnusableError, match=r"journal\.jsonl: sync failed \(EIO\)"):
            await writer.serving
        assert not asked.done()

    virtual(scenario)


def test_a_waiter_that_left_disturbs_nobody(virtual):
    async def scenario(writer):
        asked = [
            asyncio.create_task(writer.claim([claim()])),
            asyncio.create_task(writer.write(RUNS, RUN)),
        ]
        await asyncio.sleep(0.1)
        for each in asked:
            each.cancel()
        assert await writer.write(RUNS, RUN)
        assert not writer.serving.done()

    virtual(scenario, offload=pausing)
