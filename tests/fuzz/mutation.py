"""Bytes-level mutation of jobs files, as AFL makes it: cuts, copies, tokens, other encodings."""

from collections.abc import Sequence
from random import Random

LIMIT_BYTES = 256 * 1024
_TOKENS = [
    b"\t", b"\n", b"\r", b"\r\n", b" ", b"  ", b": ", b":", b"- ", b"-", b"[", b"]", b"{", b"}",
    b"'", b'"', b"#", b" # ", b"&a ", b"*a", b"!!str ", b"!", b"|", b">-", b"%YAML 1.1\n", b"@",
    b"`", b",", b"? ", b"---\n", b"...\n", b"<<: *a", b"~", b"null", b"true", b"yes", b"0x1F",
    b"010", b"1_000", b"1e3", b".inf", b"-0", b"9" * 400, b"1:30", b"9:00", b"24h", b"2026-01-01",
    b"${", b"${env:A}", b"$${", b"\\", b"\\x41", b"\\ud800", b"\x00", b"\x1b[31m", b"\x7f", b"\x85",
    b"\xc2\x85", b"\xc2\xa0", b"\xe2\x80\xa8", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\xf0\x9f\x98\x80", b"e\xcc\x81", b"\xe6\x97\xa5", b"\xed\xa0\x80", b"\xc0\x80", b"::error::x",
    b"version: 1\n", b"jobs:\n", b"jobs: []\n", b"defaults:\n", b"  - name: a\n", b"name: a",
    b"schedule: {interval_minutes: 7}", b"at: ['09:00']", b"timezone: Europe/Berlin", b"days: [mon]",
    b"request: {url: https://h/}", b"url: ", b"headers: ", b"body: ", b"labels: {a: b}", b"cron: '*/5 * * * *'",
    b"enabled: no", b"x-a: ", b"timeout_seconds: 0", b"catch_up_minutes: ~", b"# sinkd: ignore[SNK302]",
]  # fmt: skip


def mutated(seeds: Sequence[bytes], random: Random) -> bytes:
    """Return a seed after one to eight mutations, at most 256 KiB."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 8) if random.random() < 0.9 else 0):
        random.choice(_MUTATIONS)(data, seeds, random)
    if random.random() < 0.02:
        data = data.decode("utf-8", "replace").encode(
            random.choice(["utf-16", "latin-1", "utf-32"]), "replace"
        )
    return bytes(data[:LIMIT_BYTES])


def _piece(data, random):
    start = random.randint(0, len(data))
    return start, start + random.choice([1, 1, 2, 4, 8, 32, 200])


def _cut(data, seeds, random):
    start, end = _piece(data, random)
    del data[start:end]


def _end(data, seeds, random):
    del data[random.randint(0, len(data)) :]


def _token(data, seeds, random):
    start, end = _piece(data, random)
    data[start : random.choice([start, end])] = random.choice(_TOKENS)


def _byte(data, seeds, random):
    if data:
        data[random.randrange(len(data))] = random.randrange(256)


def _copy(data, seeds, random):
    (start, end), (to, _) = _piece(data, random), _piece(data, random)
    data[to:to] = data[start:end]


def _repeat(data, seeds, random):
    start, end = _piece(data, random)
    piece = data[start:end] if random.random() < 0.5 else random.choice(_TOKENS)
    data[start:start] = piece * random.choice(
        [2, 10, 40, 40, 1000, LIMIT_BYTES // max(1, len(piece))]
    )


def _splice(data, seeds, random):
    other = random.choice(seeds)
    data[random.randint(0, len(data)) :] = other[random.randint(0, len(other)) :]


def _lines(data, seeds, random):
    lines = bytes(data).splitlines(keepends=True)
    if lines:
        line = lines.pop(random.randrange(len(lines)))
        lines.insert(random.randint(0, len(lines)), b" " * random.randint(0, 9) + line.lstrip(b" "))
        data[:] = b"".join(lines)


def _breaks(data, seeds, random):
    data[:] = bytes(data).replace(b"\n", random.choice([b"\r\n", b"\r", b"\n\n"]))


_MUTATIONS = [_cut, _end, _token, _token, _byte, _copy, _repeat, _splice, _lines, _breaks]
