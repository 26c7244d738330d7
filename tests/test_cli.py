"""The command line as a shell completes it."""

import subprocess

import pytest
from click.testing import CliRunner

from sinkd.cli import sinkd


def test_the_script_for_bash_is_valid_bash(program, tmp_path):
    script = tmp_path / "completion.sh"
    script.write_text(CliRunner().invoke(sinkd, ["completion", "bash"]).stdout)
    subprocess.run([program("bash"), "-n", script], check=True, timeout=10)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_that_asks_sinkd(shell):
    done = CliRunner().invoke(sinkd, ["completion", shell])
    assert done.exit_code == 0
    assert f"_SINKD_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("sinkd rep", ["plain,report"]),
        ("sinkd report --fa", ["plain,--fail-under"]),
        ("sinkd validate -o g", ["plain,github", "plain,gitlab"]),
    ],
)
def test_commands_options_and_choices_complete(words, completed):
    environment = {
        "_SINKD_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = CliRunner().invoke(sinkd, prog_name="sinkd", env=environment)
    assert done.stdout.split() == completed
