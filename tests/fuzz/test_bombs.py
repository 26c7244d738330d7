"""Files made to take time and memory are refused in under two seconds of CPU and 200 MB."""

import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

HEAD = "version: 1\njobs:\n"
EMPTY = "version: 1\njobs: []\n"
JOB = "  - name: a\n    schedule: {interval_minutes: 15}\n    request: {url: https://h/}\n"
MIB = 1024 * 1024
LAUGHS = "".join(f"x-{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
BOMBS = {
    "aliases": lambda: f"x-0: &l0 [lol]\n{LAUGHS}{HEAD}",
    "an alias repeated": lambda: "x-a: &a [1]\nx-b: [" + "*a," * 5_000_000 + "]\n",
    "merge keys": lambda: "x-0: &m0 {a: 1}\n" + "".join(f"x-{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}\n" for n in range(1, 5000)),
    "anchors": lambda: "x-a: [" + "&a 1," * 2_500_000 + "]\n",
    "tags": lambda: "x-a: [" + "!a 1," * 2_500_000 + "]\n",
    "brackets": lambda: "[" * (16 * MIB),
    "brackets after a wrong indent": lambda: "a:\n      b: 1\n c: {d: " + "[" * (15 * MIB),
    "dashes": lambda: "- " * (8 * MIB),
    "question marks": lambda: "? " * (8 * MIB),
    "events": lambda: EMPTY + "x-a: [" + "1," * 8_000_000 + "]\n",
    "nested lists": lambda: EMPTY + "x-a:\n" + ("- " * 30 + "a\n") * 270_000,
    "lines": lambda: "\n" * (16 * MIB),
    "a quote never closed": lambda: 'a: "' + "a " * (7 * MIB),
    "unknown fields": lambda: EMPTY + "".join(f"k{n}: 1\n" for n in range(1_300_000)),
    "unknown fields of a job": lambda: HEAD + JOB + "".join(f"    k{n:x}: 1\n" for n in range(1_100_000)),
    "duplicate keys": lambda: "{" + "a: 1," * 3_000_000 + "}",
    "jobs": lambda: HEAD.replace("jobs:", "jobs: [") + "{}," * 5_000_000 + "]",
    "bodies": lambda: HEAD + JOB.replace("url:", "body: [" + "1," * 99 + "], url:") * 50_000,
    "a body": lambda: HEAD + JOB.replace("url:", "body: [" + "1," * 7_000_000 + "], url:"),
    "headers": lambda: HEAD + JOB.replace("url:", "headers: {" + "".join(f"a{n:x}: b," for n in range(1_000_000)) + "}, url:"),
    "times": lambda: HEAD + JOB.replace("interval_minutes: 15", "timezone: UTC, at: [" + "9:00," * 2_500_000 + "]"),
    "zones": lambda: HEAD + "".join(JOB.replace("interval_minutes: 15", f"at: '09:00', timezone: Eur{n}/Berlin") for n in range(9000)),
    "no-break spaces": lambda: "jobs: [" + "\u00a0a," * 4_000_000 + "]",
    "control characters": lambda: "\x01" * (16 * MIB),
    "a number": lambda: "version: 1." + "1" * (15 * MIB) + "\njobs: []\n",
    "a name": lambda: HEAD + JOB.replace("name: a", "name: " + "A " * (7 * MIB)),
    "a URL": lambda: HEAD + JOB.replace("https://h/", "https://h/" + "a" * (15 * MIB)),
    "a method": lambda: HEAD + JOB.replace("url:", "method: " + "p" * (15 * MIB) + ", url:"),
    "a cron expression": lambda: HEAD + JOB.replace("{interval_minutes: 15}", "'" + "* " * (7 * MIB) + "'"),
    "an unknown field": lambda: HEAD + JOB + "    " + "k" * (15 * MIB // 1024) + ": 1\n",
    "colons": lambda: "a" + ": " * (7 * MIB),
    "blanks before a colon": lambda: "a: b" + " " * (15 * MIB) + ": c",
    "hashes": lambda: "a: b: " + "# " * (7 * MIB),
    "not indented": lambda: HEAD + JOB * 9000 + "   bad: 1\n",
    "a key": lambda: f"{EMPTY}? {'k' * (15 * MIB)}\n: 1\n",
    "a key that is a number": lambda: f"{EMPTY}? 1.{'1' * (15 * MIB)}\n: 1\n",
    "long keys": lambda: EMPTY + "".join(f"? {n}{'k' * 15_000}\n: 1\n" for n in range(1000)),
    "blanks of a header": lambda: HEAD + JOB.replace("url:", "headers: {a: 'x" + " " * (15 * MIB) + "\u00e9'}, url:"),
    "days": lambda: HEAD + JOB.replace("interval_minutes: 15", f"at: '09:00', timezone: UTC, days: {'mon ' * (3 * MIB)}"),
    "references of a header": lambda: HEAD + JOB.replace("url:", f"headers: {{a: '{'${env:A}' * 1_900_000}'}}, url:"),
    "references of a body": lambda: HEAD + JOB.replace("url:", f"body: '{'${env:A}' * 1_900_000}', url:"),
    "comments": lambda: "# a\n" * 1_900_000 + "a: b: c\n",
    "lines of a text": lambda: "a: |\n" + "  b\n" * 1_900_000 + "c: d: e\n",
    "byte order marks": lambda: "\ufeff" * (5 * MIB),
    "line separators": lambda: "a: " + "\u2028" * (5 * MIB),
    "documents": lambda: "---\n" * 1_900_000,
    "empty jobs": lambda: HEAD + "- {}\n" * 50_000,
    "jobs that are none": lambda: HEAD + "- a\n" * 50_000,
}  # fmt: skip


LAUNCHER = Path(__file__).parent / "launcher.py"
CPU_SECONDS = 2
MEMORY_KIB = 200 * 1024


def spent(*arguments, stdin=subprocess.DEVNULL, cwd=None):
    """Run sinkd and return its exit code and output, within the limits."""
    done = subprocess.run(
        [sys.executable, "-S", LAUNCHER, sys.executable, "-m", "sinkd", *arguments],
        stdin=stdin, capture_output=True, text=True, errors="replace", check=True, cwd=cwd, timeout=60,
    )  # fmt: skip
    code, cpu, memory = json.loads(done.stdout)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert cpu < CPU_SECONDS, done.stderr[:200]
    assert memory < MEMORY_KIB, done.stderr[:200]
    assert len(done.stderr) < MIB
    return code, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_takes_two_seconds_or_200_mb(name, tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(BOMBS[name](), encoding="utf-8", newline="")
    assert path.stat().st_size <= 16 * MIB
    code, output = spent("validate", path)
    assert code == 1, output[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "name"),
    [("plan", "events"), ("next", "aliases"), ("validate --unsafe-fixes", "zones"), ("validate --diff", "a number")],
)  # fmt: skip
def test_every_reader_of_a_jobs_file_refuses_a_bomb(command, name, tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_text(BOMBS[name](), encoding="utf-8", newline="")
    code, output = spent(*command.split(), "--config", path, cwd=tmp_path)
    assert code != 0, output[-2000:]


def test_a_bomb_on_standard_input_is_refused():
    read, write = os.pipe()
    with closing(os.fdopen(read)) as stdin:
        writer = threading.Thread(target=_write_for_ever, args=(write,))
        writer.start()
        code, output = spent("validate", "-", stdin=stdin)
    writer.join()
    assert (code, "larger than 16 MiB" in output) == (2, True)


def _write_for_ever(descriptor):
    with closing(os.fdopen(descriptor, "wb", buffering=0)) as file:
        try:
            while True:
                file.write(b"a: b\n" * 10_000)
        except BrokenPipeError:
            pass


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 40)
    for path in (tmp_path / "fifo", tmp_path / "big", tmp_path):
        code, output = spent("validate", path)
        assert (code, output.count("\n")) == (2, 1), output


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/random"])
def test_a_device_is_refused_through_a_link_too(device, tmp_path):
    (tmp_path / "device").symlink_to(device)
    code, output = spent("validate", tmp_path / "device")
    assert (code, "is a device" in output) == (2, True)


def test_a_file_that_grows_while_it_is_read_is_read_to_the_limit(tmp_path):
    path = tmp_path / "jobs.yaml"
    path.write_bytes(b"# a\n" * (4 * MIB))  # 16 MiB: one byte more is too large
    stop = threading.Event()
    writer = threading.Thread(target=_grow, args=(path, stop))
    writer.start()
    code, output = spent("validate", path)
    stop.set()
    writer.join()
    assert (code, "larger than 16 MiB" in output) == (2, True)


def _grow(path, stop):
    with path.open("ab", buffering=0) as file:
        while not stop.wait(0.001) and file.tell() < 64 * MIB:
            file.write(b"# a\n" * 1000)
