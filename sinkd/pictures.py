"""The pictures of pages and reports: inline SVG, drawn here, with class names and no style.

Every picture has a label that says in words what it shows, and marks differ in height or shape as
well as in colour. Only numbers and escaped text go in, so the markup is safe wherever it stands.
"""

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from sinkd.instant import minute_text
from sinkd.overview import Hour
from sinkd.record import Run

_BAR, _STEP, _TALL = 5, 7, 16
_HEIGHTS: Final = {"good": _TALL, "some": 10, "failed": 6, "missed": 3, "none": 1}
_BARS: Final = {kind: f"v-{tall}h{_BAR}v{tall}z" for kind, tall in _HEIGHTS.items()}
_PLOT_WIDTH, _PLOT_HEIGHT, _PLOT_LEFT = 640, 150, 52


def strip(day: Sequence[Hour]) -> Markup:
    """Return a day as one bar an hour; an hour that is not all good says what happened in it."""
    quiet: dict[str, list[str]] = {"good": [], "none": []}
    marked = []
    for place, hour in enumerate(day):
        kind = hour.kind
        bar = f"M{place * _STEP} {_TALL}{_BARS[kind]}"
        if kind in quiet:
            quiet[kind].append(bar)
        else:
            title = f"{minute_text(hour.at)[11:16]} UTC: {hour_text(hour)}"
            marked.append(f'<path class="{kind}" d="{bar}"><title>{title}</title></path>')
    plain = "".join(
        f'<path class="{kind}" d="{"".join(bars)}"/>' for kind, bars in quiet.items() if bars
    )
    return Markup(  # noqa: S704 (numbers and words of ours)
        f'<svg class="strip" viewBox="0 0 {len(day) * _STEP - 2} {_TALL}" preserveAspectRatio="xMinYMid" role="img" '
        f'aria-label="last 24 hours: {hour_text(_sum(day))}">{plain}{"".join(marked)}</svg>'
    )


def hour_text(hour: Hour) -> str:
    """Return what became of some slots in words: `94 ok, 2 failed`."""
    counts = ((hour.good, "ok"), (hour.failed, "failed"), (hour.not_run, "not run"))
    return ", ".join(f"{count:,} {word}" for count, word in counts if count) or "none due"


def load(by_minute: Sequence[int]) -> Markup:
    """Return the most runs that start together in each minute of the hour, as 60 bars."""
    most = max(by_minute)
    bars = "".join(
        f'<path class="load" d="M{minute * 10} 40v-{max(2, 40 * runs // most)}h8V40z">'
        f"<title>:{minute:02} {runs:,}</title></path>"
        for minute, runs in enumerate(by_minute)
        if runs
    )
    marks = "".join(
        f'<text x="{minute * 10}" y="54">:{minute:02}</text>' for minute in range(0, 60, 15)
    )
    label = f"most runs together: {most:,} at :{by_minute.index(most):02}" if most else "no runs"
    return Markup(  # noqa: S704 (numbers and escaped text)
        f'<svg class="minutes" viewBox="0 0 598 58" role="img" aria-label="{label}">'
        f'<path class="axis" d="M0 40.5h598"/>{bars}{marks}</svg>'
    )


def durations(runs: Sequence[Run]) -> Markup:
    """Return the durations of runs, oldest first: a dot for a success, a cross for what is none."""
    timed = [(run, ms) for run in runs if isinstance(ms := run.get("duration_ms"), int)]
    if not timed:
        return Markup("")
    most = max(1, *(ms for _, ms in timed))
    step = (_PLOT_WIDTH - _PLOT_LEFT - 10) / max(1, len(timed) - 1)
    marks, line = [], []
    for place, (run, ms) in enumerate(timed):
        x = round(_PLOT_LEFT + place * step, 1)
        y = round(_PLOT_HEIGHT - 24 - (_PLOT_HEIGHT - 40) * ms / most, 1)
        line.append(f"{x} {y}")
        title = escape(f"{run['scheduled_at'][:16]}Z {run['outcome']}, {seconds_text(ms)}")
        marks.append(_mark(x, y, f"<title>{title}</title>", good=run["outcome"] == "success"))
    first, last = (timed[place][0]["scheduled_at"][5:16].replace("T", " ") for place in (0, -1))
    least = min(ms for _, ms in timed)
    label = f"durations of {len(timed)} runs, from {seconds_text(least)} to {seconds_text(most)}"
    base = _PLOT_HEIGHT - 24
    return Markup(  # noqa: S704 (numbers and escaped text)
        f'<svg class="plot" viewBox="0 0 {_PLOT_WIDTH} {_PLOT_HEIGHT}" role="img" '
        f'aria-label="{label}"><path class="axis" d="M{_PLOT_LEFT - 6} 15.5h{_PLOT_WIDTH}'
        f'M{_PLOT_LEFT - 6} {base}.5h{_PLOT_WIDTH}"/>'
        f'<text class="end" x="{_PLOT_LEFT - 12}" y="20">{seconds_text(most)}</text>'
        f'<text class="end" x="{_PLOT_LEFT - 12}" y="{base + 4}">0 s</text>'
        f'<text x="{_PLOT_LEFT}" y="{_PLOT_HEIGHT - 6}">{escape(first)}</text>'
        f'<text class="end" x="{_PLOT_WIDTH - 4}" y="{_PLOT_HEIGHT - 6}">{escape(last)} UTC</text>'
        f'<path class="line" d="M{"L".join(line)}"/>{"".join(marks)}</svg>'
    )


def seconds_text(duration_ms: int | None) -> str:
    """Return a duration in seconds with two decimals, a dash for None."""
    return "\N{EN DASH}" if duration_ms is None else f"{duration_ms / 1000:,.2f} s"


def _mark(x: float, y: float, title: str, *, good: bool) -> str:
    if good:
        return f'<circle class="good" cx="{x}" cy="{y}" r="3">{title}</circle>'
    cross = f"M{x - 4} {y - 4}l8 8m0-8l-8 8"
    return f'<path class="bad" d="{cross}">{title}</path>'


def _sum(day: Sequence[Hour]) -> Hour:
    return Hour(
        0,
        sum(hour.good for hour in day),
        sum(hour.failed for hour in day),
        sum(hour.not_run for hour in day),
    )
