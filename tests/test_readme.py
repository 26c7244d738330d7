"""Every fenced block of README.md is carried out, and shows what the README says it shows.

The README's own jobs.yaml is simulated for an afternoon on which much goes wrong; its shell
sessions run in a copy of that directory, with a clock that stands still. What a block is for
stands in its info string; a block that no rule covers fails.
"""

import asyncio
import importlib
import itertools
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import httpx
import jsonschema
import pytest

from sinkd.cli import CTRL_C, sinkd
from sinkd.errors import SinkdError
from sinkd.instant import parse_rfc3339
from sinkd.jobsfile import BOUNDS, Defaults, Job, JobsFile, Request, Schedule
from sinkd.record import REASONS
from sinkd.source import load
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
NOW = "2026-11-23 14:30:30"  # a Monday; half a minute past a slot of the README's jobs.yaml
TOKEN = {"AGENTS_TOKEN": "the-token-of-the-story"}
AFTER_THE_FIRST_RELEASE = {"uvx sinkd demo", "pipx run sinkd demo"}
TIMED_OUT = 28  # of curl
WAIT_SECONDS = 20

# What differs from machine to machine and from release to release; all else must be equal.
SUBSTITUTIONS = (
    (r"\b[\w.-]+, pid \d+", "HOST, pid 1"),
    (r"\bsinkd([ /])\d+\.\d+\.\d+", r"sinkd\1VERSION"),
    (r"\b20\d\d[a-z]\b", "TZDATA"),
    (r"\bsource=(bundled|system)\b", "source=TZDATA"),
    (r"\b[0-9a-f]{12,64}\b", "HEX"),
    (r'"seq":\d+', '"seq":1'),
)
IN_THE_DEMO = ((r"\b\d\d:\d\d(:\d\d(\.\d{3})?)?\b", "TIME"), (r"\b\d\.\d\d s", "0.01 s"))


class Block(NamedTuple):
    """A fenced block: the README's line it begins at, its language, its purpose, its text."""

    line: int
    language: str
    purpose: str
    text: str


def blocks():
    fences = re.finditer(r"^```(\w*) ?(.*)\n((?:.*\n)*?)```$", README, re.MULTILINE)
    return [Block(README.count("\n", 0, found.start()) + 1, *found.groups()) for found in fences]


def of(*languages, served=False):
    """Parametrise a test by the blocks of these languages: those for a daemon that serves, or the others."""
    found = [
        block
        for block in blocks()
        if block.language in languages and (block.purpose == "listen") is served
    ]
    return pytest.mark.parametrize("block", found, ids=lambda block: f"line {block.line}")


def normal(text, substitutions=SUBSTITUTIONS):
    for pattern, same in substitutions:
        text = re.sub(pattern, same, text)
    return text


# --- the story: an afternoon of the README's jobs.yaml --------------------------------------------

JOBS = next(block.text for block in blocks() if (block.language, block.purpose) == ("yaml", ""))


async def answer(request):
    """Answer as the two servers of the story do."""
    await asyncio.sleep(0.214 if "cache" in request.url.path else 1.07)
    if request.headers["X-Sinkd-Scheduled-At"].endswith("12:35:00Z"):
        return httpx.Response(503)
    return httpx.Response(202, headers={"X-Session-Id": "ses_c75817201b45bbbb"})


async def afternoon(directory):
    """Two lives of a daemon: a failure, a bad edit, a laptop asleep, a crash."""
    clock = VirtualClock(parse_rfc3339("2026-11-23T11:57:12Z"))
    config = MemoryConfig(JOBS.encode(), directory / "jobs.yaml")
    world = World(directory / ".sinkd", clock, config, answer, TOKEN)

    async def until(time_of_day):
        await asyncio.sleep(parse_rfc3339(f"2026-11-23T{time_of_day}Z") - clock.wall())

    life = await world.start()
    await until("12:41:30")
    config.write(JOBS.replace("interval_minutes: 15", "interval_minutes: 15m").encode())
    await until("12:44:10")
    config.write(JOBS.encode())
    await until("13:01:00")
    clock.suspend(2980)
    await until("14:17:00")
    await life.crash()
    await until("14:22:40")
    life = await world.start()
    await until("14:30:00")
    await life.crash()


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Return a directory with the README's jobs.yaml and what the afternoon left in its log."""
    directory = tmp_path_factory.mktemp("story")
    (directory / "jobs.yaml").write_text(JOBS)
    run_virtual(afternoon(directory))
    return directory


@pytest.fixture
def home(story, tmp_path):
    """Return a copy of the story that a block may change."""
    return shutil.copytree(story, tmp_path / "home")


@pytest.fixture
def at(faketime):
    """Return what starts a command with a clock of its own: `@` before the time lets it go on."""

    def at(when, *command, **options):
        beside = Path(sys.executable).parent
        environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ},
            **TOKEN,
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
            "TZ": "UTC",
            "LD_PRELOAD": faketime,
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return subprocess.Popen(
            command,
            env={**environment, "FAKETIME": when},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )

    return at


# --- the rules, one for each kind of block ------------------------------------------------------


def test_every_block_has_a_rule():
    rules = {
        ("console", ""), ("sh", ""), ("yaml", ""), ("yaml", "job"), ("yaml", "notify"), ("json", ""), ("python", ""),
        ("text", "drawing"), ("sh", "listen"),
    }  # fmt: skip
    assert blocks()
    assert {(block.language, block.purpose) for block in blocks()} - rules == set()
    assert README.count("```") == 2 * len(blocks())


def commands(text):
    """Split a shell session into its commands, each with the output shown below it."""
    session = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    assert "".join(f"$ {command}\n{shown}" for command, shown in session) == text
    return session


def recipe(program, command):
    """Return what a `make` command would do."""
    dry = [program("make"), "-n", *shlex.split(command)[1:]]
    return subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@of("console")
def test_a_shell_session_shows_what_the_readme_shows(program, at, home, block):
    session = commands(block.text)
    match session:
        case [("make demo" as command, shown)]:
            assert "bin/sinkd demo" in recipe(program, command)
            _assert_the_demo_shows(at, home, shown)
        case [("sinkd run", shown)]:
            _assert_the_daemon_says(at, home, shown)
        case _:
            script = "".join(f"{command}\n printf '\\036'\n" for command, _ in session)
            said, _ = at(NOW, "bash", "-c", script, cwd=home).communicate(timeout=WAIT_SECONDS)
            assert normal(said) == normal("".join(f"{shown}\036" for _, shown in session))


def _assert_the_demo_shows(at, home, shown):
    """`make demo` without a terminal, at another port; its runs end in any order.

    In what is shown, `...` stands for the rest.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.rmtree(home / ".sinkd")
    shutil.copy(ROOT / "jobs.yaml", home)
    process = at(f"@{NOW}", "sinkd", "demo", "--once", "--port", str(port), cwd=home)
    said, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, said
    substitutions = (*SUBSTITUTIONS, *IN_THE_DEMO, (rf"\b{port}\b", "8787"))
    left = normal(said, substitutions).splitlines()
    assert shown.endswith("\n...\n")
    for line in normal(shown, substitutions).splitlines()[:-1]:
        assert line in left
        left.remove(line)


def _assert_the_daemon_says(at, home, shown):
    """The daemon's first start; it is stopped as soon as it has said what the README shows."""
    shutil.rmtree(home / ".sinkd")
    process = at(NOW, "sinkd", "run", cwd=home)
    try:
        lines = (line for line in process.stdout if "running_as_root" not in line)
        said = "".join(itertools.islice(lines, len(shown.splitlines())))
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_SECONDS)
    assert normal(said) == normal(shown)


@pytest.fixture
def served(at, home):
    """Return the address at which a daemon serves its pages, after the afternoon of the story."""
    process = at(f"@{NOW}", "sinkd", "run", "--listen", "127.0.0.1:0", cwd=home)
    try:
        lines = (
            re.search(r"listening +at=http://127\.0\.0\.1:(\d+)/", line) for line in process.stdout
        )
        yield f"localhost:{next(filter(None, lines))[1]}"
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_SECONDS)


@of("sh", served=True)
def test_every_endpoint_answers_the_curl_that_the_readme_shows(program, served, block):
    program("curl")
    commands = [line.partition("  #")[0].strip() for line in block.text.splitlines()]
    paths = [re.search(r"localhost:8080(/[^?' ]*)", command)[1] for command in commands]
    for command, path in zip(commands, paths, strict=True):
        address = command.replace("localhost:8080", served)
        done = subprocess.run(["bash", "-c", address], capture_output=True, text=True, check=False)
        assert done.returncode == (TIMED_OUT if path == "/events" else 0), command
        if path.startswith(("/api", "/badge")):
            assert json.loads(done.stdout)
        elif path.startswith(("/jobs", "/runs", "/why")):
            assert "refresh-cache" in done.stdout
        else:
            assert done.stdout
    routes = re.findall(r'Route\("([^"]+)"', (ROOT / "sinkd/web/app.py").read_text())
    for route in routes:
        pattern = re.sub(r"\{\w+(:path)?\}", "[^/]+", route)
        assert any(re.fullmatch(pattern, path) for path in paths), route


@of("sh")
def test_a_command_can_be_typed_as_it_stands(program, at, home, block):
    for line in block.text.splitlines():
        command, _, comment = (part.strip() for part in line.partition("  #"))
        if command in AFTER_THE_FIRST_RELEASE:
            assert comment == "after the first release"
        elif command.startswith("make "):
            assert "pytest" in recipe(program, command)
        else:
            process = at(NOW, "bash", "-c", command, cwd=home)
            said, _ = process.communicate(timeout=WAIT_SECONDS)
            assert process.returncode == 0, said


@of("yaml")
def test_a_jobs_file_or_a_job_is_valid_and_raises_no_warning(block):
    text = block.text
    if block.purpose:
        head = {"job": "jobs:\n", "notify": "jobs: []\nnotify:\n"}[block.purpose]
        text = f"version: 1\n{head}" + re.sub("^", "  ", text, flags=re.MULTILINE)
    loaded = load(text.encode(), "README.md")
    assert [found.message for found in loaded.diagnostics] == []
    assert loaded.spec.jobs or loaded.spec.notify


@of("json")
def test_a_record_follows_its_schema(block):
    record = json.loads(block.text)
    name = "event" if "event" in record else "run"
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(record)


@of("python")
def test_a_test_of_the_readme_passes(monkeypatch, home, tmp_path, block):
    monkeypatch.chdir(home)
    names = {}
    exec(compile(block.text, "README.md", "exec"), names)
    tests = [test for name, test in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test(tmp_path)


@of("text")
def test_the_drawing_names_what_exists(block):
    steps = re.findall(r"│  ([a-z]+)\.(\w+)", block.text)
    assert steps
    for module, name in steps:
        assert hasattr(importlib.import_module(f"sinkd.{module}"), name)
    for name in re.findall(r"\bsinkd ([a-z]+)", block.text):
        assert name in sinkd.commands


# --- the prose -----------------------------------------------------------------------------------


def section(title):
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title):
    """Return the tables of a section as the cells of each row."""
    lines = re.findall(r"^\| (.*) \|$", section(title), re.MULTILINE)
    return [re.split(r" ?\| ?", line) for line in lines]


def test_every_field_of_the_jobs_file_is_explained_with_its_bounds():
    explained = {name: cells for cells in rows("jobs.yaml") for name in _quoted(cells[0])}
    names = {*JobsFile.__annotations__, *Job.__annotations__} - {"schedule", "request"}
    names |= {f"schedule.{name}" for name in Schedule.__annotations__}
    names |= {f"request.{name}" for name in Request.__annotations__}
    assert set(explained) == names | {"$schema", "x-…"}
    for name, (low, high) in BOUNDS.items():
        field = name if name in explained else f"schedule.{name}"
        assert explained[field][2] == f"{low} to {high}"
    assert set(_quoted(explained["defaults"][1])) == {*Defaults.__annotations__} - {"request"} | {
        "request.headers"
    }


def _quoted(text):
    return re.findall(r"`([^`]+)`", text)


def test_every_reason_of_a_record_is_explained():
    for outcome, reasons in REASONS.items():
        lines = [cells[2] for cells in rows("When things go wrong") if f"{outcome}/" in cells[2]]
        named = {name for line in lines for name in _quoted(line.replace(f"{outcome}/", ""))}
        assert set(reasons) <= named


def test_every_promise_names_a_test_that_make_test_runs():
    promises = {
        cells[0].split(":")[0].strip("*"): cells[1]
        for cells in rows("Promises")
        if "::" in cells[1]
    }
    assert len(promises) == 12
    for proof in promises.values():
        ((path, name),) = re.findall(r"`(.+)::(.+)`", proof)
        text = (ROOT / "tests" / path).read_text()
        marks = re.findall(rf"((?:^@.*\n)*)^(?:async )?def {name}\(", text, re.MULTILINE)
        assert len(marks) == 1, proof
        assert "mark.soak" not in marks[0], proof


def test_every_exit_code_is_explained():
    explained = {int(cells[0]) for cells in rows("Reference") if cells[0].isdigit()}
    kinds = [SinkdError, *SinkdError.__subclasses__()]
    assert explained == {kind.exit_code for kind in kinds} | {0, CTRL_C}


def test_every_command_and_option_that_the_readme_names_exists():
    known = {option for command in sinkd.commands.values() for option in _options(command)}
    known |= _options(sinkd)
    prose = re.sub(r"^```(?:.*\n)*?```$", "", README, flags=re.MULTILINE)
    assert set(re.findall(r"`sinkd ([a-z]+)", prose)) <= set(sinkd.commands)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose)) <= known | {"--help"}


def _options(command):
    return {option for parameter in command.params for option in parameter.opts}


def test_every_link_of_the_readme_leads_somewhere():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        path, _, anchor = target.partition("#")
        assert target.startswith("https://") or (ROOT / path).exists(), target
        assert path or anchor in anchors, target
    pictures = re.findall(r' src(?:set)?="([^"]+)"', README)
    assert pictures
    assert all((ROOT / path).exists() for path in pictures)
