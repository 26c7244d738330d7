"""Edits of jobs.yaml under the real watcher (rules C, F1 to F3), mostly at ten times the speed."""

import hashlib
import json
import shutil
import time

import pytest

pytestmark = pytest.mark.e2e

WAYS = ["atomic_rename", "configmap_swap", "git_sync_flip"]


def revision(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def text(job):
    """Return what makes a jobs file: one job and an edition."""
    return lambda edition, **rest: json.dumps(
        {"version": 1, "x-edition": edition, "jobs": [job("poll", **rest)]}, indent=1
    )


@pytest.fixture
def tenfold(home, fast_clock):
    """Let the daemon's time run ten times as fast."""
    home.clock = fast_clock("2026-03-08T12:00:00Z", 10)


@pytest.fixture
def started(home, chain, text):
    """A daemon that runs edition 0 at the end of a chain of links."""
    home.config = chain.path
    chain.git_sync_flip(text(0))
    home.run()
    return home


def accepted(home):
    return [event["revision"] for event in home.events("config_accepted")]


def wait_for_accepted(home, texts, seconds=30):
    expected = [revision(each) for each in texts]
    home.wait_for(lambda: len(accepted(home)) >= len(expected), "all are accepted", seconds)
    assert accepted(home) == expected


@pytest.mark.parametrize("way", WAYS)
def test_each_of_three_edits_is_taken_however_it_is_made(started, chain, text, way):
    texts = [text(0)]
    for edition in (1, 2, 3):
        texts.append(text(edition))
        getattr(chain, way)(texts[-1])
        # Well before the net reads the file, 15 s after the last time: the watcher saw it.
        wait_for_accepted(started, texts, seconds=7)


@pytest.mark.usefixtures("tenfold")
def test_a_mistake_is_said_once_and_the_next_good_file_is_taken(started, chain, text):
    bad = text(1, timeout_seconds=0)
    for way in WAYS:
        getattr(chain, way)(bad)
        time.sleep(0.3)
    refused = started.wait_for(lambda: started.events("config_refused"), "the mistake is said")
    time.sleep(2)  # twenty seconds of the daemon: the net read the file as well
    assert [event["revision"] for event in refused] == [revision(bad)]
    assert started.events("config_refused") == refused
    chain.atomic_rename(text(0))
    restored = started.wait_for(lambda: started.events("config_restored"), "what ran is back")
    assert restored[0]["revision"] == revision(text(0))
    chain.configmap_swap(text(2))
    wait_for_accepted(started, [text(0), text(2)])


@pytest.mark.usefixtures("tenfold")
def test_a_file_that_vanishes_is_refused_and_taken_when_it_comes_back(started, chain, text):
    tree = chain.path.parent.resolve()
    shutil.rmtree(tree)
    (refused,) = started.wait_for(lambda: started.events("config_refused"), "it is missed")
    assert "no such file" in refused["problems"][0]["message"]
    chain.git_sync_flip(text(1))
    wait_for_accepted(started, [text(0), text(1)])


@pytest.mark.usefixtures("tenfold")
def test_the_same_bytes_anew_are_no_event(started, chain, text):
    for way in WAYS:
        getattr(chain, way)(text(0))
        chain.path.touch()
        time.sleep(0.3)
    time.sleep(1.6)
    assert [event["event"] for event in started.events()] == ["started", "config_accepted"]


def test_a_file_written_bit_by_bit_is_taken_whole_or_not_at_all(home, job, text):
    home.config.write_text(text(0))
    home.run()
    longer = text(1, enabled=False)
    with home.config.open("w") as file:
        for at in range(0, len(longer), 40):
            file.write(longer[at : at + 40])
            file.flush()
            time.sleep(0.15)
    wait_for_accepted(home, [text(0), longer])
    assert not home.events("config_refused")


@pytest.mark.usefixtures("tenfold")
def test_a_file_that_never_rests_is_an_event_and_taken_when_it_does(home, text):
    home.config.write_text(text(0))
    home.run()
    deadline = time.monotonic() + 10
    for edition in range(1, 10_000):
        home.config.write_text(text(edition))
        time.sleep(0.01)
        if home.events("config_unsettled") or time.monotonic() > deadline:
            break
    assert accepted(home) == [revision(text(0))]
    wait_for_accepted(home, [text(0), text(edition)])
    assert len(home.events("config_unsettled")) == 1


@pytest.mark.usefixtures("tenfold")
def test_the_net_finds_an_edit_that_the_watcher_does_not_see(home, text):
    home.env |= {"WATCHFILES_FORCE_POLLING": "true", "WATCHFILES_POLL_DELAY_MS": "6000000"}
    home.config.write_text(text(0))
    home.run()
    home.config.write_text(text(1))
    wait_for_accepted(home, [text(0), text(1)], seconds=20)


def test_a_job_that_is_disabled_starts_no_more(home, job, server, fast_clock):
    home.clock = fast_clock("2026-03-08T12:00:00Z")
    home.declare(job("poll", interval_minutes=1), job("other", interval_minutes=1))
    home.run()
    home.wait_for(lambda: len(server.requests) >= 4, "both run")
    home.declare(job("poll", interval_minutes=1, enabled=False), job("other", interval_minutes=1))
    home.wait_for(lambda: len(home.events("config_accepted")) == 2, "the edit is taken")
    event = home.events("config_accepted")[-1]
    assert event["paused"] == ["poll"]
    before = len(server.requests)
    home.wait_for(lambda: len(server.requests) >= before + 3, "the other one runs on")
    since = event["at"]
    assert {r.run[0] for r in server.requests if r.run[1] > since} == {"other"}
