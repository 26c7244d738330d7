"""What a start finds doubtful about its user and its files (R11)."""

import os

import pytest

from sinkd import surroundings
from sinkd.surroundings import doubts, file_system

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda1 rw
30 22 0:27 / /proc rw,nosuid - proc proc rw
31 22 0:44 /share /mnt/logs rw shared:7 - nfs4 server:/share rw,vers=4.2
32 22 0:45 / /mnt/my\040disk rw - cifs //server/disk rw
33 22 0:46 / /home/ann rw master:1 propagate_from:2 - fuse.sshfs ann@host: rw
34 22 0:47 / /mnt/logs/local rw - ext4 /dev/vdb rw
35 34 0:48 / /mnt/logs/local rw - tmpfs tmpfs rw
a line of another kind
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a jobs file and a data directory about which nothing is doubtful."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(surroundings, "MOUNTS", mounts)
    site, data = tmp_path / "site", tmp_path / "data"
    site.mkdir(mode=0o755)
    data.mkdir(mode=0o750)
    config = site / "jobs.yaml"
    config.touch(mode=0o644)
    (data / "runs.jsonl").touch(mode=0o640)
    return config, data


def found(config, data):
    """Return what is doubted besides the user, who may be root here."""
    told = {doubt.event: doubt.fields for doubt in doubts(config, data)}
    told.pop("running_as_root", None)
    return told


def test_a_place_like_that_of_the_shipped_units_raises_no_doubt(place):
    assert found(*place) == {}


@pytest.mark.parametrize(("user", "doubted"), [(0, True), (1000, False)])
def test_root_is_doubted(place, monkeypatch, user, doubted):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("running_as_root" in [doubt.event for doubt in doubts(*place)]) == doubted


def test_a_jobs_file_that_everyone_can_write_is_doubted(place):
    config, data = place
    config.chmod(0o666)
    assert found(config, data) == {
        "config_writable_by_everyone": {"path": str(config), "fix": f"chmod o-w {config}"}
    }


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_jobs_file_in_a_directory_that_everyone_can_write_is_doubted(place, mode):
    config, data = place
    config.parent.chmod(mode)
    assert found(config, data)["config_writable_by_everyone"]["path"] == str(config.parent)


def test_a_jobs_file_may_be_a_link_and_what_it_leads_to_is_looked_at(place, tmp_path):
    config, data = place
    tree = tmp_path / "tree"
    tree.mkdir(mode=0o755)
    config.rename(tree / "jobs.yaml")
    config.symlink_to(tree / "jobs.yaml")
    assert found(config, data) == {}
    tree.chmod(0o777)
    assert found(config, data)["config_writable_by_everyone"]["path"] == str(tree)


def test_a_jobs_file_that_went_away_is_not_doubted(place):
    config, data = place
    config.unlink()
    assert found(config, data) == {}


@pytest.mark.parametrize(
    ("name", "mode"), [("", 0o770), ("", 0o1777), ("runs.jsonl", 0o660), ("runs.jsonl", 0o646)]
)
def test_data_that_others_can_write_is_doubted(place, name, mode):
    config, data = place
    (data / name).chmod(mode)
    assert found(config, data)["data_writable_by_others"]["paths"] == str(data / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_data_of_another_user_is_doubted(place):
    config, data = place
    os.chown(data / "runs.jsonl", 65534, -1)
    assert found(config, data)["data_of_another_user"]["paths"] == str(data / "runs.jsonl")


def test_a_file_with_two_names_is_doubted_and_a_link_is_left_to_its_refusal(place, tmp_path):
    config, data = place
    (tmp_path / "backup").hardlink_to(data / "runs.jsonl")
    (data / "elsewhere").symlink_to(tmp_path / "backup")
    assert found(config, data)["data_hard_linked"]["paths"] == str(data / "runs.jsonl")


def test_of_many_files_the_first_are_named(place):
    config, data = place
    for number in range(6):
        path = data / f"runs-{number}.jsonl"
        path.touch()
        path.chmod(0o660)
    assert found(config, data)["data_writable_by_others"]["paths"].endswith("4.jsonl and 1 more")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/sinkd", "ext4"),
        ("/mnt/logs", "nfs4"),
        ("/mnt/logs/sinkd", "nfs4"),
        ("/mnt/logs2", "ext4"),
        ("/mnt/my disk/x", "cifs"),
        ("/home/ann/.sinkd", "fuse.sshfs"),
        ("/mnt/logs/local/x", "tmpfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_mount_it_lies_in(path, kind):
    assert file_system(path, MOUNTS) == kind


@pytest.mark.parametrize(
    ("kind", "doubted"),
    [("nfs", True), ("nfs4", True), ("cifs", True), ("smb3", True), ("fuse.sshfs", True),
     ("fuseblk", True), ("9p", True), ("ext4", False), ("xfs", False), ("btrfs", False),
     ("tmpfs", False), ("overlay", False), ("fusectl", False)],
)  # fmt: skip
def test_a_file_system_of_a_network_is_doubted(place, kind, doubted):
    config, data = place
    surroundings.MOUNTS.write_text(f"22 1 254:0 / / rw - {kind} source rw\n")
    told = found(config, data).get("data_on_network_file_system", {})
    assert told.get("type") == (kind if doubted else None)


def test_where_mounts_are_not_listed_the_file_system_is_not_doubted(place):
    surroundings.MOUNTS.unlink()
    assert found(*place) == {}
