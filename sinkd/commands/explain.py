"""`sinkd explain`: why a rule exists, a file that breaks it, what is said of it, one that does not.

The rules page, schemas/RULES.md, is the same for every rule.
"""

import difflib
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from sinkd import diagnostics, source
from sinkd.diagnostics import RULES, Lines, harmless, quoted
from sinkd.errors import UsageError
from sinkd.explanations import EXPLANATIONS

if TYPE_CHECKING:
    from sinkd.settings import Settings

_LINES: Final = 20
_WIDTH: Final = 80
_INTRODUCTION: Final = """\
# The rules of `sinkd validate`

SNK0xx is what is no YAML, SNK1xx what a field may not say, SNK2xx and SNK3xx are warnings: about all
jobs together, and about one. Errors refuse a file, and no comment silences them. A warning on its
line is silenced by `# sinkd: ignore[SNK304]`; `--strict` makes warnings errors.

`sinkd explain CODE` shows a rule in the terminal. This page is made by `sinkd explain > schemas/RULES.md`.
"""


def run_command(settings: "Settings", /, code: str | None) -> int:
    """Print the explanation of a rule, or the page of all."""
    if code is None:
        click.echo(page(), nl=False)
        return 0
    color = settings.use_color(sys.stdout)
    click.echo("\n".join(_text(_known(code), color=color)), color=color)
    return 0


def page() -> str:
    """Return the page of all rules, in Markdown."""
    rows = (f"| [{code}](#{code.lower()}) | {rule.title} |" for code, rule in RULES.items())
    index = "\n".join(["| code | rule |", "| --- | --- |", *rows])
    rules = (f"## {code}\n\n{rule_markdown(code)}" for code in RULES)
    return "\n".join([_INTRODUCTION, f"{index}\n", *rules])


def rule_markdown(code: str) -> str:
    """Return a rule's title, reason and examples, in Markdown."""
    rule, explained = RULES[code], EXPLANATIONS[code]
    parts = (
        f"**{_sentence(rule.title)}.** {explained.why}",
        f"Wrong:\n\n{_fenced('yaml', explained.wrong)}",
        f"```text\n{_said(explained.wrong)}\n```",
        f"Right:\n\n{_fenced('yaml', explained.right)}",
    )
    return "\n\n".join(parts) + "\n"


def rule_text(code: str) -> str:
    """Return a rule's title, reason and examples as plain text."""
    return "\n".join(_text(code, color=False))


def _known(code: str) -> str:
    """Return the code as it is written in the rules; raises UsageError when there is none."""
    known = code.strip().upper()
    if known in RULES:
        return known
    close = difflib.get_close_matches(known[:64], RULES, 1, 0.5)
    hint = f"did you mean {close[0]}?" if close else "`sinkd explain` prints all"
    message = f"there is no rule {quoted(code)}; {hint}"
    raise UsageError(message)


def _text(code: str, *, color: bool) -> Iterator[str]:
    rule, explained = RULES[code], EXPLANATIONS[code]
    title = f"{code}: {rule.title}"
    yield click.style(title, bold=True) if color else title
    yield ""
    yield from textwrap.wrap(explained.why, _WIDTH, break_long_words=False)
    yield ""
    yield "Wrong:"
    yield ""
    yield from _indented(explained.wrong)
    yield ""
    yield _said(explained.wrong, color=color)
    yield ""
    yield "Right:"
    yield ""
    yield from _indented(explained.right)


def _indented(text: str) -> list[str]:
    return [f"    {line}".rstrip() for line in _lines(text)]


def _fenced(language: str, text: str) -> str:
    return "\n".join([f"```{language}", *_lines(text), "```"])


def _lines(text: str) -> list[str]:
    """Return the lines of an example; of one with many jobs the first."""
    lines = [harmless(line) for line in Lines(text.rstrip("\n"))]
    if len(lines) <= _LINES:
        return lines
    return [*lines[: _LINES // 2], f"  # … and {len(lines) - _LINES // 2} more"]


def _said(text: str, *, color: bool = False) -> str:
    """Return what `validate` says of an example, without the summary."""
    found = source.load(text.encode()).diagnostics
    return diagnostics.as_text("jobs.yaml", text, found, color=color).rpartition("\n\n")[0]


def _sentence(title: str) -> str:
    return title[:1].upper() + title[1:]
