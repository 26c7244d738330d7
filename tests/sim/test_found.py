"""What the simulation found, each as the smallest case that fails without its remedy."""

import pytest
from sim import points
from sim.disk import Faults

from sinkd import schedule
from sinkd.runlog import EVENTS, RUNS
from sinkd.store import Store
from sinkd.testing import VirtualClock, inline, run_virtual


@pytest.mark.parametrize("file", [RUNS, EVENTS])
def test_the_newline_that_seals_a_torn_line_is_durable_before_a_start_relies_on_it(tmp_path, file):
    """Seed 240: the line was read as whole, then a second power cut left NULs for its newline."""
    (tmp_path / file).write_bytes(b'{"v":1}')

    async def start():
        clock = VirtualClock(0)
        faults = Faults(0, clock)
        store = Store(faults.storage(tmp_path), clock, inline, tzdata=schedule.tzdata().version)
        store.close()
        return faults.synced[file]

    assert run_virtual(start()) == len(b'{"v":1}\n')


def test_a_file_that_was_kept_before_a_crash_holds_since_it_was_kept():
    """Seed 500377: it was said to hold from the next start on, and slots before had no answer."""
    for operation in range(25, 36):
        assert not points.cut(("another_file_at_a_start", operation, "kept"))
