"""Plants each bug in a copy of the product, and says what killed it.

    PYTHONPATH=tests python -m planted.run [--seconds N] [TEXT ...]

TEXT picks the bugs whose names hold it. Exit code 1 when a bug survives, or an equivalent one dies.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from planted.bugs import BUGS, Bug

ROOT = Path(__file__).parent.parent.parent
COPIED = ("sinkd", "tests", "schemas", "pyproject.toml", "README.md", "jobs.yaml")
_NO_CACHE = shutil.ignore_patterns("__pycache__", ".*_cache")


def copy(root: Path) -> None:
    """Copy the product and its tests."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=_NO_CACHE)
        else:
            shutil.copy(ROOT / name, root / name)


def plant(bug: Bug, root: Path) -> None:
    """Edit a copy; ValueError when a place is not there once."""
    for module, text, replacement in bug.edits:
        path = root / "sinkd" / f"{module}.py"
        before = path.read_text(encoding="utf-8")
        if before.count(text) != 1:
            message = f"{bug.name}: {module}.py has {before.count(text)} places like {text!r}"
            raise ValueError(message)
        path.write_text(before.replace(text, replacement), encoding="utf-8")


def hunt(bug: Bug, seconds: float) -> str | None:
    """Return what killed the bug: an invariant with its sentence, or a test; None if nothing did."""
    test = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", bug.killer)
    search = ("-m", "sim.search", "--workers", "1", "--seconds", str(seconds))
    commands = [search, (*search, "--every", "7")] if bug.killer == "lives" else [test]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        copy(root)
        plant(bug, root)
        for command in commands:
            done = subprocess.run(
                [sys.executable, *command],
                cwd=root,
                env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"},
                capture_output=True,
                text=True,
                check=False,
                timeout=20 * seconds + 300,
            )
            if done.returncode:
                output = done.stdout + done.stderr
                return next(_killers(output), output.strip()[-300:])
    return None


def _killers(output: str) -> Iterator[str]:
    yield from re.findall(r"^ *([A-Z]\d+: .*|bug: .*)$", output, re.MULTILINE)
    yield from re.findall(r"^FAILED (\S+)", output, re.MULTILINE)
    yield from re.findall(r"^\w*(?:Error|Exception)\b.*$", output, re.MULTILINE)


def main() -> int:
    """Hunt every bug, two at a time, and print a line each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    bugs = [bug for bug in BUGS if all(name in bug.name for name in options.names)]
    amiss = 0
    with ThreadPoolExecutor(int(os.environ.get("W", "2"))) as pool:
        killers = pool.map(lambda bug: hunt(bug, options.seconds), bugs)
        for bug, killer in zip(bugs, killers, strict=True):
            amiss += bool(killer) == bool(bug.equivalent)
            said = killer or f"survives: {bug.equivalent or 'NOTHING FOUND IT'}"
            print(f"{bug.name}\n    {said}", flush=True)  # noqa: T201
    print(f"{len(bugs)} bugs, {amiss} amiss")  # noqa: T201
    return min(amiss, 1)


if __name__ == "__main__":
    sys.exit(main())
