"""Why: every minute of a job has an answer, from the files that the real daemon left."""

import asyncio
import contextlib
import errno
import fcntl
import json

import httpx
import jsonschema
import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from sinkd import schemas
from sinkd.cli import sinkd
from sinkd.commands import why as command
from sinkd.errors import UsageError
from sinkd.instant import parse_rfc3339
from sinkd.record import line
from sinkd.settings import Settings
from sinkd.state import Pause
from sinkd.storage import Storage
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual


def job(name="poll", schedule="{interval_minutes: 15}", more=""):
    url = f"http://{name}.example/run"
    return f"  - {{name: {name}, schedule: {schedule}, request: {{url: '{url}'}}{more}}}\n"


def jobs(*each):
    return ("version: 1\njobs:\n" + "".join(each or (job(),))).encode()


async def answer(request):
    if request.url.host == "slow.example":
        await asyncio.sleep(640)
    return httpx.Response(503 if request.url.host == "down.example" else 200)


def live(data_dir, data, start, tell, **options):
    """Let `tell(world, life)` happen to a daemon, and stop the life that it returns."""

    async def story():
        config = MemoryConfig(data)
        world = World(data_dir, VirtualClock(parse_rfc3339(start)), config, answer, **options)
        if ended := await tell(world, await world.start()):
            await ended.stop()

    run_virtual(story())


@pytest.fixture
def why(tmp_path, capsys):
    """Ask about a job in a data directory; return the answer, and its sentences a line each."""

    def why(name, time, now="2026-11-23T18:00:00Z", data_dir=tmp_path):
        settings = Settings(data_dir=data_dir)
        options = {"job": name, "time": time, "now": parse_rfc3339(now)}
        capsys.readouterr()
        assert command.run_command(settings, output_format="json", **options) == 0
        found = json.loads(capsys.readouterr().out)
        jsonschema.validate(found, schemas.schema("why"))
        assert command.run_command(settings, **options) == 0
        first, *text = capsys.readouterr().out.splitlines()
        assert first.startswith(f"{name} at 2026-")
        if "second" not in found:
            assert " ".join(text).split() == found["explanation"].split()
        return found["answer"], "\n".join(each.strip() for each in text)

    return why


@pytest.fixture(scope="module")
def long_life(tmp_path_factory):
    """Make a long day: a pause, a refused file, a crash, a sleep of the machine, a set clock."""
    before = (
        job(),
        job("slow", "{interval_minutes: 5}", ", timeout_seconds: 900"),
        job("down", '{at: "09:00", timezone: America/New_York, days: [mon]}'),
        job("off", "{interval_minutes: 5}", ", enabled: false"),
    )
    after = (
        job("poll", "{interval_minutes: 20}", ", enabled: false"),
        job("fresh", "{interval_minutes: 20}"),
        *before[1:3],
    )

    async def tell(world, life):
        await asyncio.sleep(3600)  # 09:50
        pause = Pause(world.clock.wall() + 1800, "vendor maintenance", "ann")
        await life.daemon.pause("poll", pause)
        await asyncio.sleep(2400)  # 10:30
        world.config.write(None)
        await asyncio.sleep(1800)  # 11:00
        world.config.write(jobs(*before) + b"# again")
        await asyncio.sleep(600)  # 11:10
        await life.daemon.trigger("off")
        await life.crash()
        await asyncio.sleep(7200)  # 13:10
        life = await world.start()
        await asyncio.sleep(1800)  # 13:40
        world.clock.suspend(4000)  # 14:46
        await asyncio.sleep(600)  # 14:56
        world.clock.step(5000)  # 16:20
        await asyncio.sleep(600)  # 16:30
        world.config.write(jobs(*after))
        await asyncio.sleep(600)  # 16:40
        return life

    data_dir = tmp_path_factory.mktemp("long")
    live(data_dir, jobs(*before), "2026-11-23T08:50:00Z", tell)
    return data_dir


def test_a_run_that_succeeded(why, long_life):
    assert why("poll", "09:00", data_dir=long_life) == snapshot(
        ("ran", "It was sent at 09:00 UTC, 0 ms late, and the server answered 200 after 0.00 s.")
    )


def test_a_run_that_failed_after_it_was_caught_up(why, long_life):
    assert why("down", "09:00", data_dir=long_life) == snapshot(
        (
            "failed",
            """\
It was sent at 14:46:41 UTC, 46 min 41 s late, to catch up, and the server answered 503 after 0.00 s.
The server decides this: its own log knows more, by the run id down@2026-11-23T14:00Z.
Nothing is sent again for this slot: the next slot is the next run.\
""",
        )
    )


def test_a_minute_between_two_slots(why, long_life):
    assert why("poll", "09:07", data_dir=long_life) == snapshot(
        (
            "not_due",
            """\
It was not due: its schedule is every 15 min at :00 :15 :30 :45.
The slot before is 2026-11-23 09:00 UTC, the one after 2026-11-23 09:15 UTC.\
""",
        )
    )


def test_a_day_that_is_none_of_its_days(why, long_life):
    assert why("down", "2026-11-24T09:00", data_dir=long_life) == snapshot(
        (
            "not_due",
            """\
It was not due: its schedule is Mon at 09:00 America/New_York.
09:00 is one of its times, but Tuesday is none of its days.
The slot before is 2026-11-23 09:00 America/New_York (14:00 UTC), the one after 2026-11-30 09:00 America/New_York (14:00 UTC).\
""",
        )
    )


def test_a_job_that_is_disabled_in_the_file(why, long_life):
    assert why("off", "10:00", data_dir=long_life) == snapshot(
        (
            "paused",
            """\
It was disabled (`enabled: false`) by configuration 2033e89014b9 at 08:50 UTC.
`enabled: true` in the jobs file schedules it again, from then on.\
""",
        )
    )
    assert why("poll", "16:40", data_dir=long_life) == snapshot(
        (
            "paused",
            """\
It was disabled (`enabled: false`) by configuration 1cfb08f44dc2 at 16:30:01 UTC.
`enabled: true` in the jobs file schedules it again, from then on.\
""",
        )
    )


def test_a_run_by_hand_is_told_with_the_minute(why, long_life):
    assert why("off", "11:10", data_dir=long_life) == snapshot(
        (
            "paused",
            """\
It was disabled (`enabled: false`) by configuration 2033e89014b9 at 08:50 UTC.
`enabled: true` in the jobs file schedules it again, from then on.
It was run by hand at 11:10 UTC: interrupted.\
""",
        )
    )


def test_a_job_that_a_person_holds(why, long_life):
    assert why("poll", "10:15", data_dir=long_life) == snapshot(
        (
            "paused",
            """\
It was paused by ann from 09:50 UTC until 10:20 UTC: vendor maintenance.
It was resumed at 10:20:01 UTC when the time was over.\
""",
        )
    )


def test_a_file_that_was_refused_at_the_time(why, long_life):
    assert why("poll", "10:40", data_dir=long_life) == snapshot(
        (
            "config_refused",
            """\
It was not due: its schedule is every 15 min at :00 :15 :30 :45.
The slot before is 2026-11-23 10:30 UTC, the one after 2026-11-23 10:45 UTC.
The file on disk was refused at 10:30:01 UTC and changed nothing: 1:1 jobs.yaml: no such file.
`sinkd validate` shows all that is wrong with a file.\
""",
        )
    )


def test_a_job_that_did_not_exist_yet(why, long_life):
    assert why("fresh", "10:00", data_dir=long_life) == snapshot(
        (
            "unknown_job",
            """\
No job has this name in configuration 2033e89014b9, in use since 08:50 UTC.
It was added by configuration 1cfb08f44dc2 at 16:30:01 UTC.\
""",
        )
    )


def test_a_job_that_was_removed(why, long_life):
    assert why("off", "16:35", data_dir=long_life) == snapshot(
        (
            "unknown_job",
            """\
No job has this name in configuration 1cfb08f44dc2, in use since 16:30:01 UTC.
It was removed by configuration 1cfb08f44dc2 at 16:30:01 UTC.\
""",
        )
    )


def test_a_slot_while_the_run_before_was_still_in_flight(why, long_life):
    assert why("slow", "09:05", data_dir=long_life) == snapshot(
        (
            "skipped",
            """\
The run slow@2026-11-23T08:55Z was still in flight, and runs of one job never overlap: the slot was skipped.
It had started at 08:55 UTC and ended at 09:05:40 UTC: success.
Make the runs shorter, lower `timeout_seconds`, or leave more time between the slots.\
""",
        )
    )


def test_a_run_that_a_crash_interrupted(why, long_life):
    assert why("slow", "11:10", data_dir=long_life) == snapshot(
        (
            "interrupted",
            """\
It was claimed, and sinkd ended without a word before its end was recorded.
Its last sign of life is of 11:09:03 UTC: it crashed, was killed, or lost power; it was started again at 13:10 UTC.
Whether the request arrived is not known, and it is never sent again: ask the server for the Idempotency-Key slow@2026-11-23T11:10Z.\
""",
        )
    )


def test_a_slot_while_sinkd_was_down_after_a_crash(why, long_life):
    assert why("poll", "12:15", data_dir=long_life) == snapshot(
        (
            "missed",
            """\
sinkd was down.
Its last sign of life is of 11:09:03 UTC: it crashed, was killed, or lost power; it was started again at 13:10 UTC.
After a gap only the newest slot may still run, here that of 13:00 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )


def test_a_slot_while_the_machine_slept(why, long_life):
    assert why("poll", "14:15", data_dir=long_life) == snapshot(
        (
            "missed",
            """\
The machine slept for 1 h 6 min, until 14:46:41 UTC.
Keep the machine awake, or run sinkd on one that does not sleep.
After a gap only the newest slot may still run, here that of 14:45 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )


def test_a_slot_that_the_clock_jumped_over(why, long_life):
    assert why("poll", "15:45", data_dir=long_life) == snapshot(
        (
            "missed",
            """\
The clock was set forward by 1 h 23 min, from 14:56:41 UTC to 16:20:01 UTC: the slot never came.
Check who sets the clock of the machine (NTP slews a running clock).
After a gap only the newest slot may still run, here that of 16:15 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )


def test_a_slot_while_nothing_has_run_since(why, long_life):
    assert why("slow", "17:00", data_dir=long_life) == snapshot(
        (
            "down",
            """\
sinkd is down: it was stopped (SIGTERM) at 16:40:08 UTC.
The next start records this slot as missed.\
""",
        )
    )
    now = "2026-11-23T16:46:00Z"
    assert why("slow", "16:45", now, data_dir=long_life) == snapshot(
        (
            "down",
            """\
sinkd is down: it was stopped (SIGTERM) at 16:40:08 UTC.
If it is started by 16:47:30 UTC, this slot still runs (`catch_up_minutes`).\
""",
        )
    )


def test_a_slot_that_is_still_to_come(why, long_life):
    assert why("fresh", "19:00", data_dir=long_life) == snapshot(
        (
            "future",
            """\
It will run in 1 h, by configuration 1cfb08f44dc2, in use since 16:30:01 UTC.
No daemon runs now: start `sinkd run`.\
""",
        )
    )


def test_a_minute_before_the_log_begins(why, long_life):
    assert why("poll", "08:00", data_dir=long_life) == snapshot(
        (
            "before_log",
            "The log begins at 08:50 UTC: sinkd did not run with this data directory before.",
        )
    )


def test_an_age_is_a_time(long_life):
    arguments = ["--data-dir", str(long_life), "why", "poll", "-2h"]
    result = CliRunner().invoke(sinkd, arguments, standalone_mode=False)
    assert (result.return_value, result.output[:8]) == (0, "poll at ")


def test_a_name_that_no_job_ever_had_is_a_mistake(long_life):
    with pytest.raises(UsageError) as refused:
        command.run_command(Settings(data_dir=long_life), job="pol", time="09:00")
    assert str(refused.value) == snapshot(
        "no job is named `pol` in the run log or the jobs file: did you mean `poll`?"
    )


# --- stops, stalls, a full disk


def test_a_slot_while_sinkd_was_stopped(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(600)  # 09:00
        await life.stop()
        await asyncio.sleep(7200)
        return await world.start()

    live(tmp_path, jobs(), "2026-11-23T08:50:00Z", tell)
    assert why("poll", "10:00") == snapshot(
        (
            "missed",
            """\
sinkd was down.
It was stopped (SIGTERM) at 09:00 UTC; it was started again at 11:00 UTC.
After a gap only the newest slot may still run, here that of 11:00 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )


def test_a_slot_while_sinkd_was_stopping_and_a_run_that_it_cut_off(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(899)
        await life.stop()
        await asyncio.sleep(7200)
        return await world.start()

    data = jobs(job("slow", "{interval_minutes: 5}", ", timeout_seconds: 900"), job())
    live(tmp_path, data, "2026-11-23T08:45:00Z", tell)
    assert why("poll", "09:00") == snapshot(
        (
            "missed",
            """\
sinkd was stopping, and then starts nothing new.
It was stopped (SIGTERM) at 09:00:07 UTC; it was started again at 11:00:07 UTC.
After a gap only the newest slot may still run, here that of 11:00 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )
    assert why("slow", "08:50") == snapshot(
        (
            "interrupted",
            """\
It was sent at 08:50 UTC, and cut off when sinkd stopped before the answer was there.
A longer `--drain-seconds` gives runs more time to end.
Whether the request arrived is not known, and it is never sent again: ask the server for the Idempotency-Key slow@2026-11-23T08:50Z.\
""",
        )
    )
    assert why("poll", "09:45")[1].startswith(
        "sinkd was down.\nIt was stopped (SIGTERM) at 09:00:07"
    )


def test_a_slot_while_sinkd_stood_still(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(300)
        asyncio.get_running_loop()._now += 7200
        await asyncio.sleep(300)
        return life

    live(tmp_path, jobs(), "2026-11-23T08:50:00Z", tell)
    assert why("poll", "09:30") == snapshot(
        (
            "missed",
            """\
sinkd stood still for 2 h, until 10:55 UTC.
The process got no CPU, hung on the disk, or was stopped (SIGSTOP).
After a gap only the newest slot may still run, here that of 10:45 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )


class Disk(Storage):
    """A data directory on a disk that can be full."""

    full = False

    def append(self, name, data, mode=0o640):
        if Disk.full:
            raise OSError(errno.ENOSPC, "no space")
        super().append(name, data, mode)


def test_a_slot_while_the_log_could_not_be_written(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(300)
        Disk.full = True
        await asyncio.sleep(3600)
        Disk.full = False
        await asyncio.sleep(300)
        return life

    live(tmp_path, jobs(), "2026-11-23T08:50:00Z", tell, storage=Disk)
    assert why("poll", "09:15") == snapshot(
        (
            "missed",
            """\
The run log could not be written from 08:56 UTC on (ENOSPC), until 09:55:01 UTC.
What cannot be recorded is not sent: free some space on the disk of the data directory.
After a gap only the newest slot may still run, here that of 09:45 UTC, and at most 7 min 30 s late (`catch_up_minutes`).\
""",
        )
    )


def test_a_slot_without_a_permit(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(1800)
        return life

    slow = job("slow", "{interval_minutes: 5}", ", timeout_seconds: 900")
    other = slow.replace("name: slow", "name: other")
    live(tmp_path, jobs(slow, other), "2026-11-23T08:51:00Z", tell, max_in_flight=1)
    answers = dict(why(name, "08:55") for name in ("slow", "other"))
    assert answers.keys() == {"ran", "skipped"}
    assert answers["skipped"] == snapshot("""\
It waited for a permit, as many runs as allowed were in flight, in all or to its host, until its time was over or its next slot came.
Spread the start minutes (`sinkd next --load`), or raise `--max-in-flight` or `--max-in-flight-per-host`.\
""")


def test_a_slot_that_waited_when_its_job_was_disabled(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(250)
        world.config.write(text.replace(b"enabled: true", b"enabled: false"))
        await asyncio.sleep(600)
        return life

    text = jobs(
        job("slow", "{interval_minutes: 5}", ", timeout_seconds: 900"),
        job("poll", '{at: "08:57", timezone: UTC}', ", enabled: true"),
    )
    live(tmp_path, text, "2026-11-23T08:54:00Z", tell, max_in_flight=1)
    assert why("poll", "08:57") == snapshot(
        (
            "paused",
            """\
It waited for a permit when the job was removed, disabled or given another schedule.
That was configuration b52468d84ebb.\
""",
        )
    )


# --- now


@contextlib.contextmanager
def held(data_dir):
    """Hold the lock of a data directory, as a daemon does."""
    with (data_dir / "sinkd.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unfinished(data_dir, **options):
    """Leave a slot in flight and one that waits, as in the middle of a life."""

    async def tell(world, life):
        await asyncio.sleep(70)
        await life.crash()

    data = jobs(
        job("slow", "{interval_minutes: 5}", ", timeout_seconds: 900"),
        job("poll", "{interval_minutes: 5}"),
    )
    live(data_dir, data, "2026-11-23T08:59:00Z", tell, **options)


NOW = "2026-11-23T09:00:10Z"


def test_a_run_that_is_in_flight(why, tmp_path):
    unfinished(tmp_path)
    with held(tmp_path):
        assert why("slow", "09:00", NOW) == snapshot(
            (
                "in_flight",
                """\
It was sent and is in flight: the server has not answered yet.
After 900 s it is given up (`timeout_seconds`).\
""",
            )
        )


def test_a_run_that_was_in_flight_when_sinkd_ended(why, tmp_path):
    unfinished(tmp_path)
    assert why("slow", "09:00", NOW) == snapshot(
        (
            "in_flight",
            """\
It was claimed, and sinkd ended before its end was recorded.
Its last sign of life is of 09:00:01 UTC.
The next start records it as interrupted; it is never sent again.\
""",
        )
    )


def test_a_slot_that_waits_for_a_permit(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(130)
        await life.crash()

    slow = job("slow", "{interval_minutes: 5}", ", timeout_seconds: 900")
    other = slow.replace("name: slow", "name: other")
    live(tmp_path, jobs(slow, other), "2026-11-23T08:59:00Z", tell, max_in_flight=1)
    with held(tmp_path):
        now = "2026-11-23T09:01:10Z"
        answers = dict(why(name, "09:00", now) for name in ("slow", "other"))
        assert answers.keys() == {"in_flight", "waiting"}
        assert answers["waiting"] == snapshot("""\
It is due and waits for a permit: as many runs as allowed are in flight.
`--max-in-flight` and `--max-in-flight-per-host` set how many may be.\
""")


def test_a_slot_of_which_a_daemon_has_left_no_sign_yet(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(330)
        await life.crash()

    live(tmp_path, jobs(job("poll", "{interval_minutes: 5}")), "2026-11-23T08:59:00Z", tell)
    with held(tmp_path):
        assert why("poll", "09:05", "2026-11-23T09:05:50Z") == snapshot(
            (
                "waiting",
                """\
It is due, and waits for a permit, unless the daemon stands still.
Its last sign of life is of 09:04:01 UTC.
`sinkd status` asks the daemon.\
""",
            )
        )


def test_a_slot_while_sinkd_is_still_stopping(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(190)
        stopping = asyncio.create_task(life.stop())
        await asyncio.sleep(200)
        await life.crash()
        stopping.cancel()

    slow = job("slow", "{interval_minutes: 2}", ", timeout_seconds: 900")
    live(tmp_path, jobs(slow, job()), "2026-11-23T08:59:00Z", tell, drain_seconds=600)
    with held(tmp_path):
        assert why("slow", "09:04", "2026-11-23T09:04:10Z") == snapshot(
            (
                "waiting",
                """\
sinkd is stopping since 09:02:10 UTC, and starts nothing new.
The next start answers this slot.\
""",
            )
        )


def test_a_run_that_lacked_its_secret_was_not_sent(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(90)
        return life

    data = jobs().replace(b"poll.example/run", b"poll.example/${env:TOKEN}")
    live(tmp_path, data, "2026-11-23T08:59:00Z", tell)
    assert why("poll", "09:00") == snapshot(
        (
            "failed",
            """\
It was due, and nothing was sent at 09:00 UTC: `${env:TOKEN}` is not set in the daemon's environment.
Set the secret; it is read anew for each run.
Nothing is sent again for this slot: the next slot is the next run.\
""",
        )
    )


def test_a_slot_that_a_full_disk_holds(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(30)
        await life.daemon.store.log.flush()
        world.config.write(b"")  # its event meets the full disk, and fits into the reserve
        Disk.full = True
        await asyncio.sleep(10)
        Disk.full = False
        await asyncio.sleep(1)
        await life.crash()

    live(tmp_path, jobs(), "2026-11-23T08:59:00Z", tell, storage=Disk)
    events = tmp_path / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join(each for each in lines if b"log_recovered" not in each))
    with held(tmp_path):
        assert why("poll", "09:00", NOW) == snapshot(
            (
                "waiting",
                """\
The run log cannot be written since 08:59:31 UTC (ENOSPC).
Nothing is sent until it can be: free some space on the disk.\
""",
            )
        )


def test_a_slot_that_the_daemon_does_not_settle(why, tmp_path):
    unfinished(tmp_path)
    with held(tmp_path):
        assert why("poll", "09:05", "2026-11-23T09:05:01Z") == snapshot(
            ("waiting", "It is due just now.")
        )
        assert why("poll", "09:05", "2026-11-23T09:05:50Z") == snapshot(
            (
                "waiting",
                """\
It is due, and the daemon does not move: it holds the lock, but stands still.
Its last sign of life is of 09:00:01 UTC.\
""",
            )
        )
        (tmp_path / "journal.jsonl").unlink()
        assert why("poll", "09:05", "2026-11-23T09:05:50Z") == snapshot(
            ("waiting", "It waits or is in flight; the journal, which knows, is not yours to read.")
        )


def test_a_slot_whose_pause_is_still_to_come_to_its_end(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(10)
        await life.daemon.pause("poll", Pause(world.clock.wall() + 3600, "a drill", "ann"))
        await life.crash()

    live(tmp_path, jobs(), "2026-11-23T08:59:00Z", tell)
    with held(tmp_path):
        assert why("poll", "09:30", NOW) == snapshot(
            (
                "paused",
                """\
It is paused by ann until 09:59:10 UTC: a drill.
The slot will be skipped, unless `sinkd resume poll` ends the pause.\
""",
            )
        )


# --- zones


PARIS = jobs(job("paris", '{at: ["02:30", "09:00"], timezone: Europe/Paris}'))


async def four_hours(world, life):
    await asyncio.sleep(4 * 3600)
    return life


def test_a_time_that_the_spring_skips(why, tmp_path):
    live(tmp_path, PARIS, "2026-03-28T23:00:00Z", four_hours)
    assert why("paris", "2026-03-29T02:30", "2026-03-29T12:00:00Z") == snapshot(
        (
            "ran",
            """\
The clocks of Europe/Paris were set forward over its local time, so its slot moved to 03:30 by the length of the gap.
It was sent at 01:30 UTC, 0 ms late, and the server answered 200 after 0.00 s.\
""",
        )
    )


def test_the_times_of_a_removed_job_are_read_in_the_zone_that_it_had(why, tmp_path):
    async def tell(world, life):
        await asyncio.sleep(7200)
        world.config.write(jobs())
        await asyncio.sleep(60)
        return life

    live(tmp_path, PARIS, "2026-11-23T07:30:00Z", tell)
    assert why("paris", "2026-11-23T09:00")[0] == "ran"
    assert why("paris", "2026-11-23T11:00")[0] == "unknown_job"


def test_a_time_that_comes_twice_in_autumn_has_two_answers(why, tmp_path):
    live(tmp_path, PARIS, "2026-10-24T23:00:00Z", four_hours)
    assert why("paris", "2026-10-25T02:30", "2026-10-25T12:00:00Z") == snapshot(
        (
            "ran",
            """\
It was sent at 00:30 UTC, 0 ms late, and the server answered 200 after 0.00 s.

paris at 2026-10-25 02:30 Europe/Paris (01:30 UTC): not due
It was not due: its schedule is daily at 02:30 09:00 Europe/Paris.
02:30 came twice on this day, because the clocks of Europe/Paris were set back; the job runs at the first of them, 00:30 UTC.
The slot before is 2026-10-25 02:30 Europe/Paris (00:30 UTC), the one after 2026-10-25 09:00 Europe/Paris (08:00 UTC).\
""",
        )
    )


# --- a clock that was set back


@pytest.fixture(scope="module")
def set_back(tmp_path_factory):
    """Jump ahead by two hours and back, then let the machine sleep over what was sent."""

    async def tell(world, life):
        await asyncio.sleep(900)  # 09:05
        world.clock.step(7200)  # 11:05
        await asyncio.sleep(60)
        world.clock.step(-7200)  # 09:06
        await asyncio.sleep(2400)  # 09:46
        world.clock.step(-5400)  # 08:16
        await asyncio.sleep(60)
        world.clock.suspend(7200)  # 10:17
        await asyncio.sleep(60)
        return life

    data_dir = tmp_path_factory.mktemp("back")
    live(data_dir, jobs(), "2026-11-23T08:50:00Z", tell)
    return data_dir


def test_a_slot_that_came_again_tells_of_both_answers(why, set_back):
    assert why("poll", "09:45", data_dir=set_back) == snapshot(
        (
            "ran",
            """\
It was sent at 09:45 UTC, 0 ms late, and the server answered 200 after 0.00 s.
Before that it was missed (clock_step); then the clock was set back, and the slot came again.\
""",
        )
    )


def test_a_sent_slot_that_a_later_range_left_out_was_sent(why, set_back):
    assert why("poll", "09:00", data_dir=set_back) == snapshot(
        ("ran", "It was sent at 09:00 UTC, 0 ms late, and the server answered 200 after 0.00 s.")
    )


# --- damaged and partial files


def quarter_of_an_hour(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(1800)
        return life

    live(tmp_path, jobs(), "2026-11-23T08:50:00Z", tell)


def test_a_line_that_the_log_lacks_is_said_to_be_lost(why, tmp_path):
    quarter_of_an_hour(tmp_path)
    (tmp_path / "runs.jsonl").write_bytes(b"")
    assert why("poll", "09:00") == snapshot(
        (
            "missed",
            """\
It was due, but its line was lost or removed: whether it ran is not known.
`sinkd audit` shows all that the log lacks.\
""",
        )
    )


def test_a_revision_that_cannot_be_read_says_so(why, tmp_path):
    quarter_of_an_hour(tmp_path)
    next((tmp_path / "revisions").iterdir()).unlink()
    assert why("poll", "09:00")[0] == "ran"
    (tmp_path / "runs.jsonl").write_bytes(b"")
    assert why("poll", "09:00") == snapshot(
        (
            "before_log",
            """\
Whether it was due is said by configuration c9ce16ca6ff0, in use since 08:50 UTC.
Its file in `revisions/` is missing, changed or not yours to read.\
""",
        )
    )


def test_what_was_removed_with_old_segments_is_before_the_log(why, tmp_path):
    quarter_of_an_hour(tmp_path)
    expired = {"v": 1, "seq": 10**6, "at": "2026-11-23T11:30:01.000Z", "event": "expired"}
    with (tmp_path / "events.jsonl").open("ab") as events:
        events.write(line(expired | {"segments": ["runs-20261123T085500Z.jsonl.gz"]}))
    lines = (tmp_path / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "runs.jsonl").write_bytes(b"".join(lines[1:]))
    assert why("poll", "09:00") == snapshot(
        (
            "before_log",
            """\
The log begins at 09:16 UTC: older segments were removed.
`--keep-days` and `--keep-bytes` say how long they are kept.\
""",
        )
    )


def test_an_empty_directory_has_no_job(tmp_path):
    with pytest.raises(UsageError, match="no job is named `poll`"):
        command.run_command(Settings(data_dir=tmp_path), job="poll", time="09:00")
