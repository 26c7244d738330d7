"""`sinkd explain`: every rule has a reason, a file that breaks it and one that does not."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from inline_snapshot import snapshot

from sinkd import source
from sinkd.cli import sinkd
from sinkd.commands import explain
from sinkd.diagnostics import RULES
from sinkd.errors import UsageError
from sinkd.explanations import EXPLANATIONS

PAGE = Path(__file__).parent.parent / "schemas" / "RULES.md"


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(sinkd, ["explain", *arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    assert result.return_value == 0
    return result.output


def test_every_rule_is_explained_in_their_order():
    assert list(EXPLANATIONS) == list(RULES)


@pytest.mark.parametrize("code", RULES)
def test_the_wrong_file_breaks_this_rule_and_the_right_one_none(code):
    explained = EXPLANATIONS[code]
    assert {found.code for found in source.load(explained.wrong.encode()).diagnostics} == {code}
    assert source.load(explained.right.encode()).diagnostics == ()


@pytest.mark.parametrize("code", RULES)
def test_a_reason_is_sentences_and_examples_are_short(code):
    explained = EXPLANATIONS[code]
    assert explained.why.endswith(".")
    for text in (explained.wrong, explained.right):
        assert len(text.splitlines()) <= 20 or code.startswith("SNK2")  # these take many jobs
        assert text.endswith("\n")


def test_of_an_example_with_many_jobs_the_first_are_shown():
    lines = shown("SNK202").splitlines()
    assert "      # … and 22 more" in lines
    assert len(lines) < 45


def test_the_page_is_the_one_in_the_repository():
    assert PAGE.read_text(encoding="utf-8") == explain.page(), (
        "write it with `sinkd explain > schemas/RULES.md`"
    )
    assert shown() == explain.page()


def test_a_rule_in_the_terminal():
    assert shown("snk103") == snapshot("""\
SNK103: `true` or `false` expected

Only `true` and `false` are booleans in YAML 1.2. `yes` and `off` are texts
there and booleans to YAML 1.1 tools, so two readers of one file would disagree.

Wrong:

    version: 1
    jobs:
      - name: refresh-cache
        schedule: {interval_minutes: 15}
        request: {url: https://api.example.com/refresh}
        enabled: no

error[SNK103]: `enabled` must be `true` or `false`
 --> jobs.yaml:6:14
  |
3 |   - name: refresh-cache
  :
6 |     enabled: no
  |              ^^ write `false`
  |
  = help: `no` was a boolean in YAML 1.1; sinkd reads YAML 1.2, where it is text

Right:

    version: 1
    jobs:
      - name: refresh-cache
        schedule: {interval_minutes: 15}
        request: {url: https://api.example.com/refresh}
        enabled: false
""")


def test_colour_is_used_where_it_is_wanted():
    assert "\x1b[1;31merror[SNK103]" in shown("--color", "always", "SNK103")
    assert "\x1b" not in shown("--color", "never", "SNK103")


@pytest.mark.parametrize("code", RULES)
def test_an_example_cannot_write_to_the_terminal(code):
    assert all(line.isprintable() for line in shown(code).splitlines())


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("SNK1O4", "did you mean SNK"),
        ("104", "did you mean SNK104?"),
        ("cron", "`sinkd explain` prints all"),
        ("\x1b[2J" * 100, "`sinkd explain` prints all"),
    ],
)
def test_an_unknown_code_exits_2_with_a_suggestion(code, hint):
    with pytest.raises(UsageError, match="there is no rule") as raised:
        shown(code)
    assert hint in str(raised.value)
    assert str(raised.value).isprintable()
    assert raised.value.exit_code == 2
