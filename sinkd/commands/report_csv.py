"""A report as CSV (RFC 4180): one line for each job, with the fields of `report -o json`."""

import csv as writer
import io
from collections.abc import Mapping
from typing import Final

from sinkd.commands.report_words import printable
from sinkd.report import Report, Row, Totals

_FORMULA: Final = ("=", "+", "-", "@")
_TITLES: Final = tuple(Row("", None, Totals(), None, None).as_json())


def csv(report: Report) -> str:
    """Return the lines of a table whose first line names its columns; each ends with CR and LF."""
    table = io.StringIO()
    lines = writer.writer(table)
    lines.writerow(_TITLES)
    lines.writerows([_cell(value) for value in row.as_json().values()] for row in report.rows)
    return table.getvalue()


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, as people see it."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Mapping():
            value = "; ".join(f"{key}={each}" for key, each in value.items())
    return harmless(printable(str(value)))
