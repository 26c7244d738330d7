"""The pictures: well-formed, labelled in words, without style, whatever a record holds."""

from xml.etree import ElementTree as ET

import pytest

from sinkd import pictures
from sinkd.overview import Hour

HOSTILE = '"><script>alert(1)</script>'
DAY = [Hour(1_795_435_200 + hour * 3600) for hour in range(24)]


def drawn(picture):
    """Parse a picture; return its label and, of each part with one, class and title."""
    root = ET.fromstring(str(picture))
    assert "style" not in {name for part in root.iter() for name in part.attrib}
    titled = [(part.get("class"), part.find("title").text) for part in root if len(part)]
    return root.get("aria-label"), titled


def test_a_day_is_24_bars_and_says_what_was_not_good():
    day = [*DAY[:22], Hour(DAY[22].at, 3, 1, 0), Hour(DAY[23].at, 0, 0, 2)]
    label, titled = drawn(pictures.strip(day))
    assert label == "last 24 hours: 3 ok, 1 failed, 2 not run"
    assert titled == [("some", "10:00 UTC: 3 ok, 1 failed"), ("missed", "11:00 UTC: 2 not run")]


@pytest.mark.parametrize(
    ("hour", "kind"),
    [((1, 0, 0), "good"), ((1, 1, 0), "some"), ((0, 1, 1), "failed"), ((0, 0, 1), "missed"), ((), "none")],
)  # fmt: skip
def test_kinds_of_hours_differ_in_height_not_in_colour_alone(hour, kind):
    assert Hour(0, *hour).kind == kind
    assert len(set(pictures._HEIGHTS.values())) == 5


def test_durations_are_a_mark_a_run_a_cross_for_what_failed():
    runs = [
        {"scheduled_at": "2026-11-23T09:00:00Z", "outcome": "success", "duration_ms": 1200},
        {"scheduled_at": "2026-11-23T10:00:00Z", "outcome": HOSTILE, "duration_ms": 0},
        {"scheduled_at": "2026-11-23T11:00:00Z", "outcome": "missed"},
    ]
    label, titled = drawn(pictures.durations(runs))
    assert label == "durations of 2 runs, from 0.00 s to 1.20 s"
    assert titled[0] == ("good", "2026-11-23T09:00Z success, 1.20 s")
    assert titled[1] == ("bad", f"2026-11-23T10:00Z {HOSTILE}, 0.00 s")
    assert pictures.durations(runs[2:]) == ""


def test_the_load_says_where_most_start():
    assert drawn(pictures.load([0] * 60))[0] == "no runs"
    label, titled = drawn(pictures.load([3, 9, *[0] * 58]))
    assert (label, len(titled)) == ("most runs together: 9 at :01", 2)
