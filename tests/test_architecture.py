"""The shape of the package: layers, light commands, words, and modules that import anywhere."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest
from importlinter import cli as import_linter

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "sinkd").rglob("*.py"))
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]

# 130 to 200 ms each, so commands that people wait for must not import them.
HEAVY = ["httpx", "structlog", "rich", "uvicorn", "starlette", "nats", "watchfiles"]
POSIX_ONLY = [
    *("crypt", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline", "resource"),
    *("spwd", "syslog", "termios", "tty"),
]
FORBIDDEN_WORDS = {
    *("task", "tick", "execution", "manager", "handler", "utils", "util", "helpers", "base"),
    *("common", "core"),
}

JOBS = """\
version: 1
jobs:
  - name: refresh-cache
    schedule: {interval_minutes: 15, start_minute: 5}
    request: {url: "http://127.0.0.1:9/cache"}
"""


def dotted(path):
    """Return the dotted name of a module's file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def python(code, *arguments, cwd=ROOT):
    """Run a program in a fresh interpreter and return what it printed."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_import_keeps_the_contracts(capfd):
    code = import_linter.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capfd.readouterr().out


def test_the_layers_that_must_be_pure_are_all_named_as_pure():
    layers = next(contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
    below = "\n".join(layers[next(i for i, layer in enumerate(layers) if "agenda" in layer) :])
    placed = {f"sinkd.{name}" for name in re.findall(r"\w+", below)}
    pure = next(c["source_modules"] for c in CONTRACTS if c["type"] == "forbidden")
    assert {name for name in map(dotted, SOURCES) if name in placed} == set(pure)


@pytest.mark.parametrize("command", ["validate", "plan --base jobs.yaml", "next", "--help"])
def test_a_command_that_people_wait_for_imports_nothing_heavy(command, tmp_path):
    (tmp_path / "jobs.yaml").write_text(JOBS)
    code = f"""
import sys
from sinkd.cli import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print("imported:", *sorted(set(sys.modules) & set({HEAVY})))
"""
    assert python(code, *command.split(), cwd=tmp_path).splitlines()[-1] == "imported:"


def test_every_module_imports_where_the_posix_only_modules_do_not_exist():
    code = f"""
import importlib, os, sys
import asyncio, pathlib, shutil, socket, subprocess, tempfile  # their Windows forms need no posix
for name in {POSIX_ONLY}:
    sys.modules[name] = None
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
    python(code, *(name for name in map(dotted, SOURCES) if name != "sinkd.__main__"))


@pytest.mark.parametrize("path", SOURCES, ids=dotted)
def test_a_module_says_in_its_first_line_what_it_is_for(path):
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said
    assert said.splitlines()[0].endswith((".", ":"))


def test_no_module_is_named_by_a_word_that_says_nothing():
    words = {word for path in SOURCES for word in path.stem.strip("_").split("_")}
    assert not words & FORBIDDEN_WORDS


def test_every_rule_that_code_quotes_is_written_down():
    rules = (ROOT / "sinkd/SEMANTICS.md").read_text()
    written = set(re.findall(r"\*\*([A-Z]\d+|law \d+)\*\*", rules))
    written |= set(
        re.findall(r"^\| (I\d+) \|", (ROOT / "tests/README.md").read_text(), re.MULTILINE)
    )
    for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]:
        read = io.StringIO(path.read_text(encoding="utf-8")).readline
        said = " ".join(
            token.string
            for token in tokenize.generate_tokens(read)
            if token.type == tokenize.COMMENT or token.string.startswith('"""')
        )
        quoted = set(re.findall(r"\b([STRHCDELFI]\d{1,2}|law \d+)\b", said))
        assert quoted <= written, path
