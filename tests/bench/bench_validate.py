"""What `sinkd validate` costs: beside check-jsonschema, beside its own imports, as a file grows.

Programs are run in turn, each in a process of its own, and their CPU time is compared:
another program's load delays both, and is counted for neither.
"""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

SCHEMA = Path(__file__).parents[2] / "schemas/jobs.schema.json"
IMPORTS = "import yaml; from pydantic import BaseModel"
WORTH_OF_CHECK_JSONSCHEMA = 1.0
GROWTH = 12  # of ten times the jobs
# Of the imports; pydantic with a model of a single field takes 1.4, click 0.1 more.
START = 2.3


def jobs(count):
    """Write a jobs file as a shop might have it: intervals and times, bodies and references."""
    return (
        "version: 1\ndefaults: {timezone: Europe/Berlin, timeout_seconds: 45}\njobs:\n"
        + "".join(
            f"""\
  - name: part-{number}
    description: Refreshes the part {number} of the product cache
    labels: {{team: team-{number % 7}, kind: cache}}
    schedule:
      {schedule(number)}
    request:
      url: https://host-{number % 97}.example.com/v1/parts/{number}?full=yes
      method: PUT
      headers:
        Authorization: Bearer ${{env:TOKEN}}
      body: {{part: {number}, mode: refresh, depth: 3}}
"""
            for number in range(count)
        )
    )


def schedule(number):
    """Spread the jobs over the hour; each third is due at times of day."""
    if number % 3:
        return f"{{interval_minutes: 60, start_minute: {number * 7 % 60}}}"
    return f"{{at: ['{number % 24:02}:{number * 7 % 60:02}', '12:30'], days: [mon, wed, fri]}}"


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    """Return what writes a file of so many jobs."""
    folder = tmp_path_factory.mktemp("jobs")

    def write(count):
        path = folder / f"{count}.yaml"
        path.write_text(jobs(count))
        return str(path)

    return write


def taken(rounds, *commands, of=statistics.median):
    """Run the commands in turn, and return the median, say, of each one's CPU seconds."""
    rows = [[seconds(command) for command in commands] for _ in range(rounds)]
    return [of(each) for each in zip(*rows, strict=True)]


def seconds(command):
    """Run a command, and return the CPU seconds of its process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"NO_COLOR": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def validate(path):
    """Return the command that checks a file."""
    return [Path(sys.executable).with_name("sinkd"), "validate", path]


def test_a_thousand_jobs_take_no_longer_than_check_jsonschema_does(program, file_of, tell):
    path = file_of(1000)
    other = [program("check-jsonschema"), "--schemafile", SCHEMA, path]
    ours, theirs = taken(5, validate(path), other)
    tell(f"1,000 jobs: validate {ours:.2f} s, check-jsonschema {theirs:.2f} s, {ours / theirs:.2f}")
    assert ours / theirs <= WORTH_OF_CHECK_JSONSCHEMA


@pytest.mark.timeout(300)
def test_ten_times_the_jobs_take_about_ten_times_as_long(file_of, tell):
    files = [validate(file_of(count)) for count in (1, 1000, 10_000)]
    start, thousand, ten = taken(5, *files, of=min)  # the least: differences of them are small
    growth = (ten - start) / (thousand - start)
    tell(
        f"1 job {start:.2f} s, 1,000 jobs {thousand:.2f} s, 10,000 jobs {ten:.2f} s: x {growth:.1f}"
    )
    assert growth < GROWTH


def test_one_job_takes_about_twice_as_long_as_importing_what_reads_it(file_of, tell):
    imports, ours = taken(15, [sys.executable, "-c", IMPORTS], validate(file_of(1)))
    tell(f"1 job {ours * 1000:.0f} ms, `{IMPORTS}` {imports * 1000:.0f} ms: x {ours / imports:.2f}")
    assert ours / imports <= START
