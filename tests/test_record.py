"""The bytes of a public line (R6), the names of runs (S1), and the table of reasons."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinkd import record

NINE = 1_795_424_400


def test_a_run_is_named_by_its_job_and_slot():
    assert record.run_id("a", NINE) == "a@2026-11-23T09:00Z"
    assert record.manual_run_id("a", NINE + 0.25) == "a@2026-11-23T09:00:00.250Z#manual"
    assert record.manual_run_id("a", NINE) == "a@2026-11-23T09:00:00.000Z#manual"


def test_the_reasons_of_each_outcome_are_those_of_the_contract():
    assert {outcome: " ".join(reasons) for outcome, reasons in record.REASONS.items()} == {
        "success": "",
        "failure": "http_status dns connect tls protocol read write timeout policy secret internal",
        "skipped": "overlap capacity paused",
        "missed": "down suspended clock_step stalled draining log_unwritable",
        "interrupted": "crash shutdown",
    }


def test_fields_stand_in_the_order_in_which_people_read_them():
    fields = {"url": "u", "outcome": "success", "job": "a", "run_id": "r", "seq": 2, "v": 1}
    assert list(record.ordered(fields)) == ["v", "seq", "run_id", "job", "outcome", "url"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=9,
)


@given(st.dictionaries(st.text(max_size=9), JSON, max_size=5))
def test_a_line_is_ascii_json_with_one_newline_at_its_end(fields):
    line = record.line(fields)
    assert line.index(b"\n") == len(line) - 1
    assert line.isascii()
    assert all(byte >= 0x20 for byte in line[:-1])
    assert json.loads(line) == fields


def test_a_line_of_exactly_the_limit_is_left_as_it_is():
    room = record.LINE_LIMIT_BYTES - len(record.line({"job": "a", "response_headers": {"x": ""}}))
    fields = {"job": "a", "response_headers": {"x": "y" * room}}
    assert len(record.line(fields)) == record.LINE_LIMIT_BYTES
    assert json.loads(record.line(fields)) == fields
    fields["response_headers"]["x"] += "y"
    assert json.loads(record.line(fields)) == {"job": "a"}


def test_a_long_line_loses_its_captured_headers_first():
    fields = {"job": "a", "error": "e" * 400, "response_headers": {"x": "\x1b" * 9000}}
    assert json.loads(record.line(fields)) == {"job": "a", "error": "e" * 400}


def test_a_line_that_is_still_too_long_loses_the_end_of_its_error():
    fields = {"job": "a", "error": "\u20ac" * 9000, "response_headers": {"x": "y"}}
    assert json.loads(record.line(fields)) == {"job": "a", "error": "\u20ac" * 300}


@pytest.mark.parametrize("jobs", [700, 10_000])
def test_an_event_that_names_too_many_jobs_stays_within_the_limit_and_can_be_read(jobs):
    names = [f"job-{n:058}" for n in range(jobs)]
    event = {"v": 1, "seq": 1, "event": "config_accepted", "added": names, "removed": ["a"]}
    line = record.line(event)
    assert len(line) <= record.LINE_LIMIT_BYTES
    read = json.loads(line)
    assert read["added"] == names[: len(read["added"])]
    assert len(read["added"]) > 100
    assert read["removed"] == ["a"]


def test_a_line_that_has_nothing_to_lose_is_written_as_it_is():
    fields = {"job": "a", "error": "e" * 300, "reason": "r" * 40_000, "jobs": []}
    assert json.loads(record.line(fields)) == fields
