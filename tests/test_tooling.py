"""The Makefile on poor machines, the pinned requirements, the time budgets, the CI script."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"

# Written so that this file does not hold what it forbids.
INDEX_HOSTS = re.compile(rb"\bpy[p]i\.org|python[h]osted|deb\.[d]ebian|\bnpm[j]s\.")


def pins(path):
    """Read a requirements file: each package's version."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / path).read_text(), re.MULTILINE))


@pytest.fixture
def make(program, tmp_path):
    """Run `make demo` in a copy of the tree with a Python that fails at the given code."""

    def make(failing):
        for name in ("Makefile", "requirements.txt", "pyproject.toml", "deploy"):
            (tmp_path / name).symlink_to(ROOT / name)
        python = tmp_path / "python3"
        python.write_text(f'#!/bin/sh\ncase "$*" in *{failing}*) exit 1;; esac\n')
        python.chmod(0o755)
        command = [program("make"), "demo", f"PYTHON={python}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 2
        assert not (tmp_path / ".venv").exists()
        return done.stdout + done.stderr

    return make


@pytest.mark.parametrize(
    ("failing", "advice"),
    [("ensurepip", "apt install python3-venv"), ("hexversion", "needs Python 3.11 or newer")],
)
def test_a_python_that_cannot_do_it_is_answered_by_one_line_with_the_way_out(make, failing, advice):
    said = make(failing)
    assert advice in said
    assert said.count("\n") == 1


def test_every_requirement_is_pinned_to_the_same_version_in_all_files():
    everything = pins("tests/requirements.txt")
    for path in ("requirements.txt", "deploy/build-requirements.txt"):
        assert pins(path)
        assert pins(path).items() <= everything.items()


def test_every_pinned_requirement_has_a_hash():
    for path in ("requirements.txt", "tests/requirements.txt", "deploy/build-requirements.txt"):
        entries = re.split(r"\n(?=[a-z0-9])", (ROOT / path).read_text())
        assert all("--hash=sha256:" in entry for entry in entries)


def test_no_file_names_a_package_index(program):
    listed = subprocess.run(
        [program("git"), "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
    ).stdout
    files = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    assert len(files) > 20
    assert [str(path) for path in files if INDEX_HOSTS.search(path.read_bytes())] == []


@pytest.fixture
def shared(pytestconfig):
    """Return conftest.py as a module, which nothing can import by name."""
    return pytestconfig.pluginmanager.get_plugin(str(TESTS / "conftest.py"))


def test_the_time_budgets_allow_fifteen_minutes_in_all(shared):
    assert 0 < sum(seconds for _, seconds in shared.budgets().values()) <= 15 * 60


def test_every_test_file_is_in_a_part_with_a_time_budget(shared):
    files = [str(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")]
    assert files
    assert [path for path in files if shared.part_of(path) is None] == []


def test_shellcheck_finds_nothing_in_the_ci_script(program):
    subprocess.run([program("shellcheck"), ROOT / ".ci" / "run"], check=True, timeout=60)


def test_the_ci_script_installs_every_program_that_a_test_asks_for():
    """Programs that come with the Python packages of the tests need no package of the system."""
    asked = set()
    for path in TESTS.rglob("*.py"):
        asked |= set(re.findall(r'\bprogram\("([a-z-]+)"\)', path.read_text()))
    installed = set(re.findall(r"^\t([a-z-]+):", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    ours = {"check-jsonschema", "hadolint", "kubernetes-validate", "prek", "zizmor"}
    assert asked - ours
    assert asked - ours <= installed
