"""Every accepted jobs file, and which one was the last (R13)."""

import hashlib
import json

import pytest

from sinkd.revisions import Accepted, keep, read_accepted, read_revision, revision_of
from sinkd.storage import Storage

DATA = b"version: 1\njobs: []\n"
NINE = 1_795_424_400


@pytest.fixture
def storage(tmp_path):
    opened = Storage(tmp_path / "data")
    yield opened
    opened.close()


def test_a_revision_is_the_sha256_of_the_bytes():
    assert revision_of(DATA) == hashlib.sha256(DATA).hexdigest()


def test_a_kept_file_is_the_last_accepted_with_its_bytes_and_absolute_path(
    storage, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    jobs = tmp_path / "jobs.yaml"
    keep(storage, DATA, jobs.relative_to(tmp_path), NINE)
    revision = revision_of(DATA)
    assert read_accepted(storage.path) == Accepted(
        revision, str(jobs), "2026-11-23T09:00:00Z", DATA
    )
    assert read_revision(storage.path, revision) == DATA
    note = {"revision": revision, "path": str(jobs), "at": "2026-11-23T09:00:00Z"}
    assert json.loads((storage.path / "accepted.json").read_text()) == note


def test_a_link_is_remembered_by_its_own_name(storage, tmp_path):
    (tmp_path / "real.yaml").write_bytes(DATA)
    link = tmp_path / "jobs.yaml"
    link.symlink_to("real.yaml")
    keep(storage, DATA, link, NINE)
    assert read_accepted(storage.path).path == str(link)


def test_every_revision_stays_and_one_that_comes_again_is_the_last_again(storage, tmp_path):
    for data in (DATA, b"other", DATA):
        keep(storage, data, tmp_path / "jobs.yaml", NINE)
    kept = {path.name for path in (storage.path / "revisions").iterdir()}
    assert kept == {f"{revision_of(DATA)}.yaml", f"{revision_of(b'other')}.yaml"}
    assert read_accepted(storage.path).data == DATA


def test_without_a_note_nothing_was_accepted(storage):
    assert read_accepted(storage.path) is None
    with pytest.raises(FileNotFoundError):
        read_revision(storage.path, revision_of(DATA))


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[]", b"null", b"7", b'{"revision": "x"}', b'{"revision": 7}', b"\xff"]
)
def test_a_damaged_note_counts_as_none(storage, tmp_path, note):
    keep(storage, DATA, tmp_path / "jobs.yaml", NINE)
    (storage.path / "accepted.json").write_bytes(note)
    assert read_accepted(storage.path) is None


@pytest.mark.parametrize("data", [None, b"changed", b""])
def test_a_revision_whose_bytes_are_lost_or_changed_counts_as_none(storage, tmp_path, data):
    keep(storage, DATA, tmp_path / "jobs.yaml", NINE)
    kept = storage.path / "revisions" / f"{revision_of(DATA)}.yaml"
    kept.unlink() if data is None else kept.write_bytes(data)
    assert read_accepted(storage.path) is None


def test_a_revision_whose_bytes_were_damaged_is_kept_anew(storage, tmp_path):
    keep(storage, DATA, tmp_path / "jobs.yaml", NINE)
    (storage.path / "revisions" / f"{revision_of(DATA)}.yaml").write_bytes(b"changed")
    keep(storage, DATA, tmp_path / "jobs.yaml", NINE)
    assert read_accepted(storage.path).data == DATA
