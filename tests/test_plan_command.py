"""`sinkd plan`: what it is compared with, and its exit codes."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sinkd.commands.plan import run_command
from sinkd.errors import UsageError
from sinkd.instant import parse_rfc3339
from sinkd.settings import Settings

NOW = parse_rfc3339("2026-11-23T10:02:40Z")
REVISION = "3f2c1a9b07d4" + "0" * 52


def job(name, minutes=30, **fields):
    listed = "".join(f"    {key}: {value}\n" for key, value in fields.items())
    return (
        f"  - name: {name}\n    schedule: {{interval_minutes: {minutes}}}\n"
        f'    request: {{url: "https://{name}.example.com/"}}\n{listed}'
    )


def jobs(*listed):
    return "version: 1\njobs:\n" + "".join(listed)


class Repository:
    """A git worktree with a jobs file, of which each version is a commit."""

    def __init__(self, path, git):
        self.path, self.program = path, git

    def git(self, *arguments):
        command = [self.program, "-C", self.path, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, text, message="change"):
        (self.path / "jobs.yaml").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")[:7]

    def clone(self, path, *options, default="main"):
        self.git("symbolic-ref", "HEAD", f"refs/heads/{default}")
        url = f"file://{self.path}"  # only a URL is cloned with a depth
        command = [self.program, "clone", "-q", *options, url, path]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        return Repository(path, self.program)


@pytest.fixture(autouse=True)
def of_nobody(monkeypatch):
    """Keep git from the settings of this machine, and from the repository of a hook."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "SINKD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "ann")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ann@example.com")


FIRST = jobs(job("kept"), job("changed"), job("removed"), job("disabled"), job("old-name"))
SECOND = jobs(
    job("kept"), job("changed", 15), job("added"), job("disabled", enabled="false"),
    job("old-name").replace("name: old-name", "name: new-name"),
)  # fmt: skip
THIRD = jobs(
    "  # moved, and quoted\n",
    job("added").replace("name: added", 'name: "added"'),
    *SECOND.removeprefix("version: 1\njobs:\n").split(job("added")),
)


@pytest.fixture
def repository(tmp_path, program):
    """Make a repository whose main has one commit and whose branch has two more."""
    path = tmp_path / "repository"
    path.mkdir()
    repository = Repository(path, program("git"))
    repository.git("init", "-q", "-b", "main")
    repository.base = repository.commit(FIRST)
    repository.git("checkout", "-q", "-b", "change")
    repository.second = repository.commit(SECOND)
    repository.third = repository.commit(THIRD)
    repository.git("checkout", "-q", "--detach")
    return repository


@pytest.fixture
def plan(capsys):
    def plan(place, *, code=0, **options):
        path = place.path if isinstance(place, Repository) else place
        settings = Settings(config=path / "jobs.yaml")
        assert run_command(settings, now=NOW, **options) == code
        return capsys.readouterr().out

    return plan


def listed(text):
    shown = json.loads(text)
    kinds = ("added", "changed", "removed", "renamed")
    return {kind: [each["job"] for each in shown[kind]] for kind in kinds}


CHANGES = {
    "added": ["added"],
    "changed": ["changed", "disabled"],
    "removed": ["removed"],
    "renamed": ["new-name"],
}


def test_without_a_base_the_file_is_compared_with_the_merge_base(plan, repository):
    repository.git("checkout", "-q", "main")
    repository.commit(jobs(job("elsewhere")))
    repository.git("checkout", "-q", "change")
    first = plan(repository).splitlines()[0]
    assert first == f"jobs.yaml against the merge base with main ({repository.base})"
    assert listed(plan(repository, output_format="json")) == CHANGES


def test_the_remote_default_branch_comes_before_a_local_one(plan, repository, tmp_path):
    repository.git("branch", "-m", "main", "trunk")
    clone = repository.clone(tmp_path / "clone", default="trunk")
    clone.git("checkout", "-q", "-b", "main", "origin/change")
    first = plan(clone).splitlines()[0]
    assert first == f"jobs.yaml against the merge base with origin/trunk ({repository.base})"


@pytest.mark.parametrize("base", ["main", "change~2", "HEAD^^"])
def test_a_base_may_be_any_name_of_a_commit(plan, repository, base):
    text = plan(repository, base=base)
    assert text.startswith(f"jobs.yaml against {base} ({repository.base})\n")
    assert "Plan: 1 to add, 2 to change, 1 to rename, 1 to remove, 1 unchanged." in text


def test_commits_that_only_move_and_quote_change_no_job(plan, repository):
    text = plan(repository, base=repository.second)
    assert text.endswith("\n\nNo changes. The text differs, the jobs do not.\n")
    assert plan(repository, base="HEAD").endswith("\n\nNo changes.\n")


def test_a_commit_without_the_file_has_no_jobs(plan, repository):
    repository.git("checkout", "-q", "--orphan", "empty")
    repository.git("rm", "-q", "-f", "jobs.yaml")
    repository.git("commit", "-q", "--allow-empty", "-m", "empty")
    repository.commit(FIRST)
    text = plan(repository, base="HEAD~1")
    assert "), which has no jobs.yaml\n" in text
    assert "Plan: 5 to add, 0 to change, 0 to remove, 0 unchanged." in text


def test_a_link_is_compared_with_the_file_that_it_leads_to(plan, repository, tmp_path):
    (tmp_path / "jobs.yaml").symlink_to(repository.path / "jobs.yaml")
    assert listed(plan(tmp_path, output_format="json")) == CHANGES


def test_a_worktree_of_somebody_else_is_read(plan, repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert listed(plan(repository, output_format="json")) == CHANGES


def test_a_shallow_clone_says_what_to_do_and_that_helps(plan, repository, tmp_path):
    clone = repository.clone(tmp_path / "clone", "--depth", "1", "--branch", "change")
    with pytest.raises(UsageError, match=r"`git fetch --unshallow`.*`fetch-depth: 0`") as refused:
        plan(clone)
    assert refused.value.exit_code == 2
    clone.git("fetch", "-q", "--unshallow")
    with pytest.raises(UsageError) as refused:
        plan(clone)
    command = "git fetch origin main:refs/remotes/origin/main"
    assert f"run `{command}`" in str(refused.value)
    clone.git(*command.split()[1:])
    assert listed(plan(clone, output_format="json")) == CHANGES


def test_a_clone_too_shallow_for_a_merge_base_says_what_to_do(plan, repository, tmp_path):
    clone = repository.clone(
        tmp_path / "clone", "--depth", "1", "--no-single-branch", "--branch", "change"
    )
    with pytest.raises(UsageError, match="HEAD and origin/main have no commit in common in this "):
        plan(clone)
    clone.git("fetch", "-q", "--unshallow")
    assert listed(plan(clone, output_format="json")) == CHANGES


def test_outside_of_git_a_base_must_be_named(plan, tmp_path):
    (tmp_path / "jobs.yaml").write_text(FIRST)
    (tmp_path / "new").mkdir()
    (tmp_path / "new/jobs.yaml").write_text(THIRD)
    with pytest.raises(UsageError, match=r"is in no git worktree: name .* `--base old.yaml`"):
        plan(tmp_path)
    old = str(tmp_path / "jobs.yaml")
    assert plan(tmp_path / "new", base=old).startswith(f"jobs.yaml against {old}\n")
    assert listed(plan(tmp_path / "new", base=old, output_format="json")) == CHANGES


def test_a_commit_comes_before_a_file_of_the_same_name(plan, repository, monkeypatch):
    monkeypatch.chdir(repository.path)
    (repository.path / "main").write_text(THIRD)
    assert listed(plan(repository, base="main", output_format="json")) == CHANGES
    assert "No changes." in plan(repository, base="./main")


def test_a_file_that_moved_is_compared_with_its_old_place(plan, repository):
    (repository.path / "new").mkdir()
    (repository.path / "jobs.yaml").rename(repository.path / "new/jobs.yaml")
    shown = plan(repository.path / "new", base="main:jobs.yaml", output_format="json")
    assert listed(shown) == CHANGES
    with pytest.raises(UsageError, match=r"^git cannot read main:$"):
        plan(repository.path / "new", base="main:")


@pytest.mark.parametrize("base", ["no-such", "--since=1", "", "HEAD:no.yaml", "\x1b[2J"])
def test_what_is_neither_commit_nor_file_nor_url_is_named(plan, repository, base):
    with pytest.raises(UsageError, match=r"` is no commit here, no file and no URL$") as refused:
        plan(repository, base=base)
    assert "\x1b" not in str(refused.value)


def test_a_repository_without_a_default_branch_says_so(plan, repository):
    repository.git("branch", "-q", "-D", "main")
    with pytest.raises(UsageError, match="there is no branch `main` or `master`: name another"):
        plan(repository)
    repository.git("remote", "add", "origin", "no-such-place")
    with pytest.raises(UsageError, match="the default branch is not in this clone"):
        plan(repository)


@pytest.mark.parametrize("base", [None, "main"])
def test_git_that_is_not_there_is_named(plan, repository, monkeypatch, base):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="git is not installed, or cannot read"):
        plan(repository, base=base)


def test_with_exit_code_a_change_is_1_and_none_is_0(plan, repository):
    plan(repository, exit_code=True, code=1)
    plan(repository, exit_code=True, code=0, base=repository.second)


def test_both_sides_that_are_not_valid_are_shown(plan, repository, capsys):
    broken = repository.commit("version: 1\njobs: 3\n")
    (repository.path / "jobs.yaml").write_text("version: 1\njobs: {}\n")
    with pytest.raises(UsageError, match=rf"no plan: {broken}:jobs.yaml and .*jobs.yaml cannot"):
        plan(repository, base=broken)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"--> {broken}:jobs.yaml:2:7\n" in shown.err
    assert f"--> {repository.path}/jobs.yaml:2:7\n" in shown.err


def test_a_file_that_is_missing_now_is_named(plan, repository):
    (repository.path / "jobs.yaml").unlink()
    with pytest.raises(UsageError, match=r"jobs.yaml: no such file"):
        plan(repository)


def test_the_command_line_reaches_the_command(repository):
    command = [sys.executable, "-m", "sinkd", "plan", "--exit-code", "-o", "markdown"]
    done = subprocess.run(
        command, cwd=repository.path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("<!-- sinkd-plan: jobs.yaml -->\n### sinkd plan: 1 to add, ")
    assert f"<code>{repository.base}</code> → <code>{repository.third}</code>" in done.stdout


@pytest.fixture
def daemon():
    """Serve one recorded answer, and keep the requests."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append((self.path, self.headers["Authorization"]))
            self.send_response(self.server.status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(self.server.answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.requests, server.status = [], 200
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def config(text, *paused):
    return json.dumps(
        {"revision": REVISION, "commit": None, "text": text, "paused": list(paused)}
    ).encode()


HELD = {"job": "kept", "until": "2026-11-23T14:30:00Z", "reason": "vendor", "by": "ann"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "jobs.yaml").write_text(THIRD)
    return tmp_path


def test_a_daemon_that_runs_the_file_is_in_sync(plan, folder, daemon):
    daemon.answer = config(THIRD, HELD)
    assert plan(folder, base=daemon.url + "/") == (
        f"jobs.yaml against {daemon.url}/\n\nIn sync (3f2c1a9b07d4)\n"
        "kept is paused until 14:30 UTC by ann: vendor\n"
    )
    assert daemon.requests == [("/api/v1/config", None)]


def test_a_daemon_that_runs_other_jobs_is_out_of_sync(plan, folder, daemon):
    daemon.answer = config(FIRST, HELD) + b"\n"
    assert "\nOut of sync: 5 jobs differ\n" in plan(folder, base=daemon.url, exit_code=True, code=1)
    shown = plan(folder, base=daemon.url, output_format="json")
    assert listed(shown) == CHANGES
    assert json.loads(shown)["paused"] == [HELD]


def test_a_token_is_sent_and_never_to_another_address(plan, folder, daemon):
    (folder / "token").write_text("s3cret\n")
    daemon.status, daemon.answer = 302, b""
    with pytest.raises(UsageError, match=r"/api/v1/config answers with status 302$"):
        plan(folder, base=daemon.url, auth_token_file=folder / "token")
    assert daemon.requests == [("/api/v1/config", "Bearer s3cret")]


@pytest.mark.parametrize("text", ["", "two words", "a\r\nX-Evil: 1", "\xe9"])
def test_a_token_that_cannot_be_sent_is_named_by_its_file(plan, folder, text):
    (folder / "token").write_text(text)
    with pytest.raises(UsageError, match="token cannot be read, or is not one line with a token"):
        plan(folder, base="http://127.0.0.1:9", auth_token_file=folder / "token")


def test_a_token_without_a_daemon_is_wrong_usage(plan, folder):
    with pytest.raises(UsageError, match="`--auth-token-file` is for a daemon"):
        plan(folder, base=str(folder / "jobs.yaml"), auth_token_file=folder / "token")


@pytest.mark.parametrize(
    ("recorded", "sentence"),
    [
        ((401, b""), "answers with status 401; give its token with `--auth-token-file`"),
        ((503, b""), "answers with status 503"),
        ((200, b"<html>"), "answers, but not as a sinkd daemon does: is this its address?"),
        ((200, b"{}"), "answers, but not as a sinkd daemon does: is this its address?"),
        ((200, config("", HELD | {"until": "noon"})), "answers, but not as a sinkd daemon does"),
    ],
)
def test_an_answer_of_another_kind_is_named(plan, folder, daemon, recorded, sentence):
    daemon.status, daemon.answer = recorded
    with pytest.raises(UsageError) as refused:
        plan(folder, base=daemon.url)
    assert sentence in str(refused.value)


def test_a_daemon_that_does_not_answer_is_named(plan, folder):
    with pytest.raises(
        UsageError, match=r"http://127.0.0.1:1/api/v1/config does not answer: connection refused$"
    ):
        plan(folder, base="http://127.0.0.1:1")


def test_a_url_with_a_password_is_refused(plan, folder):
    with pytest.raises(UsageError) as refused:
        plan(folder, base="http://ann:s3cret@127.0.0.1:1")
    assert "s3cret" not in str(refused.value)
