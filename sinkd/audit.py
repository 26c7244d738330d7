"""Proves a run log: every slot that was due has exactly one answer.

Due are the slots of each job's spans (`timeline`), up to the last sign of life. They are counted
between the answers, which are few: a missed range is one. Only around a clock that was set back
may a slot have two answers, and then only one of them may have been sent (T4, R2).
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final

from sinkd import answers, schedule
from sinkd.instant import parse_rfc3339, rfc3339
from sinkd.record import Run
from sinkd.spec import Daily, Schedule
from sinkd.timeline import Span, Timeline

SEQS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the run log: `count` slots from `first` to `last`; a claimed one was sent."""

    first: int
    last: int
    count: int
    seq: int
    claimed: bool


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one job from `first` to `last`; `seqs` names the lines that answer them."""

    job: str
    first: int
    last: int
    count: int
    seqs: tuple[int, ...] = ()

    def as_json(self) -> answers.Slots:
        """Return the object of `audit -o json`."""
        shape: answers.Slots = {
            "job": self.job,
            "scheduled_at": rfc3339(self.first),
            "last_scheduled_at": rfc3339(self.last),
            "count": self.count,
        }
        if self.seqs:
            shape["seqs"] = list(self.seqs)
        return shape


@dataclass(frozen=True, slots=True)
class LastSign:
    """The last sign of life: what was settled at the instant `at`.

    `decided` is the instant through which each job was settled and `open` names the runs whose end
    is not recorded, both from the journal: None when it could not be read.
    """

    at: float
    decided: Mapping[str, int] | None = None
    open: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found in the slots from `since` to `until`, of which it `checked` so many.

    `waiting` slots are due and not yet decided, in flight, or maybe so; `other_rules` are
    those that only the zone rules of another version explain.
    """

    since: float | None
    until: float
    checked: int
    jobs: int
    unanswered: list[Slots] = field(default_factory=list)
    duplicates: list[Slots] = field(default_factory=list)
    waiting: list[Slots] = field(default_factory=list)
    other_rules: list[Slots] = field(default_factory=list)


class Answers:
    """The lines of a run log, by job; `configs` and `tzdata` are those that they name."""

    def __init__(self) -> None:
        self.by_job: defaultdict[str, list[Answer]] = defaultdict(list)
        self.tzdata: set[str] = set()

    def add(self, run: Run) -> None:
        """Take a line; a manual run answers no slot (T12)."""
        self.tzdata.add(run.get("tzdata", ""))
        if run.get("trigger") == "manual":
            return
        first = int(parse_rfc3339(run["scheduled_at"]))
        count = run.get("count", 1)
        last = int(parse_rfc3339(run["last_scheduled_at"])) if count > 1 else first
        claimed = "trigger" in run
        self.by_job[run["job"]].append(Answer(first, last, count, run["seq"], claimed))


def audit(
    found: Timeline, spans: Iterable[Span], lines: Answers, sign: LastSign, since: float
) -> Audit:
    """Check the slots of the spans that are not before `since`."""
    by_job: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_job[span.job.name].append(span)
    checks = [_Check(found, own, lines.by_job[name], sign) for name, own in by_job.items()]
    looked_at = [
        (check, begin, span)
        for check in checks
        for span in check.spans
        for begin in [max(span.since, since - 1)]
        if begin < span.through
    ]
    result = Audit(
        since=min((max(span.since, since) for _, _, span in looked_at), default=None),
        until=sign.at,
        checked=sum(
            schedule.count(span.job.schedule, begin, span.through) for _, begin, span in looked_at
        ),
        jobs=len({span.job.name for _, _, span in looked_at}),
    )
    for check, begin, span in looked_at:
        for gap in check.gaps(span, begin):
            check.judge(gap, span, result)
    for check in checks:
        result.unanswered.extend(slots for slots in check.short_ranges() if slots.last >= since)
        result.duplicates.extend(slots for slots in check.duplicates() if slots.last >= since)
    return result


class _Check:
    """The check of one job: its spans, and its answers sorted by their first slots."""

    def __init__(
        self, found: Timeline, spans: list[Span], lines: list[Answer], sign: LastSign
    ) -> None:
        self.name = spans[0].job.name
        self.spans = sorted(spans, key=lambda span: span.seq)
        self._found = found
        self._sign = sign
        self._answers = sorted(lines, key=lambda answer: (answer.first, answer.last))
        self._singles = [answer for answer in self._answers if answer.count == 1]
        self._ranges = [answer for answer in self._answers if answer.count != 1]

    def gaps(self, span: Span, begin: float) -> Iterator[Slots]:
        """Yield the slots of a span after `begin` that no line covers."""
        when, reached = span.job.schedule, begin
        for answer in self._answers:
            if answer.last <= reached:
                continue
            if answer.first > span.through:
                break
            yield from _between(self.name, when, reached, answer.first - 1)
            reached = answer.last
        yield from _between(self.name, when, reached, span.through)

    def judge(self, gap: Slots, span: Span, result: Audit) -> None:
        """Put slots without an answer where they belong: not every one is amiss."""
        when, settled = span.job.schedule, self._settled(span)
        result.waiting.extend(_between(self.name, when, max(gap.first - 1, settled), gap.last))
        for part in _between(self.name, when, gap.first - 1, min(gap.last, settled)):
            for slots in self._without_open(part, span, result):
                ours = self._found.tzdata_at(slots.first) in {None, schedule.tzdata().version}
                if isinstance(when, Daily) and not ours:  # S6
                    result.other_rules.append(slots)
                else:
                    result.unanswered.append(slots)

    def _settled(self, span: Span) -> float:
        """Return through which instant the job was settled at the last sign of life."""
        if self._sign.decided is not None:
            return self._sign.decided.get(self.name, self._sign.at)
        return self._sign.at - span.job.timeout_seconds - span.job.catch_up_seconds

    def _without_open(self, part: Slots, span: Span, result: Audit) -> Iterator[Slots]:
        """Take a slot in flight out of a gap: it is answered when its run ends (R4)."""
        reached = part.first - 1
        for run_id in self._sign.open:
            slot = _slot_of(run_id, self.name)
            if slot is not None and part.first <= slot <= part.last:
                result.waiting.append(Slots(self.name, slot, slot, 1))
                yield from _between(self.name, span.job.schedule, reached, slot - 1)
                reached = slot
        yield from _between(self.name, span.job.schedule, reached, part.last)

    def short_ranges(self) -> Iterator[Slots]:
        """Yield the ranges that count fewer slots than they cover.

        A range leaves out what was sent, which lies in it only after the clock was set back (T2).
        """
        for answer in self._ranges:
            if when := self._schedule_of(answer):
                lacking = schedule.count(when, answer.first - 1, answer.last) - answer.count
                if self._found.set_back:
                    lacking -= sum(single.claimed for single in self._inside(answer))
                if lacking > 0:
                    yield Slots(self.name, answer.first, answer.last, lacking, (answer.seq,))

    def duplicates(self) -> Iterator[Slots]:
        """Yield the slots that have more answers than they may have."""
        for slot, group in groupby(self._singles, key=lambda answer: answer.first):
            same = sorted(group, key=lambda answer: answer.seq)
            if len(same) > 1 and not self._may_repeat(same):
                seqs = tuple(answer.seq for answer in same)
                yield Slots(self.name, slot, slot, 1, seqs[:SEQS_SHOWN])
        for one, other in pairwise(self._ranges):
            if other.first <= one.last and not self._went_back(one, other):
                yield self._twice(one, other)
        for answer in self._ranges:
            for single in self._inside(answer):
                if not self._may_hold(answer, single):
                    yield self._twice(single, answer)
            if when := self._schedule_of(answer):
                over = answer.count - schedule.count(when, answer.first - 1, answer.last)
                if over > 0:
                    yield Slots(self.name, answer.first, answer.last, over, (answer.seq,))

    def _may_repeat(self, same: list[Answer]) -> bool:
        """Say whether one slot may have these answers: once it was sent, it gets no other."""
        sent_early = any(answer.claimed for answer in same[:-1])
        return not sent_early and all(self._went_back(*pair) for pair in pairwise(same))

    def _went_back(self, one: Answer, other: Answer) -> bool:
        """Say whether the clock was set back between two lines."""
        return self._found.went_back(*sorted((one.seq, other.seq)))

    def _may_hold(self, answer: Answer, single: Answer) -> bool:
        """Say whether a single answer may lie in a range, which left out the slot or came again.

        A sent slot has its line at its end, so that the clock may have been set back before both.
        """
        after = 0 if single.claimed else min(answer.seq, single.seq)
        return self._found.went_back(after, max(answer.seq, single.seq))

    def _twice(self, one: Answer, other: Answer) -> Slots:
        first, last = max(one.first, other.first), min(one.last, other.last)
        when = self._schedule_of(other)
        count = schedule.count(when, first - 1, last) if when else 1
        return Slots(self.name, first, last, count, tuple(sorted((one.seq, other.seq))))

    def _inside(self, answer: Answer) -> list[Answer]:
        """Return the answers of single slots that a range covers."""
        first = bisect_left(self._singles, answer.first, key=lambda single: single.first)
        last = bisect_right(self._singles, answer.last, key=lambda single: single.first)
        inside = self._singles[first:last]
        when = self._schedule_of(answer)
        return [each for each in inside if when and _is_slot(when, each.first)]

    def _schedule_of(self, answer: Answer) -> Schedule | None:
        """Return the schedule on which a range was counted."""
        return next(
            (span.job.schedule for span in reversed(self.spans) if span.seq < answer.seq), None
        )


def _between(name: str, when: Schedule, after: float, through: float) -> Iterator[Slots]:
    """Yield the slots in (after, through] as one, if there are any."""
    if count := schedule.count(when, after, through):
        first, last = schedule.next_slot(when, after), schedule.latest_slot(when, through)
        yield Slots(name, first, last, count)


def _is_slot(when: Schedule, instant: int) -> bool:
    return schedule.latest_slot(when, instant) == instant


def _slot_of(run_id: str, job: str) -> int | None:
    """Return the slot of a run's identity, None when it is of another job or a manual one."""
    name, _, at = run_id.rpartition("@")
    return None if name != job or at.endswith("#manual") else int(parse_rfc3339(at))
