"""Random lives of the daemon and power cuts in short scripts, judged from outside (I1 to I15)."""

import itertools
import time

import pytest
from sim import points
from sim.search import attempt, commit, first_seed

SHARDS = 2
SECONDS = 60  # of each shard
SEEDS_AT_LEAST = 300 // SHARDS
POINTS_APART = 53  # `make sim` takes each


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_random_lives_keep_every_promise(shard, record_property):
    """The seeds are others at each commit; `make sim MINUTES=60` plays as many as fit."""
    began = time.monotonic()
    tried = 0
    for seed in itertools.count(first_seed() + shard, SHARDS):
        replay, violations, _ = attempt("scenario", seed)
        assert not violations, f"commit {commit()}: PYTHONPATH=tests {replay}"
        tried += 1
        if tried >= SEEDS_AT_LEAST and time.monotonic() - began > SECONDS:
            break
    record_property("cases", tried)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_power_cut_at_any_operation_breaks_no_promise(record_property):
    """A slice of all points, another at each commit."""
    cuts = points.every(POINTS_APART, first_seed() // 1000 % POINTS_APART)
    for point in cuts:
        replay, violations, _ = attempt("points", point)
        assert not violations, f"PYTHONPATH=tests {replay}"
    assert len(points.SCRIPTS) >= 12
    record_property("cases", len(cuts))
