"""Bugs that the fault programme must find: each is an edit of the product, and who should kill it.

The first ones are those that a model of the rules was tested with (the design's table), the rest
are ours. `killer` is `lives` (random lives and crash points, judged from outside) or a test.
"""

from typing import NamedTuple


class Bug(NamedTuple):
    """An edit of one or more modules: each `(module, text, replacement)` must match once."""

    name: str
    edits: tuple[tuple[str, str, str], ...]
    killer: str = "lives"
    equivalent: str = ""  # why nothing can tell it from the product


def bug(name, module, text, replacement, **more):
    return Bug(name, ((module, text, replacement),), **more)


BUGS = (
    bug(
        "no sync before a request is sent",
        "runlog",
        'if _is_public(line) or line.entry["entry"] in journal.DURABLE:',
        "if _is_public(line):",
    ),
    bug(
        "a torn tail is not sealed",
        "store",
        "if self._storage.is_torn(file, mode):",
        "if False:",
    ),
    bug(
        "sent before it is claimed",
        "flights",
        "promised = await self._store.claim([flight.promise for flight in flights])",
        "asyncio.ensure_future(self._store.claim([flight.promise for flight in flights]))\n"
        "        promised = [True for _ in flights]",
    ),
    bug(
        "interrupted runs are sent again at the start",
        "store",
        'self.log.put(RUNS, interrupted(claim.record, "crash"))',
        "self.states[job] = replace(self.states[job], sent=(), "
        "decided=self.states[job].decided - 1)",
    ),
    bug(
        "open claims are ignored at the start",
        "store",
        "for claim in list(self._replay.open_claims()):",
        "for claim in ():",
    ),
    bug(
        "misses are not recorded",
        "decide",
        "    if missed:\n        records.append(missed)",
        "    if False:\n        records.append(missed)",
    ),
    Bug(
        "every missed slot is run (robfig/cron#26)",
        (
            (
                "decide",
                "    newest = schedule.latest_slot(job.schedule, now)\n",
                (
                    "    newest = schedule.latest_slot(job.schedule, now)\n"
                    "    if newest > decided and waiting is None:\n"
                    "        newest = min(newest, schedule.next_slot(job.schedule, decided))\n"
                ),
            ),
            (
                "decide",
                "is_sent(state.sent, newest) and now - newest <= job.catch_up_seconds  # T3",
                "is_sent(state.sent, newest)",
            ),
        ),
    ),
    bug(
        "runs overlap",
        "decide",
        "elif may_run and in_flight:",
        "elif False:",
    ),
    bug(
        "a pause is ignored",
        "decide",
        "if may_run and state.pause and now < state.pause.until:",
        "if False:",
    ),
    bug(
        "the cursor stays ahead of a clock set back",
        "decide",
        "if decided - now < SMALL_STEP_SECONDS:",
        "if True:",
    ),
    Bug(
        "claims queue up behind a full disk",
        (
            (
                "runlog",
                "        if self.blocked:\n            return [self.blocked] * len(entries)\n",
                "",
            ),
            (
                "runlog",
                (
                    "        for line in lines:\n"
                    "            if line.is_claim and line.written and not line.written.done():\n"
                    "                line.written.set_exception(refused)\n"
                    "        return [line for line in lines if not line.is_claim]"
                ),
                "        return list(lines)",
            ),
        ),
    ),
    bug(
        "no memory of what was sent",
        "state",
        "if is_sent(sent, slot):\n        return sent\n",
        "return sent\n",
    ),
    bug(
        "a changed schedule keeps its cursor (kubernetes#123220)",
        "daemon",
        "self._give_up_waiting(name)\n            self.store.cursor(name, int(now), after)",
        "self._give_up_waiting(name)\n            self.store.cursor(name, known.decided, after)",
    ),
    bug(
        "a run is closed before its last line is durable, and the close is trusted",
        "runlog",
        "        landed, refused = await self._append(public)\n        ended",
        "        early = [_closing(line.entry) for line in public\n"
        "                 if line.file == RUNS and journal.is_terminal(line.entry)]\n"
        "        await self._append(early)\n"
        "        landed, refused = await self._append(public)\n        ended",
    ),
    bug(
        "a line and its newline in two writes",
        "storage",
        "written = os.write(self._file(name, mode), data)",
        "written = os.write(self._file(name, mode), data[:-1])\n"
        "        written += os.write(self._file(name, mode), data[-1:])",
        equivalent="one writer, and a tail without its newline is sealed at the next start",
    ),
    # --- ours ---
    bug(
        "a new file is swapped in before what is due is settled",
        "daemon",
        "        for job in self._due(now):\n            self._settle(job, now)\n",
        "        if self._pending:\n            await self._swap(self._pending, now)\n"
        "        for job in self._due(now):\n            self._settle(job, now)\n",
    ),
    bug(
        "a slot that waits counts as settled",
        "decide",
        "return Decision(max(before, decided), newest, tuple(records))",
        "return Decision(newest, newest, tuple(records))",
    ),
    bug(
        "merged ranges of two grids keep one grid",
        "state",
        "merged = grid if one.schedule == other.schedule == grid else EVERY_MINUTE",
        "merged = grid",
        killer="tests/test_state.py",
    ),
    bug(
        "a claim is answered before its group is synced",
        "runlog",
        "        encoded = [self._encode(line) for line in lines]\n        landed",
        "        encoded = [self._encode(line) for line in lines]\n"
        "        for line in lines:\n"
        "            if line.is_claim and line.written and not line.written.done():\n"
        '                line.written.set_result(line.entry["seq"])\n'
        "        await asyncio.sleep(0.001)\n"
        "        landed",
    ),
    bug(
        "compaction drops open claims",
        "journal",
        "        if state.open:\n            claim =",
        "        if False:\n            claim =",
    ),
    bug(
        "compaction drops pauses",
        "state",
        '"pause": pause and {"until": pause.until, "reason": pause.reason, "by": pause.by},',
        '"pause": None,',
        killer="tests/test_state.py",
    ),
    bug(
        "compaction drops what was sent",
        "state",
        '"sent": state.sent,',
        '"sent": (),',
        killer="tests/test_state.py",
    ),
    bug(
        "a pause is answered before it is durable",
        "daemon",
        "        if orders:\n            await self.store.log.flush()\n",
        "",
        killer="tests/test_daemon.py",
    ),
    bug(
        "a pause outlives its time",
        "daemon",
        "if pause is None or pause.until <= now:",
        "if pause is None:",
    ),
    bug(
        "a slot that waits when its job changes is dropped without a line",
        "daemon",
        "            self.store.settle(name, due.slot, [line])",
        "            del line",
    ),
    bug(
        "a sent slot is forgotten when the clock goes back",
        "decide",
        "may_run = not is_sent(state.sent, newest) and",
        "may_run =",
    ),
    bug(
        "numbers begin anew where the journal ends",
        "store",
        'seqs = [replayed.seq, newest["seq"] if newest else 0]',
        "seqs = [replayed.seq]",
    ),
    bug(
        "a short write is not cut back",
        "runlog",
        "                self._storage.truncate(file, size)  # E2",
        "                pass",
    ),
    Bug(
        "the catch-up window has no end",
        (
            (
                "decide",
                "is_sent(state.sent, newest) and now - newest <= job.catch_up_seconds  # T3",
                "is_sent(state.sent, newest)",
            ),
            (
                "flights",
                "window = flight.job.catch_up_seconds + SEEN_LATE_SECONDS",
                "window = 10**9",
            ),
        ),
    ),
    bug(
        "a schedule that changed while nobody ran is not settled",
        "daemon",
        "            if missed:\n                line = self.lines.missed",
        "            if False:\n                line = self.lines.missed",
    ),
    bug(
        "a run is over before its line is durable",
        "flights",
        "        await self._store.finish(run)\n        self._let_go(flight)",
        "        self._let_go(flight)\n        await self._store.finish(run)",
        equivalent="the writer keeps a line before the claims after it, and takes none while the "
        "disk refuses lines",
    ),
    bug(
        "lines that the disk refused are dropped",
        "runlog",
        "            self._queue[:0] = self._held(rest, refused)",
        "            self._held(rest, refused)",
    ),
    bug(
        "a failed sync is passed over",
        "runlog",
        "                raise LogUnusableError(message) from error",
        "                _log.error(message, error=error)",
    ),
    bug(
        "a manual run uses up a slot",
        "state",
        "    if slot is None:  # a manual run uses up no slot (T12)",
        "    if slot is None:\n        state = replace(state, decided=state.decided + 60)\n"
        "    if slot is None:",
    ),
    bug(
        "a file is sealed before its lines are durable",
        "runlog",
        "        for file in to_sync:\n            try:\n",
        "        self._seal_long(to_sync - {journal.FILE})\n"
        "        for file in to_sync:\n            try:\n",
    ),
    bug(
        "a sealed file takes the name of another",
        "runlog",
        'taken = {name.partition(".")[0] for name in self._storage.names()}',
        "taken = set()",
        killer="tests/test_rotation.py",
    ),
    bug(
        "a gap of clocks moves a slot back",
        "schedule",
        "fold: Literal[0, 1] = 0) -> int:",
        "fold: Literal[0, 1] = 1) -> int:",
        killer="tests/test_schedule.py",
    ),
    bug(
        "claims are made while it drains",
        "daemon",
        "        while not self._stopping:\n            await self._pass()",
        "        while not self._stopping or self.flights:\n            await self._pass()",
        killer="tests/test_daemon.py",
    ),
)
