"""What the pages cost, with 100,000 records behind them; `make bench` takes ten times as many."""

import pytest
from bench.bench_pages import (
    past,  # noqa: F401 - a fixture
    serve,  # noqa: F401 - a fixture
    test_open_streams_cost_next_to_nothing_and_a_scrape_is_short,  # noqa: F401
    test_the_page_answers_beside_a_burst,  # noqa: F401
)
from bench.conftest import tell  # noqa: F401 - a fixture

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="session")
def records():
    return 100_000
