"""`--print-runs`: lines on standard output, which may be slow or gone."""

import os
import threading

import pytest

from sinkd import printer
from sinkd.printer import Printer


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:  # closed by the test
            continue


def read_all(descriptor):
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


def test_lines_are_printed_in_order(pipe):
    reading, writing = pipe
    lines = [b'{"seq":%d}\n' % number for number in range(1000)]
    shown = Printer(writing)
    for line in lines:
        shown.show(line)
    shown.close()
    os.close(writing)
    assert read_all(reading) == b"".join(lines)
    assert shown.dropped == 0


def test_a_reader_that_stands_still_delays_nothing_and_what_it_misses_is_counted(pipe, monkeypatch):
    monkeypatch.setattr(printer, "QUEUE_LINES", 10)
    reading, writing = pipe
    shown = Printer(writing)
    line = b"x" * 65_536 + b"\n"  # more than a pipe holds
    for _ in range(100):
        shown.show(line)
    assert 100 - 10 - 1 <= shown.dropped <= 100 - 10
    shown.close(wait_seconds=0)
    texts = []
    collecting = threading.Thread(target=lambda: texts.append(read_all(reading)))
    collecting.start()
    shown._thread.join(0.05)
    while shown._lines.qsize():
        shown._thread.join(0.01)
    shown.close()
    os.close(writing)
    collecting.join(5)
    assert texts == [line * (100 - shown.dropped)]


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe):
    reading, writing = pipe
    shown = Printer(writing)
    os.close(reading)
    for _ in range(3):
        shown.show(b"line\n")
    shown.close()
    assert not shown._thread.is_alive()
    assert shown.dropped == 3


def test_closing_waits_no_longer_than_it_is_told(pipe):
    reading, writing = pipe
    shown = Printer(writing)
    shown.show(b"x" * 200_000)
    shown.close(wait_seconds=0.01)
    assert shown._thread.is_alive()  # it is a daemon thread, so it holds no process
    assert shown._thread.daemon
    os.close(reading)
    shown._thread.join(5)
    assert not shown._thread.is_alive()
