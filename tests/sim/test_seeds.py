"""Random lives of the daemon, judged from outside (I1, I2, I5 to I7, I13)."""

import os

import pytest
from sim.scenario import play

SEEDS = int(os.environ.get("SINKD_SEEDS", "40"))


@pytest.mark.parametrize("block", range(4))
def test_random_lives_keep_every_promise(tmp_path, block, record_property):
    """A failure names its seed: `PYTHONPATH=tests python -m sim.scenario SEED` replays it."""
    seeds = range(block, SEEDS, 4)
    for seed in seeds:
        directory = tmp_path / str(seed)
        directory.mkdir()
        violations, sent = play(seed, directory)
        assert not violations, f"PYTHONPATH=tests python -m sim.scenario {seed}"
        assert sent is not None
    record_property("cases", len(seeds))
