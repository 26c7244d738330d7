"""Thousands of edits of jobs.yaml by six kinds of writers: what rests is what runs (rules C1, C2).

A file that was not written whole may be valid and mean something else: here each prefix that ends
with a line is a valid file. None of them may ever run.
"""

import hashlib
import itertools
import random
import time

import pytest

pytestmark = pytest.mark.e2e

SECONDS = 20
PAUSE_SECONDS = 0.2


class Writers:
    """Ways to write the file at the end of a chain of links; three of them are not atomic."""

    def __init__(self, chain, chance):
        self.path, self.chance = chain.path, chance
        self.atomic = [chain.atomic_rename, chain.configmap_swap, chain.git_sync_flip]
        self.all = [*self.atomic, self.in_place, self.delete_and_create, self.chunks]

    def in_place(self, text):
        """Cut the file to nothing, then write it."""
        self.path.write_text(text)

    def delete_and_create(self, text):
        """Remove the file, then write a new one."""
        real = self.path.resolve()
        real.unlink()
        real.write_text(text)

    def chunks(self, text):
        """Write the file line by line or in larger pieces, resting at most 200 ms in between."""
        cuts = sorted(self.chance.sample(range(len(text)), self.chance.randint(1, 3)))
        with self.path.open("w") as file:
            for since, until in itertools.pairwise([0, *cuts, len(text)]):
                file.write(text[since:until])
                file.flush()
                time.sleep(self.chance.uniform(0, PAUSE_SECONDS) if until < len(text) else 0)


def edition(number, *, is_valid=True):
    """Return a jobs file that no other number has; where it is cut, other jobs would run."""
    lines = ["version: 1", "jobs:"]
    for name in range(8):
        lines += [
            f"  - name: job-{name}-of-{number}",
            "    schedule: {interval_minutes: 1440}" if is_valid else "    schedule: {every: day}",
            f"    request: {{url: 'http://127.0.0.1:9/{number}'}}",
            "    enabled: false",
        ]
    return "\n".join([*lines, ""])


def revision(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edits", "rounds"),
    [
        (60, 2),
        *(
            pytest.param(5000, 50, id=each, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])
            for each in ("first 5,000", "second 5,000")
        ),
    ],
)
def test_after_a_storm_of_edits_the_last_valid_file_runs_and_no_half_one_ever_did(
    home, chain, edits, rounds, record_property
):
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 (shown when it fails)
    chance = random.Random(seed)
    numbers = itertools.count()
    home.config = chain.path
    first = edition(next(numbers))
    chain.git_sync_flip(first)
    process = home.run()
    writers = Writers(chain, chance)
    whole = {revision(first)}
    for _ in range(rounds):
        for _ in range(edits // rounds):
            text = edition(next(numbers), is_valid=chance.random() < 0.9)
            whole.add(revision(text))
            chance.choice(writers.all)(text)
            if chance.random() < 0.03:
                time.sleep(chance.uniform(0, 1))
        last = edition(next(numbers))
        whole.add(revision(last))
        chance.choice(writers.all)(last)
        running = lambda: home.events("config_accepted")[-1]["revision"] == revision(last)  # noqa: B023, E731
        home.wait_for(running, "the last file runs", SECONDS)
    taken = [event["revision"] for event in home.events("config_accepted")]
    assert set(taken) <= whole, "a half-written file ran"
    judged = {event["revision"] for event in home.events("config_refused")}
    assert judged <= whole | {None}, "a half-written file was judged"
    assert process.stop() == 0
    record_property("cases", edits)
