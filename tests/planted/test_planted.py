"""The planted bugs still fit the code, and those that are found at once are found."""

import shutil

import pytest
from planted.bugs import BUGS
from planted.run import ROOT, hunt, plant

AT_ONCE = ("no sync before a request is sent", "runs overlap", "misses are not recorded")


def test_every_bug_can_be_planted_and_is_still_python(tmp_path):
    for number, bug in enumerate(BUGS):
        root = tmp_path / str(number)
        (root / "sinkd").mkdir(parents=True)
        for module, _, _ in bug.edits:
            shutil.copy(ROOT / "sinkd" / f"{module}.py", root / "sinkd")
        plant(bug, root)
        for module, _, _ in bug.edits:
            path = root / "sinkd" / f"{module}.py"
            compile(path.read_text(encoding="utf-8"), path, "exec")


@pytest.mark.slow
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in AT_ONCE], ids=str)
def test_a_planted_bug_is_found(bug):
    assert hunt(bug, 20)


@pytest.mark.slow
def test_what_is_no_bug_is_not_found():
    assert hunt(BUGS[0]._replace(edits=()), 3) is None
