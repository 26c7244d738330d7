"""How `sinkd run` starts: what it reads, what it refuses to start on, and with which exit code."""

import hashlib
import os

import pytest

pytestmark = pytest.mark.e2e

BROKEN = "version: 1\njobs:\n  - name: poll\n    schedule: {interval_minutes: 99999}\n"


def revision(home):
    return hashlib.sha256(home.config.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text(""), "jobs.yaml:1:1"),
        (lambda path: path.write_text("version: ["), "jobs.yaml:"),
        (lambda path: path.write_text(BROKEN), "jobs.yaml:4:"),
        (os.mkfifo, "is a FIFO"),
    ],
    ids=["missing", "a directory", "empty", "not YAML", "a wrong value", "a FIFO"],
)
def test_without_a_valid_file_nothing_is_created_and_the_exit_code_is_78(home, make, says):
    make(home.config)
    process = home.start()
    assert process.ended() == 78
    assert says in process.stderr_text()
    assert not home.data_dir.exists()


def test_after_a_bad_file_the_last_good_one_runs_and_the_file_is_taken_once_it_is_right(home, job):
    home.declare(job("poll"))
    good = revision(home)
    assert home.run().stop() == 0
    home.config.write_text(BROKEN)
    bad = revision(home)
    process = home.run()
    assert home.events("started")[-1]["source"] == "last_good"
    assert f"{home.config}:4:" in process.stderr_text()
    (refused,) = home.wait_for(lambda: home.events("config_refused"), "the refusal is an event")
    assert refused["revision"] == bad
    assert {problem["line"] for problem in refused["problems"]} >= {4}
    accepted = [event["revision"] for event in home.events("config_accepted")]
    assert accepted == [good]
    home.declare(job("poll"), job("more"))
    home.wait_for(lambda: home.events("config_accepted")[1:], "the right file is accepted")
    assert home.events("config_accepted")[-1]["added"] == ["more"]
    assert process.stop() == 0


@pytest.mark.parametrize("why", ["--no-last-good", "another path"])
def test_a_last_good_file_is_not_used(home, job, why):
    home.declare(job("poll"))
    assert home.run().stop() == 0
    before = home.events()
    if why == "another path":
        home.config = home.path / "other.yaml"
    home.config.write_text(BROKEN)
    process = home.start(*([why] if why.startswith("--") else []))
    assert process.ended() == 78
    assert home.events() == before


def test_a_second_daemon_ends_with_4_names_the_first_and_touches_nothing(home, job):
    home.declare(job("poll"))
    first = home.run()
    home.wait_for(lambda: home.events("config_accepted"), "it has said all that it says at a start")
    names = ("runs.jsonl", "events.jsonl", "accepted.json", "sinkd.lock")
    before = [(home.data_dir / name).read_bytes() for name in names]
    second = home.start()
    assert second.ended() == 4
    assert f"pid {first.pid}" in second.stderr_text()
    assert [(home.data_dir / name).read_bytes() for name in names] == before
    assert home.command("trigger", "poll").returncode == 0, "the first one still answers"
    assert first.stop() == 0


def test_a_directory_that_cannot_hold_the_log_ends_with_74(home, job):
    home.declare(job("poll"))
    home.data_dir.write_text("in the way")
    process = home.start()
    assert process.ended() == 74
    assert str(home.data_dir) in process.stderr_text()


def test_a_newer_journal_ends_with_78(home, job):
    from sinkd import journal

    home.declare(job("poll"))
    home.data_dir.mkdir(mode=0o750)
    newer = {"seq": 1, "entry": "version", "format": journal.FORMAT + 1}
    (home.data_dir / journal.FILE).write_bytes(journal.encode(newer))
    process = home.start()
    assert process.ended() == 78
    assert "upgrade sinkd" in process.stderr_text()


def test_files_are_private_but_the_log_is_for_the_group(home, job):
    home.declare(job("poll"))
    home.run(umask=0o022)
    home.command("trigger", "poll")
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.data_dir.iterdir()}
    assert home.data_dir.stat().st_mode & 0o777 == 0o750
    public = {"runs.jsonl", "events.jsonl"}
    assert {modes.pop(name) for name in public} == {0o640}
    assert modes.pop("revisions") in {0o700, 0o750}
    assert set(modes.values()) == {0o600}, modes


# --- secrets ------------------------------------------------------------------------------------


@pytest.fixture
def secretive(job):
    """A job that needs the file secret `token`."""
    return job("secretive", request={"headers": {"Authorization": "Bearer ${file:token}"}})


def test_check_secrets_ends_with_78_and_names_the_reference(home, secretive):
    home.declare(secretive)
    process = home.start("--check-secrets", "--secrets-dir", str(home.path))
    assert process.ended() == 78
    assert "${file:token}" in process.stderr_text()
    assert not home.data_dir.exists()
    (home.path / "token").write_text("s3cret-value\n")
    assert home.run("--check-secrets", "--secrets-dir", str(home.path)).stop() == 0


def test_a_missing_secret_fails_its_job_alone_until_its_file_is_there(home, job, secretive, server):
    home.declare(secretive, job("poll"))
    process = home.run("--secrets-dir", str(home.path))
    (missing,) = home.wait_for(lambda: home.events("secret_missing"), "the secret is missed")
    assert (missing["reference"], missing["jobs"]) == ("${file:token}", ["secretive"])
    failed = home.command("trigger", "secretive")
    assert failed.returncode == 1
    assert "failure/secret" in failed.stdout
    assert home.command("trigger", "poll").returncode == 0
    assert [request.path for request in server.requests] == ["/poll"]
    (home.path / "token").write_text("s3cret-value\n")
    assert home.command("trigger", "secretive").returncode == 0
    assert server.requests[-1].headers["authorization"] == "Bearer s3cret-value"
    assert len(home.events("secret_missing", "config_accepted")) == 2, "said once, no reload"
    assert process.stop() == 0
    written = b"".join(path.read_bytes() for path in home.data_dir.rglob("*") if path.is_file())
    assert b"s3cret-value" not in written + process.said.read_bytes()


# --- another user -------------------------------------------------------------------------------


def test_a_file_that_another_user_may_not_read_ends_with_78(home, job, nobodys):
    home.declare(job("poll"))
    home.config.chmod(0o600)
    process = home.start(prefix=nobodys)
    assert process.ended() == 78
    assert f"{home.config} cannot be read: permission denied" in process.stderr_text()
    assert not home.data_dir.exists()


def test_a_file_that_becomes_unreadable_is_refused_and_restored(home, job, nobodys):
    home.declare(job("poll"))
    process = home.run(prefix=nobodys)
    home.config.chmod(0o600)
    (refused,) = home.wait_for(lambda: home.events("config_refused"), "the file is refused")
    assert refused["revision"] is None
    assert "permission denied" in refused["problems"][0]["message"]
    assert home.command("trigger", "poll").returncode == 0
    home.config.chmod(0o644)
    home.wait_for(lambda: home.events("config_restored"), "the file is restored")
    assert len(home.events("config_refused", "config_accepted")) == 2
    assert process.stop() == 0


def test_a_member_of_the_group_reads_beside_a_running_daemon_and_changes_nothing(
    home, job, nobodys, program
):
    home.declare(job("poll"))
    process = home.run(prefix=nobodys)
    assert home.command("trigger", "poll").returncode == 0
    home.path.chmod(0o750)
    group = home.path.stat().st_gid
    as_reader = [program("setpriv"), f"--reuid={group - 1}", f"--regid={group}", "--clear-groups"]
    before = {path: path.stat().st_mtime_ns for path in home.data_dir.rglob("*.jsonl")}
    for words in (["report"], ["tail"], ["why", "poll", "00:00"], ["audit"], ["status"]):
        done = home.command(*words, prefix=as_reader)
        assert done.stdout
        assert "no daemon runs" not in done.stdout
        assert not done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert process.stop() == 0
