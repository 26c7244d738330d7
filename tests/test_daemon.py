"""The daemon over days of virtual time: rules T, R, D, H10, C3, as what the target and the log saw."""

import asyncio
import errno
import json
from collections import Counter

import httpx
import pytest

from sinkd import revisions
from sinkd.daemon import RefusedError
from sinkd.errors import ConfigError, LockedError, LogUnusableError, RecordsLostError
from sinkd.history import History
from sinkd.instant import parse_rfc3339
from sinkd.state import Pause
from sinkd.storage import Storage
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual, simulate


def job(name="poll", schedule="{interval_minutes: 15}", more=""):
    url = f"http://{name}.example/run"
    return f"  - {{name: {name}, schedule: {schedule}, request: {{url: '{url}'}}{more}}}\n"


def jobs(*each):
    return "version: 1\njobs:\n" + "".join(each or (job(),))


def ok(request):
    return httpx.Response(200)


def slow(seconds):
    async def answer(request):
        await asyncio.sleep(seconds)
        return httpx.Response(200)

    return answer


def story(tmp_path, text, start, tell, *, answer=ok, **options):
    """Let `tell(world, life)` happen to a started daemon; return the world when it has ended."""

    async def live():
        config = MemoryConfig(text.encode())
        world = World(tmp_path, VirtualClock(parse_rfc3339(start)), config, answer, **options)
        life = await world.start()
        ended = await tell(world, life)
        await (ended or life).stop()
        return world

    return run_virtual(live())


def records(tmp_path):
    return list(History(tmp_path).runs())


def brief(run):
    """Shorten a record to what the tests speak of."""
    parts = [run["scheduled_at"][11:16], run["outcome"]]
    if "reason" in run:
        parts[1] += "/" + run["reason"]
    if "count" in run:
        parts += [run["last_scheduled_at"][11:16], run["count"]]
    return tuple(parts)


def briefs(tmp_path, name="poll"):
    return [brief(run) for run in records(tmp_path) if run["job"] == name]


def events(tmp_path, *names):
    return [event for event in History(tmp_path).events() if event["event"] in names]


# --- slots and their answers


def test_each_slot_is_sent_once_at_its_minute_and_leaves_one_line(tmp_path):
    result = simulate(jobs(), tmp_path, start="2026-11-23T09:50Z", hours=1)
    slots = [f"2026-11-23T{at}:00Z" for at in ("10:00", "10:15", "10:30", "10:45")]
    assert [sent.scheduled_at for sent in result.sent] == slots
    assert [run["scheduled_at"] for run in result.runs] == slots
    assert {run["outcome"] for run in result.runs} == {"success"}


def test_nothing_is_sent_before_its_slot(tmp_path):
    result = simulate(jobs(), tmp_path, start="2026-11-23T09:50:00.7Z", hours=6)
    assert result.sent
    assert all(sent.at >= parse_rfc3339(sent.scheduled_at) for sent in result.sent)  # T1


def test_a_job_that_is_new_sends_no_slot_of_the_past_nor_of_its_first_instant(tmp_path):
    result = simulate(jobs(), tmp_path, start="2026-11-23T10:00Z", hours=0.5)
    assert [sent.scheduled_at[11:16] for sent in result.sent] == ["10:15", "10:30"]  # T7, I12


def test_a_disabled_job_collects_no_records(tmp_path):
    text = jobs(job(more=", enabled: false"))
    result = simulate(text, tmp_path, start="2026-11-23T10:00Z", hours=5)
    assert (result.sent, result.runs) == ([], [])


def test_a_record_says_everything_of_its_run(tmp_path):
    text = jobs(job(more=", labels: {team: shop}, capture_headers: [x-session-id]"))
    answer = lambda request: httpx.Response(201, headers={"X-Session-Id": "s1"}, text="made")  # noqa: E731
    [run] = simulate(text, tmp_path, start="2026-11-23T09:59Z", hours=0.1, answer=answer).runs
    trace_id, tzdata, config = run.pop("trace_id"), run.pop("tzdata"), run.pop("config")
    assert (len(trace_id), len(config), tzdata[:2]) == (32, 12, "20")
    assert run == {
        "v": 1,
        "seq": run["seq"],
        "run_id": "poll@2026-11-23T10:00Z",
        "job": "poll",
        "labels": {"team": "shop"},
        "scheduled_at": "2026-11-23T10:00:00Z",
        "trigger": "schedule",
        "outcome": "success",
        "status_code": 201,
        "started_at": "2026-11-23T10:00:00.000Z",
        "late_ms": 0,
        "finished_at": "2026-11-23T10:00:00.000Z",
        "duration_ms": 0,
        "response_bytes": 4,
        "response_headers": {"x-session-id": "s1"},
        "method": "POST",
        "url": "http://poll.example/run",
    }


def test_a_slot_that_comes_due_during_a_run_is_skipped_and_names_it(tmp_path):
    text = jobs(job(schedule="{interval_minutes: 1}", more=", timeout_seconds: 600"))
    result = simulate(text, tmp_path, start="2026-11-23T10:00Z", hours=0.1, answer=slow(90))
    skipped = [run for run in result.runs if run["outcome"] == "skipped"]
    assert [brief(run) for run in skipped] == [
        ("10:02", "skipped/overlap"),
        ("10:04", "skipped/overlap"),
        ("10:06", "skipped/overlap"),
    ]  # T5
    assert skipped[0]["blocked_by"] == "poll@2026-11-23T10:01Z"


def test_a_run_that_outlives_its_deadline_is_a_failure_and_frees_its_job(tmp_path):
    text = jobs(job(more=", timeout_seconds: 30"))
    result = simulate(text, tmp_path, start="2026-11-23T10:00Z", hours=0.6, answer=slow(10_000))
    assert [brief(run) for run in result.runs] == [
        ("10:15", "failure/timeout"),
        ("10:30", "failure/timeout"),
    ]
    assert result.runs[0]["duration_ms"] == 30_000


# --- permits


def test_a_slot_without_a_permit_waits_and_is_sent_when_one_is_free(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(90)

    text = jobs(*(job(f"j{n}", "{interval_minutes: 60}") for n in range(4)))
    world = story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(10), max_in_flight=2)
    assert [sent.at - world.sent[0].at for sent in world.sent] == pytest.approx(
        [0, 0, 10, 10], abs=0.1
    )
    assert Counter(run["trigger"] for run in records(tmp_path)) == {"schedule": 4}  # T3


def test_a_slot_that_waits_until_its_window_ends_is_skipped_for_capacity(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(400)

    text = jobs(
        *(job(f"j{n}", "{interval_minutes: 60}", ", catch_up_minutes: 2, timeout_seconds: 500")
          for n in range(2))
    )  # fmt: skip
    story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(300), max_in_flight=1)
    assert Counter(brief(run) for run in records(tmp_path)) == {
        ("10:00", "success"): 1,
        ("10:00", "skipped/capacity"): 1,
    }  # T8


def test_jobs_that_start_together_do_not_start_in_the_same_order_each_time(tmp_path):
    text = jobs(*(job(f"j{n}", "{interval_minutes: 5}") for n in range(5)))
    result = simulate(text, tmp_path, start="2026-11-23T10:00Z", hours=2)
    last = {sent.scheduled_at: sent.job for sent in result.sent}
    assert len(set(last.values())) > 2  # T8


# --- downtime, suspend, clock steps


def test_after_a_crash_the_gap_is_one_line_and_the_newest_slot_still_runs_in_its_window(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(20 * 60)
        await life.crash()
        await asyncio.sleep(6 * 3600 + 120)  # 16:12, seven minutes and more after 16:00
        life = await world.start()
        await asyncio.sleep(60)
        return life

    text = jobs(job(schedule="{interval_minutes: 30}"))
    story(tmp_path, text, "2026-11-23T09:50Z", tell)
    assert briefs(tmp_path) == [
        ("10:00", "success"),
        ("10:30", "missed/down", "15:30", 11),
        ("16:00", "success"),
    ]  # T2, T3
    assert [run.get("trigger") for run in records(tmp_path)] == ["schedule", None, "catch_up"]
    [unclean] = events(tmp_path, "unclean_stop")
    assert unclean["last_alive_at"].startswith("2026-11-23T10:0")  # R12


def test_after_the_window_the_newest_slot_is_the_last_of_the_missed_range(tmp_path):
    async def tell(world, life):
        await life.crash()
        await asyncio.sleep(3600)
        return await world.start()

    text = jobs(job(more=", catch_up_minutes: 1"))
    story(tmp_path, text, "2026-11-23T09:57Z", tell)
    assert briefs(tmp_path) == [("10:00", "missed/down", "10:45", 4)]


def test_a_month_of_downtime_is_one_line(tmp_path):
    async def tell(world, life):
        await life.crash()
        await asyncio.sleep(30 * 86_400)
        return await world.start()

    text = jobs(job(schedule="{interval_minutes: 1}"))
    world = story(tmp_path, text, "2026-11-23T10:00:00.5Z", tell)
    assert [run["count"] for run in records(tmp_path) if "count" in run] == [43_199]
    assert len(world.sent) == 1


def test_a_suspended_machine_misses_slots_because_it_was_suspended(tmp_path):
    async def tell(world, life):
        world.clock.suspend(3600)
        await asyncio.sleep(30)

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)
    assert briefs(tmp_path) == [("10:00", "missed/suspended", "10:30", 3), ("10:45", "success")]
    [event] = events(tmp_path, "suspended")
    assert event["seconds"] == pytest.approx(3600)


def test_a_clock_set_forward_misses_slots_because_of_the_step(tmp_path):
    async def tell(world, life):
        world.clock.step(3600)
        await asyncio.sleep(30)

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)
    assert briefs(tmp_path) == [("10:00", "missed/clock_step", "10:30", 3), ("10:45", "success")]
    assert len(events(tmp_path, "clock_step")) == 1


def test_a_clock_set_back_repeats_no_slot_that_was_sent(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(3600)
        world.clock.step(-3000)
        await asyncio.sleep(7200)

    world = story(tmp_path, jobs(), "2026-11-23T09:59Z", tell)
    sent = [sent.scheduled_at for sent in world.sent]
    assert len(sent) == len(set(sent)) == 9  # T4, law 7
    assert len(events(tmp_path, "clock_step")) == 1


def test_a_small_step_back_changes_nothing(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(90)
        world.clock.step(-50)
        await asyncio.sleep(1800)

    story(tmp_path, jobs(), "2026-11-23T09:59Z", tell)
    assert briefs(tmp_path) == [("10:00", "success"), ("10:15", "success")]


def test_a_clock_that_was_years_ahead_does_not_silence_a_job(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(120)
        world.clock.step(-3 * 365 * 86_400)
        await asyncio.sleep(1800)

    world = story(tmp_path, jobs(), "2029-11-23T09:59Z", tell)
    assert len(world.sent) == 3  # one before, two of the half hour after


def test_a_restart_after_the_clock_went_back_is_alive_at_once_and_repeats_nothing(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(3600)
        await life.crash()
        world.clock.step(-2000)
        life = await world.start()
        await asyncio.sleep(3600)
        return life

    world = story(tmp_path, jobs(), "2026-11-23T09:59Z", tell)
    sent = [sent.scheduled_at for sent in world.sent]
    assert len(sent) == len(set(sent)) == 6
    assert events(tmp_path, "clock_step")


# --- crashes


def test_a_run_that_a_crash_cut_is_interrupted_once_and_never_sent_again(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(70)
        await life.crash()
        life = await world.start()
        await asyncio.sleep(5)
        await life.stop()
        return await world.start()

    text = jobs(job(more=", timeout_seconds: 600"))
    world = story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(300))
    assert briefs(tmp_path) == [("10:00", "interrupted/crash")]  # R4
    assert records(tmp_path)[0]["finished_at"] is None
    assert len(world.sent) == 1  # R2


def test_an_interrupted_run_does_not_block_the_next_slot(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(70)
        await life.crash()
        world.answer = ok
        life = await world.start()
        await asyncio.sleep(900)
        return life

    text = jobs(job(more=", timeout_seconds: 600"))
    story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(300))
    assert briefs(tmp_path) == [("10:00", "interrupted/crash"), ("10:15", "success")]


def test_two_daemons_cannot_share_a_data_directory(tmp_path):
    async def tell(world, life):
        with pytest.raises(LockedError, match="another sinkd"):
            await world.start()

    story(tmp_path, jobs(), "2026-11-23T09:59Z", tell)


def test_numbers_increase_over_all_files_and_restarts(tmp_path):
    async def tell(world, life):
        for _ in range(3):
            await asyncio.sleep(1000)
            await life.crash()
            life = await world.start()
        return life

    story(tmp_path, jobs(), "2026-11-23T09:59Z", tell)
    seen = []
    for name in ("runs.jsonl", "events.jsonl", "journal.jsonl"):
        lines = (tmp_path / name).read_text().splitlines()
        numbers = [json.loads(line)["seq"] for line in lines]
        assert numbers == sorted(numbers)
        seen += numbers
    assert len(seen) == len(set(seen))  # I13


# --- shutdown


def test_a_stop_waits_for_what_is_in_flight_and_starts_nothing_new(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(59 + 14 * 60 + 58)
        await life.stop()
        await asyncio.sleep(60)
        return await world.start()

    text = jobs(job("a", more=", timeout_seconds: 600"), job("b", "{interval_minutes: 1}"))
    answers = {"a": slow(5)}
    world = story(
        tmp_path, text, "2026-11-23T10:00:04Z", tell,
        answer=lambda request: answers.get(request.url.host.split(".")[0], ok)(request),
    )  # fmt: skip
    assert briefs(tmp_path, "a") == [("10:15", "success")]
    assert [event["clean"] for event in events(tmp_path, "stopped")] == [True, True]
    assert not events(tmp_path, "unclean_stop")
    assert world.sent


def test_a_run_that_outlives_the_drain_is_interrupted_by_the_shutdown(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(61)
        before = world.clock.wall()
        await life.stop()
        assert world.clock.wall() - before == pytest.approx(8, abs=0.5)  # D1
        return await world.start()

    text = jobs(job(more=", timeout_seconds: 600"))
    story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(300))
    assert briefs(tmp_path) == [("10:00", "interrupted/shutdown")]


def test_a_second_signal_cuts_at_once(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(61)
        before = world.clock.wall()
        life.daemon.stop("SIGTERM")
        await asyncio.sleep(1)
        await life.stop()
        assert world.clock.wall() - before < 2  # D2
        return await world.start()

    text = jobs(job(more=", timeout_seconds: 600"))
    story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(300))
    assert briefs(tmp_path) == [("10:00", "interrupted/shutdown")]


def test_slots_due_while_draining_belong_to_the_next_start(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(61)
        await life.stop()
        await asyncio.sleep(7200)
        return await world.start()

    text = jobs(
        job("a", more=", timeout_seconds: 3000"),
        job("b", "{interval_minutes: 1, start_minute: 0}", ", catch_up_minutes: 1"),
    )
    story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(200), drain_seconds=150)
    [missed] = [
        run for run in records(tmp_path) if run["outcome"] == "missed" and run["job"] == "b"
    ]
    assert missed["reason"] == "draining"  # D4


# --- manual runs


def test_a_manual_run_uses_up_no_slot(tmp_path):
    async def tell(world, life):
        flight = await life.daemon.trigger("poll")
        run = await flight.ended
        assert run["trigger"] == "manual"
        assert run["run_id"].endswith("#manual")
        await asyncio.sleep(900)

    story(tmp_path, jobs(), "2026-11-23T09:59:58Z", tell)
    assert [run["trigger"] for run in records(tmp_path)] == ["manual", "schedule"]  # T12


def test_a_manual_run_works_for_a_disabled_job(tmp_path):
    async def tell(world, life):
        await (await life.daemon.trigger("poll")).ended

    world = story(tmp_path, jobs(job(more=", enabled: false")), "2026-11-23T09:59Z", tell)
    assert world.sent[0].request.headers["X-Sinkd-Trigger"] == "manual"


def test_a_manual_run_is_refused_while_a_run_of_the_job_is_in_flight(tmp_path):
    async def tell(world, life):
        await life.daemon.trigger("poll")
        with pytest.raises(RefusedError, match="is in flight"):
            await life.daemon.trigger("poll")
        with pytest.raises(RefusedError, match=r"no job is named `nope`$"):
            await life.daemon.trigger("nope")
        with pytest.raises(RefusedError, match=r"named `pol`: did you mean `poll`\?"):
            await life.daemon.trigger("pol")

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell, answer=slow(5))


def test_a_slot_due_during_a_manual_run_is_skipped_for_overlap(tmp_path):
    async def tell(world, life):
        await life.daemon.trigger("poll")
        await asyncio.sleep(60)

    story(tmp_path, jobs(), "2026-11-23T09:59:55Z", tell, answer=slow(20))
    skipped = next(run for run in records(tmp_path) if run["outcome"] == "skipped")
    assert (skipped["reason"], skipped["blocked_by"][-7:]) == ("overlap", "#manual")


def test_a_manual_run_whose_claim_the_disk_refuses_is_refused(tmp_path):
    class Full(Storage):
        full = False

        def append(self, name, data, mode=0o640):
            if self.full and name == "journal.jsonl":
                raise OSError(errno.ENOSPC, "no space", name)
            super().append(name, data, mode)

    async def tell(world, life):
        Full.full = True
        with pytest.raises(RefusedError, match="cannot be written"):
            await life.daemon.trigger("poll")
        Full.full = False
        await asyncio.sleep(5)
        await (await life.daemon.trigger("poll")).ended

    world = story(tmp_path, jobs(), "2026-11-23T09:50Z", tell, storage=Full)
    assert len(world.sent) == 1  # E1
    assert events(tmp_path, "log_failed", "log_recovered")


def test_a_start_that_cannot_keep_its_jobs_file_ends_for_the_supervisor(tmp_path):
    class Broken(Storage):
        def replace(self, name, data, mode=0o600):
            if name == revisions.ACCEPTED:
                raise OSError(errno.EIO, "input/output error", name)
            super().replace(name, data, mode)

    async def tell(world, life):
        await asyncio.sleep(1)

    with pytest.raises(LogUnusableError, match="cannot be kept"):  # R13
        story(tmp_path, jobs(), "2026-11-23T09:59Z", tell, storage=Broken)


def test_a_stopping_daemon_says_what_a_disk_that_does_not_give_in_keeps_out(tmp_path):
    class Full(Storage):
        full = False

        def append(self, name, data, mode=0o640):
            if self.full:
                raise OSError(errno.ENOSPC, "no space", name)
            super().append(name, data, mode)

    async def tell(world, life):
        await asyncio.sleep(1)
        Full.full = True

    with pytest.raises(RecordsLostError, match="the last lines of the log could not"):  # D2
        story(tmp_path, jobs(), "2026-11-23T09:59Z", tell, storage=Full)


def test_a_stopping_daemon_does_not_vouch_for_lines_that_a_slow_disk_still_takes(tmp_path):
    async def tell(world, life):
        async def hang(call):
            await asyncio.sleep(60)
            return call()

        await asyncio.sleep(1)
        life.daemon.store.log._offload = hang

    with pytest.raises(RecordsLostError, match="the last lines of the log could not"):  # D2
        story(tmp_path, jobs(), "2026-11-23T09:59Z", tell)


def test_a_stopping_daemon_tries_its_very_last_line_again(tmp_path):
    class Full(Storage):
        refusals = 1

        def append(self, name, data, mode=0o640):
            if b'"stopped"' in data and self.refusals:
                self.refusals -= 1
                raise OSError(errno.ENOSPC, "no space", name)
            super().append(name, data, mode)

    async def tell(world, life):
        await asyncio.sleep(1)

    story(tmp_path, jobs(), "2026-11-23T09:59Z", tell, storage=Full)
    assert events(tmp_path, "stopped")  # E5


def test_a_stopping_daemon_waits_for_a_disk_that_gives_in(tmp_path):
    class Full(Storage):
        full = False

        def append(self, name, data, mode=0o640):
            if self.full:
                raise OSError(errno.ENOSPC, "no space", name)
            super().append(name, data, mode)

    async def tell(world, life):
        await asyncio.sleep(61)
        Full.full = True
        asyncio.get_running_loop().call_later(10, lambda: setattr(Full, "full", 0))

    story(tmp_path, jobs(), "2026-11-23T09:59Z", tell, answer=slow(5), storage=Full)
    assert briefs(tmp_path) == [("10:00", "success")]
    assert events(tmp_path, "stopped")  # D2, E5


def test_one_order_without_a_daemon_ends_with_the_sync_that_failed(tmp_path):
    class Broken(Storage):
        def sync(self, name):
            raise OSError(errno.EIO, "broken", name)

    async def live():
        clock, config = VirtualClock(0), MemoryConfig(jobs().encode())
        world = World(tmp_path, clock, config, ok, storage=Broken)
        daemon, first, _ = await world.assemble()
        with pytest.raises(LogUnusableError, match="sync failed"):
            await daemon.alone(first, daemon.trigger("poll"))

    run_virtual(live())  # E6


def test_two_manual_runs_in_one_millisecond_have_two_identities(tmp_path):
    async def tell(world, life):
        first = await (await life.daemon.trigger("poll")).ended
        life.daemon.clock.step(-life.daemon.clock.wall() + parse_rfc3339(first["scheduled_at"]))
        second = await (await life.daemon.trigger("poll")).ended
        assert first["run_id"] != second["run_id"]
        assert second["outcome"] == "success"

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)


# --- pauses by hand


def test_a_paused_job_answers_its_slots_as_skipped_until_the_time_is_over(tmp_path):
    async def tell(world, life):
        until = world.clock.wall() + 3600
        await life.daemon.pause("poll", Pause(until, "vendor maintenance", "ann"))
        await asyncio.sleep(2 * 3600)

    story(tmp_path, jobs(job(schedule="{interval_minutes: 30}")), "2026-11-23T09:50Z", tell)
    assert briefs(tmp_path) == [
        ("10:00", "skipped/paused"),
        ("10:30", "skipped/paused"),
        ("11:00", "success"),
        ("11:30", "success"),
    ]  # T10
    [paused] = events(tmp_path, "job_paused")
    assert (paused["job"], paused["reason"], paused["by"]) == ("poll", "vendor maintenance", "ann")
    assert [event["by"] for event in events(tmp_path, "job_resumed")] == ["expired"]


def test_a_pause_outlives_crashes_and_reloads_and_ends_by_itself(tmp_path):
    async def tell(world, life):
        await life.daemon.pause("poll", Pause(world.clock.wall() + 3600, "broken", "ann"))
        await life.crash()
        await asyncio.sleep(60)
        life = await world.start()
        world.config.write(jobs(job(), job("more")).encode())
        await asyncio.sleep(5400)
        return life

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)
    assert [fate for _, fate in briefs(tmp_path)] == ["skipped/paused"] * 4 + ["success"] * 2


def test_a_resumed_job_runs_from_its_next_slot_on(tmp_path):
    async def tell(world, life):
        await life.daemon.pause("poll", Pause(world.clock.wall() + 80_000, "broken", "ann"))
        await asyncio.sleep(20 * 60)
        await life.daemon.resume("poll", "bob")
        await asyncio.sleep(20 * 60)
        with pytest.raises(RefusedError, match="is not paused"):
            await life.daemon.resume("poll", "bob")
        with pytest.raises(RefusedError, match="no job is named"):
            await life.daemon.pause("nope", Pause(world.clock.wall() + 1, "x", "bob"))

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)
    assert briefs(tmp_path) == [
        ("10:00", "skipped/paused"),
        ("10:15", "success"),
        ("10:30", "success"),
    ]
    assert [event["by"] for event in events(tmp_path, "job_resumed")] == ["bob"]


def test_a_pause_lets_runs_in_flight_end_and_manual_ones_start(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(61)
        await life.daemon.pause("poll", Pause(world.clock.wall() + 3600, "x", "ann"))
        await asyncio.sleep(30)
        await (await life.daemon.trigger("poll")).ended

    story(tmp_path, jobs(), "2026-11-23T09:59Z", tell, answer=slow(20))
    assert [run["outcome"] for run in records(tmp_path)] == ["success", "success"]


def test_a_slot_that_waits_for_a_permit_is_given_up_when_its_job_is_paused(tmp_path):
    async def tell(world, life):
        await asyncio.sleep(61)
        [name] = life.daemon.waiting
        await life.daemon.pause(name, Pause(world.clock.wall() + 3600, "x", "ann"))
        await asyncio.sleep(60)

    text = jobs(job("a"), job("b"))
    story(tmp_path, text, "2026-11-23T09:59Z", tell, answer=slow(20), max_in_flight=1)
    fates = sorted(brief(run)[1] for run in records(tmp_path))
    assert fates == ["skipped/paused", "success"]  # I9


# --- secrets


def test_a_missing_secret_fails_its_run_alone_and_heals_without_a_reload(tmp_path):
    env = {}

    async def tell(world, life):
        await asyncio.sleep(120)
        env["TOKEN"] = "a-secret-token"
        await asyncio.sleep(900)

    text = jobs(job("plain"), "  - name: needs\n    schedule: {interval_minutes: 15}\n"
                '    request: {url: "http://needs.example/", headers: {Authorization: "Bearer ${env:TOKEN}"}}\n')  # fmt: skip
    world = story(tmp_path, text, "2026-11-23T09:59Z", tell, env=env)
    assert briefs(tmp_path, "needs") == [("10:00", "failure/secret"), ("10:15", "success")]  # H10
    assert briefs(tmp_path, "plain") == [("10:00", "success"), ("10:15", "success")]
    assert [sent.job for sent in world.sent].count("needs") == 1
    [missing] = events(tmp_path, "secret_missing")
    assert (missing["reference"], missing["jobs"]) == ("${env:TOKEN}", ["needs"])
    assert not any(b"a-secret-token" in path.read_bytes() for path in tmp_path.glob("*.jsonl"))


def test_however_often_its_status_is_asked_a_missing_secret_is_said_once(tmp_path):
    env = {}
    text = jobs().replace("run'", "run?t=${env:TOKEN}'")

    async def tell(world, life):
        await asyncio.sleep(30)
        asked = [life.daemon.status()["secrets_missing"] for _ in range(3)]
        env["TOKEN"] = "a-secret-token"
        asked.append(life.daemon.status()["secrets_missing"])
        assert asked == [["${env:TOKEN}"]] * 3 + [[]]

    story(tmp_path, text, "2026-11-23T09:59Z", tell, env=env)
    assert len(events(tmp_path, "secret_missing")) == 1


# --- starting


def test_without_a_jobs_file_nothing_is_touched(tmp_path):
    async def live():
        clock, config = VirtualClock(0), MemoryConfig(None)
        with pytest.raises(ConfigError, match="no such file"):
            await World(tmp_path / "data", clock, config, ok).start()

    run_virtual(live())
    assert not (tmp_path / "data").exists()  # C6


def test_a_bad_file_at_a_restart_runs_the_last_good_one_loudly(tmp_path):
    async def tell(world, life):
        await life.stop()
        world.config.write(b"version: 1\njobs: 7\n")
        life = await world.start()
        await asyncio.sleep(1000)
        return life

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)
    assert [event["source"] for event in events(tmp_path, "started")] == ["file", "last_good"]
    assert len(events(tmp_path, "config_refused")) == 1
    assert briefs(tmp_path) == [("10:00", "success")]


def test_an_accepted_file_is_announced_by_the_next_start_when_a_crash_came_between(tmp_path):
    change = jobs(job(), job("more")).encode()

    async def tell(world, life):
        await life.crash()
        storage = Storage(tmp_path)
        revisions.keep(storage, change, world.config.path, world.clock.wall())
        storage.close()
        world.config.write(change)
        return await world.start()

    story(tmp_path, jobs(), "2026-11-23T09:50Z", tell)
    said = [event["revision"] for event in events(tmp_path, "config_accepted")]
    assert said == [revisions.revision_of(jobs().encode()), revisions.revision_of(change)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (jobs(job(schedule="{interval_minutes: 60}")), [("10:00", "missed/down", "10:45", 4)]),
        (jobs(job("other")), [("10:00", "missed/down", "10:45", 4)]),
        (jobs(job(more=", enabled: false")), [("10:00", "missed/down", "10:45", 4)]),
        (jobs(job(more=", timeout_seconds: 9")), [("10:00", "missed/down", "10:30", 3), ("10:45", "success")]),
    ],
)  # fmt: skip
def test_a_schedule_that_changed_while_nobody_ran_is_missed_under_the_old_one(
    tmp_path, change, expected
):
    async def tell(world, life):
        await life.crash()
        await asyncio.sleep(3300)
        world.config.write(change.encode())
        return await world.start()

    story(tmp_path, jobs(), "2026-11-23T09:55Z", tell)
    assert briefs(tmp_path) == expected  # T7
