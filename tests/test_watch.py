"""Hints that the jobs file may have changed: which directories are watched, and what hints (F1, C1, C5)."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sinkd import watch
from sinkd.errors import UsageError
from sinkd.watch import FileWatch, watched_directories


def make(path, text="version: 1\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# --- the chain ----------------------------------------------------------------------------------


def test_of_a_plain_file_its_directory_is_watched(tmp_path):
    assert watched_directories(make(tmp_path / "etc" / "jobs.yaml")) == {tmp_path / "etc"}


def test_a_relative_path_is_watched_where_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    assert watched_directories(Path("jobs.yaml")) == {tmp_path}
    assert watched_directories(Path("sub/../jobs.yaml")) == {tmp_path}


def test_of_a_linked_file_both_ends_are_watched(tmp_path):
    make(tmp_path / "real" / "jobs.yaml")
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "jobs.yaml"
    link.symlink_to("../real/jobs.yaml")
    assert watched_directories(link) == {tmp_path / "etc", tmp_path / "real"}


def config_map(tmp_path, version="..2026_1"):
    """Lay out a mounted ConfigMap: jobs.yaml -> ..data/jobs.yaml, ..data -> ..2026_1."""
    mount = tmp_path / "mount"
    make(mount / version / "jobs.yaml")
    (mount / "..data").symlink_to(version)
    (mount / "jobs.yaml").symlink_to("..data/jobs.yaml")
    return mount


def test_of_a_config_map_the_mount_and_its_version_are_watched(tmp_path):
    mount = config_map(tmp_path)
    assert watched_directories(mount / "jobs.yaml") == {mount, mount / "..2026_1"}


def git_sync(tmp_path, commit="abc"):
    """Lay out git-sync: current -> .worktrees/abc, with the file within."""
    root = tmp_path / "git"
    make(root / ".worktrees" / commit / "deploy" / "jobs.yaml")
    (root / "current").symlink_to(f".worktrees/{commit}")
    return root


def test_of_git_sync_the_links_directory_and_the_worktrees_are_watched(tmp_path):
    root = git_sync(tmp_path)
    path = root / "current" / "deploy" / "jobs.yaml"
    assert watched_directories(path) == {root, root / ".worktrees" / "abc" / "deploy"}


def test_a_link_below_a_link_is_followed_from_where_it_really_is(tmp_path):
    root = git_sync(tmp_path)
    real = root / ".worktrees" / "abc"
    make(real / "common" / "jobs.yaml")
    path = root / "current" / "deploy" / "linked.yaml"
    (real / "deploy" / "linked.yaml").symlink_to("../common/jobs.yaml")
    assert watched_directories(path) == {root, real / "deploy", real / "common"}


def test_dots_behind_a_link_are_those_of_its_target(tmp_path):
    make(tmp_path / "a" / "jobs.yaml")
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "link").symlink_to("a/b")
    assert watched_directories(tmp_path / "link" / ".." / "jobs.yaml") == {tmp_path, tmp_path / "a"}


def test_an_absolute_target_is_followed(tmp_path):
    real = make(tmp_path / "real" / "jobs.yaml")
    link = tmp_path / "jobs.yaml"
    link.symlink_to(real)
    assert watched_directories(link) == {tmp_path, tmp_path / "real"}


def test_the_nearest_directory_stands_for_missing_ones(tmp_path):
    assert watched_directories(tmp_path / "a" / "b" / "jobs.yaml") == {tmp_path}
    (tmp_path / "jobs.yaml").symlink_to("gone/jobs.yaml")
    assert watched_directories(tmp_path / "jobs.yaml") == {tmp_path}


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert watched_directories(tmp_path / "a") == {tmp_path}


def test_every_path_the_kernel_resolves_ends_in_the_watched_set(tmp_path):
    root = git_sync(tmp_path)
    (tmp_path / "etc").symlink_to("git")
    path = tmp_path / "etc" / "current" / "deploy" / "jobs.yaml"
    watched = watched_directories(path)
    assert Path(os.path.realpath(path)).parent in watched
    assert watched == {tmp_path, root, root / ".worktrees" / "abc" / "deploy"}


# --- reading --------------------------------------------------------------------------------------


def test_the_bytes_are_read_through_links_and_a_missing_file_is_a_usage_error(tmp_path):
    mount = config_map(tmp_path)
    assert FileWatch(mount / "jobs.yaml").read() == b"version: 1\n"
    with pytest.raises(UsageError, match="gone"):
        FileWatch(tmp_path / "gone.yaml").read()


# --- hints, from the real watcher ---------------------------------------------------------------------


class Hints:
    """Collects hints; `next` waits for one, and fails when none comes."""

    def __init__(self, path):
        self.came = asyncio.Event()
        self.task = asyncio.create_task(self._collect(FileWatch(path)))

    async def _collect(self, file):
        async for _ in file.hints():
            self.came.set()

    async def next(self):
        async with asyncio.timeout(5):
            await self.came.wait()
        self.came.clear()

    async def settle(self):
        """Let hints of the same change come in."""
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(0.15):
                    await self.came.wait()
                self.came.clear()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Let the first hint come sooner."""
    monkeypatch.setattr(watch, "_CHAIN_MILLISECONDS", 50)


def hinted(path, *changes):
    """Fail unless the watcher hints at its beginning and after each change."""

    async def live():
        hints = Hints(path)
        await hints.next()
        for change in changes:
            await hints.settle()
            change()
            await hints.next()
        hints.task.cancel()

    asyncio.run(live())


def replaced(path, text):
    def change():
        make(path.with_name("new"), text).rename(path)

    return change


def relinked(link, target):
    def change():
        link.with_name("new").symlink_to(target)
        link.with_name("new").rename(link)

    return change


def test_atomic_replacements_are_hinted_at_one_after_the_other(tmp_path):
    path = make(tmp_path / "jobs.yaml")
    hinted(path, replaced(path, "two"), replaced(path, "three"), lambda: path.write_text("four"))


def test_swaps_of_a_config_map_are_hinted_at_one_after_the_other(tmp_path):
    mount = config_map(tmp_path)
    for version in ("..2026_2", "..2026_3"):
        make(mount / version / "jobs.yaml", version)
    swaps = [relinked(mount / "..data", version) for version in ("..2026_2", "..2026_3")]
    hinted(mount / "jobs.yaml", *swaps)


def test_flips_of_git_sync_are_hinted_at_and_then_edits_in_the_new_worktree(tmp_path):
    root = git_sync(tmp_path)
    new = make(root / ".worktrees" / "def" / "deploy" / "jobs.yaml", "two")
    flip = relinked(root / "current", ".worktrees/def")
    hinted(root / "current" / "deploy" / "jobs.yaml", flip, lambda: new.write_text("three"))


def test_a_directory_that_comes_later_and_is_made_anew_is_watched(tmp_path):
    path = tmp_path / "etc" / "jobs.yaml"

    def again():
        path.unlink()
        path.parent.rmdir()
        make(path, "two")

    hinted(path, lambda: make(path), again, replaced(path, "three"))


@pytest.mark.parametrize("error", [FileNotFoundError(2, "gone"), RuntimeError("rust")])
def test_a_watcher_that_dies_is_said_and_tried_again_while_the_file_is_still_polled(
    tmp_path, monkeypatch, error
):
    monkeypatch.setattr(watch, "POLL_SECONDS", 0)
    real, failures = watch.watched_directories, [error, error]

    def failing(path):
        if failures:
            raise failures.pop()
        return real(path)

    monkeypatch.setattr(watch, "watched_directories", failing)
    path = make(tmp_path / "jobs.yaml")

    async def live():
        hints = FileWatch(path).hints()
        async with asyncio.timeout(5):
            for _ in range(3):
                await anext(hints)
        await hints.aclose()

    with capture_logs() as logs:
        asyncio.run(live())
    told = [(log["event"], log["error"]) for log in logs]
    assert told == [("watch_failed", type(error).__name__)] * 2
