"""What benches share: the real process and its clock, and how a figure is told."""

import pytest
from e2e.conftest import fast_clock, home, job, server  # noqa: F401 - fixtures


@pytest.fixture
def tell(pytestconfig):
    """Return what writes a line to the terminal, though output is captured."""
    reporter, capture = map(
        pytestconfig.pluginmanager.get_plugin, ("terminalreporter", "capturemanager")
    )

    def tell(line):
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.line(line)

    return tell
