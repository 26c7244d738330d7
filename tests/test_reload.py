"""Hot reload (rules C): what becomes of the jobs, the runs and the events when the file changes."""

import asyncio
import itertools

import httpx
import pytest

from sinkd.errors import UsageError
from sinkd.history import History
from sinkd.instant import parse_rfc3339
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

BAD = b"version: 1\njobs:\n  - {name: poll, schedule: {intervall: 15}}\n"


def jobs(*each):
    lines = (f"  - {{name: {name}, schedule: {schedule}, request: {{url: 'http://h/'}}{more}}}\n"
             for name, schedule, more in each)  # fmt: skip
    return ("version: 1\njobs:\n" + "".join(lines)).encode()


def poll(minutes=15, more=""):
    return ("poll", f"{{interval_minutes: {minutes}}}", more)


def story(tmp_path, data, start, tell, *, seconds=0, **options):
    """Let `tell(world, life)` happen to a started daemon whose target takes `seconds`."""

    async def answer(request):
        await asyncio.sleep(seconds)
        return httpx.Response(200)

    async def live():
        clock = VirtualClock(parse_rfc3339(start))
        world = World(tmp_path, clock, MemoryConfig(data), answer, **options)
        life = await world.start()
        await tell(world, life)
        await life.stop()
        return world

    return run_virtual(live())


def events(tmp_path, prefix="config_"):
    return [event for event in History(tmp_path).events() if event["event"].startswith(prefix)]


def names(tmp_path):
    return [event["event"] for event in events(tmp_path)]


def outcomes(tmp_path, name="poll"):
    return [
        (run["scheduled_at"][11:16], "/".join(filter(None, (run["outcome"], run.get("reason")))))
        for run in History(tmp_path).runs()
        if run["job"] == name
    ]


def test_a_change_is_in_use_about_a_second_later(tmp_path):
    async def tell(world, life):
        world.config.write(jobs(poll(), ("more", "{interval_minutes: 1}", "")))
        await asyncio.sleep(1)
        assert list(life.daemon.spec.jobs) == ["poll", "more"]

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    accepted = events(tmp_path)[-1]
    assert accepted["event"] == "config_accepted"
    changes = {key: accepted[key] for key in ("added", "changed", "removed", "paused", "resumed")}
    assert changes == {"added": ["more"], "changed": [], "removed": [], "paused": [], "resumed": []}


@pytest.mark.parametrize(
    "data",
    [BAD, b"", b"# nothing\n", b"[]\n", b"\xff\xfe", b"version: [", b"x" * 10, None],
    ids=["wrong field", "empty", "comment only", "list", "not UTF-8", "not YAML", "scalar", "gone"],
)
def test_a_refused_file_changes_nothing_but_is_said_once(tmp_path, data):
    async def tell(world, life):
        world.config.write(data)
        await asyncio.sleep(3600)

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted", "config_refused"]  # C4, law 4
    problem = events(tmp_path)[-1]["problems"][0]
    assert problem["line"] >= 1
    assert problem["message"]
    assert len(outcomes(tmp_path)) == 4


def test_after_any_number_of_refusals_the_next_good_file_is_accepted(tmp_path):
    async def tell(world, life):
        for number in range(5):
            world.config.write(BAD + b"#" * number)
            await asyncio.sleep(20)
        world.config.write(jobs(poll(5)))
        await asyncio.sleep(20)

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted", *["config_refused"] * 5, "config_accepted"]  # C5


def test_the_accepted_bytes_coming_back_end_a_refusal(tmp_path):
    async def tell(world, life):
        world.config.write(BAD)
        await asyncio.sleep(20)
        world.config.write(jobs(poll()))
        await asyncio.sleep(20)
        assert life.daemon.reloader.refused is None

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted", "config_refused", "config_restored"]  # C9


def test_the_accepted_bytes_that_came_back_while_nobody_ran_end_a_refusal(tmp_path):
    async def refused(world, life):
        world.config.write(BAD)
        await asyncio.sleep(20)

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", refused)
    for start in ("2026-11-23T10:05Z", "2026-11-23T10:10Z"):
        story(tmp_path, jobs(poll()), start, lambda world, life: asyncio.sleep(20))
    assert names(tmp_path) == ["config_accepted", "config_refused", "config_restored"]  # C9


def test_the_same_bytes_again_are_no_event(tmp_path):
    async def tell(world, life):
        for _ in range(5):
            world.config.write(jobs(poll()))
            await asyncio.sleep(20)

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted"]  # C9


def test_half_a_file_is_never_applied(tmp_path):
    whole = jobs(poll(), ("off", "{interval_minutes: 1}", ", enabled: false"))

    async def tell(world, life):
        for end in range(len(whole) - 40, len(whole) + 1):
            world.config.write(whole[:end])
            await asyncio.sleep(0.2)
        await asyncio.sleep(5)
        assert not life.daemon.spec.jobs["off"].enabled

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted", "config_accepted"]  # C2, F3


def test_a_file_that_does_not_settle_is_said_and_not_applied(tmp_path):
    async def tell(world, life):
        for number in range(60):
            world.config.write(jobs(poll(), (f"n{number}", "{interval_minutes: 1}", "")))
            await asyncio.sleep(0.3)
        assert list(life.daemon.spec.jobs) == ["poll"]
        await asyncio.sleep(2)

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted", "config_unsettled", "config_accepted"]


def test_a_change_without_a_hint_is_seen_within_15_seconds(tmp_path):
    async def tell(world, life):
        world.config._data = jobs(poll(5))
        await asyncio.sleep(16)
        assert life.daemon.spec.jobs["poll"].schedule.interval_minutes == 5

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)  # C1


def test_a_run_in_flight_keeps_its_spec_and_its_life_when_its_job_is_removed(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(65)
        world.config.write(b"version: 1\njobs: []\n")
        await asyncio.sleep(60)

    story(tmp_path, jobs(poll()), "2026-11-23T09:59Z", tell, seconds=30)
    assert outcomes(tmp_path) == [("10:00", "success")]  # C7


def test_a_job_removed_and_added_again_during_its_run_does_not_overlap(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(62)
        world.config.write(b"version: 1\njobs: []\n")
        await asyncio.sleep(5)
        world.config.write(jobs(poll(1)))
        await asyncio.sleep(60)

    story(tmp_path, jobs(poll(1, ", timeout_seconds: 300")), "2026-11-23T09:59Z", tell, seconds=100)
    assert outcomes(tmp_path)[0] == ("10:01", "skipped/overlap")  # C8


def test_a_new_schedule_begins_at_the_swap(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(70)
        world.config.write(jobs(poll(20)))
        await asyncio.sleep(3600)

    story(tmp_path, jobs(poll(15)), "2026-11-23T09:59Z", tell)
    times = [at for at, _ in outcomes(tmp_path)]
    assert times == ["10:00", "10:20", "10:40", "11:00"]  # T7, I12


def test_an_unrelated_edit_moves_no_slot(tmp_path):
    edits = itertools.count()

    async def tell(world, life):
        for _ in range(200):
            world.config.write(jobs(poll()) + b"# %d\n" % next(edits))
            await asyncio.sleep(20)

    story(tmp_path, jobs(poll()), "2026-11-23T09:59Z", tell)
    times = [at for at, _ in outcomes(tmp_path)]
    assert times == ["10:00", "10:15", "10:30", "10:45", "11:00"]  # law 3


def test_a_slot_that_waits_when_its_job_is_disabled_is_skipped_as_paused(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(65)
        waiting = next(iter(life.daemon.waiting))
        world.config.write(
            jobs(*(
                (name, "{interval_minutes: 60}", ", enabled: false" if name == waiting else "")
                for name in ("a", "b")
            ))
        )  # fmt: skip
        await asyncio.sleep(60)

    both = jobs(*((name, "{interval_minutes: 60}", "") for name in ("a", "b")))
    story(tmp_path, both, "2026-11-23T09:59Z", tell, seconds=30, max_in_flight=1)
    assert sorted(outcomes(tmp_path, "a") + outcomes(tmp_path, "b")) == [
        ("10:00", "skipped/paused"),
        ("10:00", "success"),
    ]  # C3, I9


def test_a_reload_that_removes_most_jobs_says_so(tmp_path):
    async def tell(world, life):
        world.config.write(jobs(("a", "{interval_minutes: 60}", "")))
        await asyncio.sleep(5)

    three = jobs(*((name, "{interval_minutes: 60}", "") for name in ("a", "b", "c")))
    story(tmp_path, three, "2026-11-23T09:59Z", tell)
    [shrunk] = [event for event in events(tmp_path) if event["event"] == "config_shrunk"]
    assert (shrunk["removed"], shrunk["paused"], shrunk["total"]) == (2, 0, 3)  # C10


def test_every_accepted_revision_is_kept_with_its_bytes(tmp_path):
    async def tell(world, life):
        for minutes in (5, 10):
            world.config.write(jobs(poll(minutes)))
            await asyncio.sleep(5)

    story(tmp_path, jobs(poll()), "2026-11-23T09:59Z", tell)
    kept = {path.read_bytes() for path in (tmp_path / "revisions").iterdir()}
    assert kept == {jobs(poll(minutes)) for minutes in (15, 5, 10)}


def test_a_reader_that_fails_once_is_read_again(tmp_path):
    async def tell(world, life):
        read, fails = world.config.read, iter([True])

        def sometimes():
            if next(fails, False):
                message = "gone for a moment"
                raise UsageError(message)
            return read()

        world.config.read = sometimes
        world.config.write(jobs(poll(5)))
        await asyncio.sleep(3)
        assert life.daemon.spec.jobs["poll"].schedule.interval_minutes == 5

    story(tmp_path, jobs(poll()), "2026-11-23T10:01Z", tell)
    assert names(tmp_path) == ["config_accepted", "config_accepted"]
