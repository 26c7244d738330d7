"""A report as one HTML file with the pictures of the status page: for mail and CI artifacts.

It loads nothing and runs nothing: its one style stands in it, under a policy that allows only that.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from sinkd import pictures
from sinkd.commands.report_words import failures, no_runs, not_run, printable, refusal, span
from sinkd.load import load_by_minute
from sinkd.overview import Past
from sinkd.report import Report, Row, tidy
from sinkd.spec import Spec
from sinkd.web.texts import environment
from sinkd.web.view import RANKS, Card, State, state_of


def html(report: Report, pasts: Mapping[str, Past]) -> str:
    """Return the file of a report; `pasts` are what is kept of each job's records."""
    static = files("sinkd.web") / "static"
    style = f"\n{static.joinpath('sinkd.css').read_text('utf-8')}"
    files_of_ours = {
        "style": Markup(style),  # noqa: S704
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "icon": Markup(static.joinpath("icon.svg").read_text("utf-8")),  # noqa: S704
    }
    templates = environment().overlay(finalize=_shown)
    template = templates.get_template("report.html")
    return template.render(files_of_ours | _values(report, pasts))


def _shown(value: object) -> object:
    """Return a value without what would hide or reverse text; a template escapes it after."""
    return value if isinstance(value, Markup) else printable(str(value))


def _values(report: Report, pasts: Mapping[str, Past]) -> dict[str, Any]:
    cards = [_card(row, pasts.get(row.name, Past()), report) for row in report.rows]
    states = [card.state for card in cards]
    return {
        "now": report.now,
        "report": report,
        "cards": sorted(cards, key=lambda card: RANKS[card.state]),
        "failing": states.count("failing"),
        "enabled": len(states) - states.count("disabled"),
        "span": span(report),
        "refusal": refusal(report),
        "failures": failures(report),
        "not_run": not_run(report),
        "load": _load(report),
        "runs": None if report.runs is None else [tidy(run) for run in report.runs],
        "no_runs": no_runs(report),
    }


def _card(row: Row, past: Past, report: Report) -> Card:
    return Card(row, _state(row, past, report), past.day(report.until), None)


def _state(row: Row, past: Past, report: Report) -> State:
    """Return how a job is by what the window holds of it; one that is gone runs no more."""
    if row.job:
        return state_of(row.job, row.pause, past)
    if report.knows_jobs:
        return "disabled"
    return "failing" if past.failing else "ok"


def _load(report: Report) -> Markup:
    """Return the picture of the jobs' starts; there is none to see of one job."""
    jobs = {row.name: row.job for row in report.rows if row.job}
    return pictures.load(load_by_minute(Spec(jobs, ""), report.now)) if len(jobs) > 1 else Markup()
