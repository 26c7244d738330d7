"""Hot reload as a state machine: whatever becomes of the file and the daemon, judged from outside.

The model knows only what was written to the jobs file and when; what runs, what shows and what was
sent is read from the data directory and from what the target saw.
"""

import asyncio
import contextlib
import shutil

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sim.judge import enabled_spans, judge
from sim.machine import Machine, surroundings
from sim.scenario import BAD, STARTS, in_memory, settle

from sinkd import journal, revisions, source
from sinkd.history import History
from sinkd.instant import parse_rfc3339
from sinkd.reload import SETTLE_SECONDS
from sinkd.revisions import revision_of
from sinkd.standing import standing
from sinkd.state import Pause
from sinkd.testing import VirtualLoop

SEEN_SECONDS = 3  # an edit is in use about a second later, a bit more where a pass takes its time
EXAMPLES = 80
STEPS = 20

names = st.sampled_from(["a", "b", "c"])
moments = st.sampled_from([0, 1, 59, 61, 200, 1000])
schedules = st.one_of(
    st.builds(
        "{{interval_minutes: {}, start_minute: {}}}".format,
        st.sampled_from([1, 2, 5, 7, 15]),
        st.integers(0, 59),
    ),
    st.builds(
        '{{at: ["09:0{}", "03:3{}"], timezone: {}}}'.format,
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(["UTC", "America/New_York"]),
    ),
)
hows = st.sampled_from(["crash", "cut_power", "stop"])
ends = st.none() | st.tuples(hows, st.sampled_from([0, 0.3, 0.5, 0.6, 1.5]), moments)


def written(jobs):
    """Write the jobs, (schedule, enabled) by name, as a file."""
    lines = [
        f"  - {{name: {name}, schedule: {when}, enabled: {str(enabled).lower()},"
        " timeout_seconds: 50, request: {url: 'http://h.example/'}}\n"
        for name, (when, enabled) in sorted(jobs.items())
    ]
    return ("version: 1\njobs:" + ("\n" + "".join(lines) if lines else " []\n")).encode()


class Reloads(RuleBasedStateMachine):
    """`file` is what is on disk, `good` the last valid file, `accepted` each that was to run."""

    def __init__(self):
        super().__init__()
        self.directory = in_memory()
        self.loop = asyncio.Runner(loop_factory=VirtualLoop)
        self.exits = contextlib.ExitStack()
        self.said = self.exits.enter_context(surroundings(journal.COMPACT_BYTES))
        self.exits.callback(shutil.rmtree, self.directory)
        self.exits.enter_context(self.loop)
        self.machine = None

    def do(self, work):
        return self.loop.run(work)

    @initialize(
        start=st.sampled_from(STARTS),
        jobs=st.dictionaries(names, st.tuples(schedules, st.booleans())),
        max_in_flight=st.sampled_from([1, 50]),
    )
    def begin(self, start, jobs, max_in_flight):
        self.jobs = jobs
        self.file = self.good = written(jobs)
        self.accepted = [self.good]

        async def boot():
            self.machine = Machine(
                self.directory, self.file, start=start, max_in_flight=max_in_flight
            )
            await self.machine.boot()

        self.do(boot())

    async def edit(self, data, end=None, *, good=True):
        """Write the file; the daemon sees it, or ends at some moment and sees it later."""
        self.machine.edit(data, good=good)
        self.file = data
        if good and data != self.good:
            self.good = data
            self.accepted.append(data)
        if end:
            how, after, down = end
            await self.machine.sleep(after)
            await getattr(self.machine, how)(down)
        await self.machine.sleep(SEEN_SECONDS)

    # --- a person edits, and perhaps the daemon ends meanwhile ------------------------------

    @rule(name=names, when=schedules, enabled=st.booleans(), end=ends)
    def put_a_job(self, name, when, enabled, end):
        self.jobs[name] = when, enabled
        self.do(self.edit(written(self.jobs), end))

    @rule(name=names, end=ends)
    def switch_a_job(self, name, end):
        if name in self.jobs:
            when, enabled = self.jobs[name]
            self.jobs[name] = when, not enabled
        self.do(self.edit(written(self.jobs), end))

    @rule(name=names, end=ends)
    def remove_a_job(self, name, end):
        self.jobs.pop(name, None)
        self.do(self.edit(written(self.jobs), end))

    @rule(number=st.integers(0, 3), end=ends)
    def change_only_a_comment(self, number, end):
        self.do(self.edit(written(self.jobs) + b"# %d\n" % number, end))

    @rule(bad=st.sampled_from(BAD), end=ends)
    def break_or_delete_the_file(self, bad, end):
        self.do(self.edit(bad, end, good=False))

    @rule(end=ends)
    def write_the_same_bytes(self, end):
        self.do(self.edit(self.file, end, good=self.file == self.good))

    @rule(end=ends)
    def go_back_to_what_runs(self, end):
        self.do(self.edit(self.good, end))

    @rule(bad=st.sampled_from(BAD), how=hows, down=moments)
    def mend_the_file_while_nobody_runs(self, bad, how, down):
        self.do(self.edit(bad, good=False))
        self.do(self.edit(self.good, (how, 0, down)))

    @rule(name=names, when=schedules, pause=st.floats(0, SETTLE_SECONDS - 0.1), end=ends)
    def write_slowly(self, name, when, pause, end):
        """What is on disk for less than half a second is never in use, though it is valid (C2)."""

        async def twice():
            self.machine.edit(written({}), good=False)
            await self.machine.sleep(pause)
            await self.edit(written(self.jobs), end)

        self.jobs[name] = when, True
        self.do(twice())

    # --- the world goes on ----------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, SETTLE_SECONDS, 0.1]))
    def wait_until_slots_are_near(self, seconds):
        """So that the next edit is in use at the very instant of a slot, or just before it."""

        async def near():
            await self.machine.sleep((-seconds - self.machine.clock.wall()) % 60)

        self.do(near())

    @rule(seconds=moments)
    def wait(self, seconds):
        self.do(self.machine.sleep(seconds))

    @rule(name=names, seconds=st.sampled_from([30, 600]))
    def pause(self, name, seconds):
        async def ask(daemon):
            await daemon.pause(name, Pause(self.machine.clock.wall() + seconds, "because", "me"))

        self.do(self.machine.ask(ask))

    @rule(name=names)
    def resume(self, name):
        self.do(self.machine.ask(lambda daemon: daemon.resume(name, "me")))

    @rule(name=names)
    def run_by_hand(self, name):
        self.do(self.machine.ask(lambda daemon: daemon.trigger(name)))

    # --- what must hold -------------------------------------------------------------------

    def events(self):
        return list(History(self.directory).events())

    @invariant()
    def what_runs_is_the_last_valid_file(self):
        if self.machine:
            assert revisions.read_accepted(self.directory).data == self.good  # C4, C5
            said = [
                each["revision"] for each in self.events() if each["event"] == "config_accepted"
            ]
            assert said == [revision_of(data) for data in self.accepted]

    @invariant()
    def a_refusal_shows_until_the_file_is_right(self):
        if self.machine:
            shown = standing(self.events(), 0).refused
            assert (shown is not None) == (self.file != self.good)  # C4, C9
            if shown:
                expected = None if self.file is None else revision_of(self.file)[:12]
                assert shown.config == expected

    def teardown(self):
        Reloads.cases += 1
        with self.exits:
            if self.machine:
                calm = self.do(settle(self.machine, self.good))
                assert judge(self.machine, calm, self.said) == []
                assert list(self.answered_outside(calm)) == []

    def answered_outside(self, calm):
        """Yield the records of slots at which their job was removed or disabled."""
        kept = (self.directory / revisions.DIRECTORY).glob("*.yaml")
        specs = {path.stem[:12]: source.load(path.read_bytes()).spec for path in kept}
        spans = list(enabled_spans(self.events(), specs, calm.until + 3600))
        for run in History(self.directory).runs():
            slot = parse_rfc3339(run["scheduled_at"])
            if run.get("trigger") != "manual" and not any(
                name == run["job"] and since < slot <= through for name, since, through, _ in spans
            ):
                yield run


@pytest.mark.slow
@pytest.mark.timeout(600)  # after a failure the search for the smallest one takes its time
def test_reloads_lose_no_slot_and_run_the_last_valid_file(record_property):
    Reloads.cases = 0
    some = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Reloads, settings=some)
    record_property("cases", Reloads.cases)
