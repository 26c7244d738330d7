"""The git commit of an accepted jobs file, asked from real repositories."""

import os
import subprocess

import pytest

from sinkd import git
from sinkd.commit import find_commit

DATA = b"version: 1\njobs: []\n"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("GIT_") or name == "SINKD_COMMIT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def repository(tmp_path, program):
    """Make a repository with a committed jobs file in a folder of it; return its root and a runner."""
    root = tmp_path / "repository"
    (root / "deploy").mkdir(parents=True)
    (root / "deploy" / "jobs.yaml").write_bytes(DATA)

    def run(*arguments, at=root):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        command = [program("git"), "-C", str(at), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "-q")
    run("add", ".")
    run("commit", "-q", "-m", "jobs")
    return root, run


def test_a_committed_file_has_the_commit_of_head(repository):
    root, run = repository
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) == run("rev-parse", "HEAD")


def test_a_link_is_followed_to_the_worktree_that_holds_the_file(repository, tmp_path):
    root, run = repository
    (tmp_path / "jobs.yaml").symlink_to(root / "deploy" / "jobs.yaml")
    assert find_commit(tmp_path / "jobs.yaml", DATA) == run("rev-parse", "HEAD")


def test_a_worktree_with_a_git_file_counts(repository, tmp_path):
    root, run = repository
    other = tmp_path / "other"
    run("worktree", "add", "-q", "-b", "other", str(other))
    (other / "deploy" / "jobs.yaml").write_bytes(DATA + b"# more\n")
    run("commit", "-q", "-a", "-m", "more", at=other)
    assert (other / ".git").is_file()
    found = find_commit(other / "deploy" / "jobs.yaml", DATA + b"# more\n")
    assert found == run("rev-parse", "other")
    assert found != find_commit(root / "deploy" / "jobs.yaml", DATA)


@pytest.mark.parametrize("data", [DATA + b"# edited\n", b"", DATA.replace(b"\n", b"\r\n")])
def test_bytes_that_are_not_those_of_head_have_no_commit(repository, data):
    root, _ = repository
    assert find_commit(root / "deploy" / "jobs.yaml", data) is None


def test_a_file_that_head_does_not_have_has_no_commit(repository):
    root, run = repository
    (root / "new.yaml").write_bytes(DATA)
    assert find_commit(root / "new.yaml", DATA) is None
    run("add", ".")
    assert find_commit(root / "new.yaml", DATA) is None


def test_a_repository_without_a_commit_has_none(tmp_path, program):
    subprocess.run([program("git"), "init", "-q", tmp_path], check=True)
    (tmp_path / "jobs.yaml").write_bytes(DATA)
    assert find_commit(tmp_path / "jobs.yaml", DATA) is None


def test_outside_of_a_worktree_there_is_no_commit(tmp_path):
    (tmp_path / "jobs.yaml").write_bytes(DATA)
    assert find_commit(tmp_path / "jobs.yaml", DATA) is None


def test_without_git_there_is_no_commit(repository, monkeypatch, tmp_path):
    root, _ = repository
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) is None


def test_a_commit_that_is_given_needs_no_git(monkeypatch, tmp_path):
    monkeypatch.setenv("SINKD_COMMIT", "c0ffee")
    assert find_commit(tmp_path / "jobs.yaml", DATA) == "c0ffee"


def test_a_git_that_hangs_is_left_alone(repository, monkeypatch, tmp_path):
    root, _ = repository
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(git.ask, "__kwdefaults__", {"timeout_seconds": 0.1})
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_another_user_is_trusted(repository):
    root, run = repository
    head = run("rev-parse", "HEAD")
    for path in (root, root / ".git"):
        os.chown(path, 12_345, -1)
    with pytest.raises(subprocess.CalledProcessError):
        run("rev-parse", "HEAD")
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) == head


def test_a_variable_of_git_that_was_inherited_points_nowhere_else(
    repository, monkeypatch, tmp_path
):
    root, run = repository
    elsewhere = tmp_path / "elsewhere"
    run("init", "-q", str(elsewhere))
    head = run("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) == head


# --- a repository cannot make git run programs -------------------------------------------------------


@pytest.fixture
def marker(tmp_path):
    """Give a program that leaves a mark when it is run."""
    mark = tmp_path / "it-ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    return program, mark


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "diff.external",
        "core.hooksPath",
        "core.sshCommand",
    ],
)
def test_a_setting_of_the_repository_runs_no_program(repository, marker, setting):
    root, run = repository
    program, mark = marker
    head = run("rev-parse", "HEAD")
    run("config", setting, str(program))
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) == head
    assert not mark.exists()


@pytest.mark.parametrize("url", ["ssh://localhost/x", "ext::{program} %S", "file:///nowhere", "."])
def test_an_object_that_is_missing_is_not_fetched_by_a_program_of_the_repository(
    repository, marker, url
):
    root, run = repository
    program, mark = marker
    blob = run("rev-parse", "HEAD:deploy/jobs.yaml")
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for name, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": url.format(program=program),
        "remote.origin.uploadpack": str(program),
        "core.sshCommand": str(program),
        "protocol.ext.allow": "always",
    }.items():
        run("config", name, value)
    assert find_commit(root / "deploy" / "jobs.yaml", DATA) is None
    assert not mark.exists()
