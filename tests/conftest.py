"""What every test file shares: tests that count their cases say so at the end of the run."""


def pytest_terminal_summary(terminalreporter):
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "cases" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {value:,} cases")
