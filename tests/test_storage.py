"""The files of the data directory: modes, links, the lock, whole-file replacement (R7, R11)."""

import errno
import fcntl
import os
import stat

import pytest

from sinkd.errors import LockedError, LogUnusableError
from sinkd.storage import PRIVATE_MODE, Storage, is_locked, sync_file


@pytest.fixture
def storage(tmp_path):
    opened = Storage(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


# --- modes ------------------------------------------------------------------------------------


def test_modes_are_those_of_the_contract_under_any_umask(umask, tmp_path):
    storage = Storage(tmp_path / "some" / "data")
    storage.lock()
    storage.append("runs.jsonl", b"x\n")
    storage.append("journal.jsonl", b"x\n", PRIVATE_MODE)
    storage.reserve("reserve", 10)
    storage.make_directory("revisions")
    storage.replace("revisions/1.yaml", b"x")
    storage.replace("runs.summary.json", b"x", 0o640)
    storage.close()
    found = {path.name: mode(path) for path in storage.path.rglob("*")}
    assert found == {
        ".gitignore": "0o600",
        "sinkd.lock": "0o600",
        "runs.jsonl": "0o640",
        "journal.jsonl": "0o600",
        "reserve": "0o600",
        "revisions": "0o750",
        "1.yaml": "0o600",
        "runs.summary.json": "0o640",
    }
    assert mode(storage.path) == "0o750"


def test_the_mode_that_an_operator_gave_is_kept(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "runs.jsonl").touch(mode=0o600)
    storage = Storage(data)
    storage.append("runs.jsonl", b"x\n")
    storage.close()
    assert (mode(data), mode(data / "runs.jsonl")) == ("0o700", "0o600")


def test_the_directory_keeps_itself_out_of_git(storage):
    assert (storage.path / ".gitignore").read_text() == "*\n"


# --- what is refused --------------------------------------------------------------------------


def test_a_directory_that_everyone_can_write_is_refused_without_sticky_bit(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(LogUnusableError, match="can be written by everyone; run `chmod o-w"):
        Storage(tmp_path)
    tmp_path.chmod(0o1777)
    Storage(tmp_path).close()


@pytest.mark.parametrize("target", ["there", "missing"])
def test_a_file_that_is_a_symbolic_link_is_refused(storage, target):
    (storage.path / "there").touch()
    (storage.path / "runs.jsonl").symlink_to(storage.path / target)
    with pytest.raises(LogUnusableError, match=r"runs\.jsonl is a symbolic link"):
        storage.append("runs.jsonl", b"x\n")
    assert not (storage.path / "missing").exists()
    assert (storage.path / "there").read_bytes() == b""


def test_what_is_no_regular_file_is_refused(storage):
    os.mkfifo(storage.path / "runs.jsonl")
    with pytest.raises(LogUnusableError, match="not a regular file; move it away"):
        storage.append("runs.jsonl", b"x\n")
    (storage.path / "events.jsonl").mkdir()
    with pytest.raises(OSError, match="directory"):
        storage.append("events.jsonl", b"x\n")


def test_a_data_directory_that_is_a_file_is_an_error_of_the_system(tmp_path):
    (tmp_path / "data").touch()
    with pytest.raises(NotADirectoryError):
        Storage(tmp_path / "data")


# --- the lock (R11) ---------------------------------------------------------------------------


def test_a_second_daemon_is_told_the_pid_of_the_first(storage):
    storage.lock()
    second = Storage(storage.path)
    with pytest.raises(LockedError, match=rf"another sinkd \(pid {os.getpid()}\) holds .*data"):
        second.lock()
    second.close()
    assert is_locked(storage.path)


def test_the_lock_lasts_until_close_and_its_file_stays(storage):
    assert not is_locked(storage.path)
    first = Storage(storage.path)
    first.lock()
    first.close()
    assert (storage.path / "sinkd.lock").exists()
    assert not is_locked(storage.path)
    storage.lock()


def test_a_pid_in_the_file_proves_nothing(storage):
    (storage.path / "sinkd.lock").write_text("999999 and more than a pid\n")
    assert not is_locked(storage.path)
    storage.lock()
    assert (storage.path / "sinkd.lock").read_text() == f"{os.getpid()}\n"


def test_a_holder_without_a_pid_is_unknown(storage):
    storage.lock()
    (storage.path / "sinkd.lock").write_bytes(b"")
    with pytest.raises(LockedError, match=r"pid unknown"):
        Storage(storage.path).lock()


def test_a_file_system_without_locks_is_not_another_daemon(storage, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available"):
        storage.lock()


# --- appending --------------------------------------------------------------------------------


def test_lines_are_appended_and_the_size_is_known(storage):
    assert storage.size("runs.jsonl") == 0
    storage.append("runs.jsonl", b"one\n")
    storage.append("runs.jsonl", b"two\n")
    storage.sync("runs.jsonl")
    assert (storage.path / "runs.jsonl").read_bytes() == b"one\ntwo\n"
    assert storage.size("runs.jsonl") == 8


@pytest.mark.parametrize(("data", "torn"), [(b"", False), (b"one\n", False), (b"one\ntw", True)])
def test_a_last_line_without_newline_is_torn(storage, data, torn):
    (storage.path / "runs.jsonl").write_bytes(data)
    assert storage.is_torn("runs.jsonl") == torn


def test_a_file_can_be_cut_back(storage):
    storage.append("runs.jsonl", b"one\ntwo\n")
    storage.truncate("runs.jsonl", 4)
    storage.append("runs.jsonl", b"three\n")
    assert (storage.path / "runs.jsonl").read_bytes() == b"one\nthree\n"


def test_a_short_write_is_a_full_disk(storage, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    with pytest.raises(OSError, match="No space") as refused:
        storage.append("runs.jsonl", b"one\n")
    assert refused.value.errno == errno.ENOSPC
    assert (storage.path / "runs.jsonl").read_bytes() == b"one"


# --- rotation from outside (L2) -------------------------------------------------------------------


def test_a_file_that_is_not_open_or_still_there_is_kept(storage):
    assert not storage.refresh("runs.jsonl")
    storage.append("runs.jsonl", b"one\n")
    assert not storage.refresh("runs.jsonl")


@pytest.mark.parametrize("recreated", [False, True])
def test_a_file_that_was_moved_away_is_begun_anew(storage, recreated):
    storage.append("runs.jsonl", b"one\n")
    (storage.path / "runs.jsonl").rename(storage.path / "runs.jsonl.1")
    if recreated:
        (storage.path / "runs.jsonl").touch()
    assert storage.refresh("runs.jsonl")
    storage.append("runs.jsonl", b"two\n")
    assert (storage.path / "runs.jsonl").read_bytes() == b"two\n"
    assert (storage.path / "runs.jsonl.1").read_bytes() == b"one\n"


def test_a_link_in_the_place_of_a_moved_file_is_refused(storage):
    storage.append("runs.jsonl", b"one\n")
    (storage.path / "runs.jsonl").rename(storage.path / "elsewhere")
    (storage.path / "runs.jsonl").symlink_to(storage.path / "elsewhere")
    assert storage.refresh("runs.jsonl")
    with pytest.raises(LogUnusableError):
        storage.append("runs.jsonl", b"two\n")


# --- whole files ------------------------------------------------------------------------------


def test_a_replaced_file_is_the_new_one_and_nothing_else_is_left(storage):
    storage.replace("accepted.json", b"one")
    storage.replace("accepted.json", b"two")
    assert (storage.path / "accepted.json").read_bytes() == b"two"
    assert {path.name for path in storage.path.iterdir()} == {".gitignore", "accepted.json"}


def test_an_open_file_that_is_replaced_is_appended_to_under_its_name(storage):
    storage.append("journal.jsonl", b"old\n", PRIVATE_MODE)
    storage.replace("journal.jsonl", b"new\n")
    storage.append("journal.jsonl", b"more\n", PRIVATE_MODE)
    assert (storage.path / "journal.jsonl").read_bytes() == b"new\nmore\n"


@pytest.mark.parametrize("step", ["fdatasync", "rename"])
def test_a_replacement_that_fails_leaves_the_old_file(storage, monkeypatch, step):
    storage.replace("accepted.json", b"old")

    def refuse(*_, **__):
        raise OSError(errno.EIO, "bad")

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(OSError, match="bad"):
        storage.replace("accepted.json", b"new")
    assert (storage.path / "accepted.json").read_bytes() == b"old"


def test_a_replacement_is_durable_before_its_name_and_its_name_after(storage, monkeypatch):
    done = []
    for step in ("fdatasync", "rename", "fsync"):
        call = getattr(os, step)
        monkeypatch.setattr(
            os, step, lambda *a, _s=step, _c=call, **k: (done.append(_s), _c(*a, **k))[1]
        )
    (storage.path / "accepted.json.new").touch()
    storage.replace("accepted.json", b"new")
    assert done == ["fdatasync", "rename", "fsync"]


def test_the_name_of_a_new_file_is_durable(storage, monkeypatch):
    synced = []
    monkeypatch.setattr(storage, "sync_directory", synced.append)
    storage.append("runs.jsonl", b"one\n")
    storage.append("runs.jsonl", b"two\n")
    assert synced == ["runs.jsonl"]


def test_removing_is_done_when_there_is_nothing_left(storage):
    storage.append("runs.jsonl", b"one\n")
    storage.remove("runs.jsonl")
    storage.remove("runs.jsonl")
    assert not (storage.path / "runs.jsonl").exists()


# --- the reserve (E4) ---------------------------------------------------------------------------


def test_a_reserve_holds_real_blocks(storage):
    storage.reserve("reserve", 256 * 1024)
    storage.reserve("reserve", 256 * 1024)
    found = (storage.path / "reserve").stat()
    assert found.st_size == 256 * 1024
    assert found.st_blocks * 512 >= 256 * 1024


def test_a_reserve_can_become_smaller(storage):
    for size in (512 * 1024, 256 * 1024):
        storage.reserve("reserve", size)
        assert (storage.path / "reserve").stat().st_size == size


def test_a_reserve_that_does_not_fit_takes_no_space_from_the_log(storage, monkeypatch):
    def refuse(descriptor, start, size):
        os.write(descriptor, b"some of it")
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="full"):
        storage.reserve("reserve", 256 * 1024)
    assert not (storage.path / "reserve").exists()


def test_where_space_cannot_be_reserved_there_is_no_reserve(storage, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    storage.reserve("reserve", 256 * 1024)
    assert not (storage.path / "reserve").exists()


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_synced_in_their_own_way(storage, monkeypatch, platform):
    done = []
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: done.append(command))
    monkeypatch.setattr(os, "fsync", lambda _: done.append("fsync"))
    sync_file(7)
    assert done == ([51] if platform == "darwin" else ["fsync"])
