"""Mutated inputs: no exception, none slow, none big, and no rule of `targets.py` broken."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz.py"
SECONDS = float(os.environ.get("SINKD_FUZZ_SECONDS", "5"))  # of each of the two workers


@pytest.mark.slow
@pytest.mark.timeout(1.5 * SECONDS + 100)
@pytest.mark.parametrize("worker", [1, 2])
def test_no_mutated_input_breaks_a_rule(worker, record_property):
    seed = random.SystemRandom().randrange(2**32)
    done = subprocess.run(
        [sys.executable, str(FUZZ), str(SECONDS), str(seed)],
        capture_output=True, text=True, check=False, timeout=1.5 * SECONDS + 60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    record_property("cases", sum(tried.values()))
    assert all(number > SECONDS for number in tried.values()), tried
