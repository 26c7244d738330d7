"""The hooks, the action and the CI examples: their ecosystems' linters pass, and they do what they say.

The action's second step runs as on GitHub's runner, with `gh` replaced by a stand-in that keeps the
comments of one pull request in a file.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sinkd import __version__
from sinkd.cli import sinkd

ROOT = Path(__file__).parent.parent
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
SCRIPTS = sorted((ROOT / "deploy" / "action").iterdir())
EXAMPLES = ROOT / "deploy" / "ci"
WORKFLOWS = [path for path in sorted(EXAMPLES.iterdir()) if path.name != "gitlab.yml"]
BOT = "github-actions[bot]"

COMMENT = "<!-- sinkd-plan: jobs.yaml -->"
JOB = """\
  - name: refresh-cache
    schedule: {interval_minutes: 15}
    request: {url: "https://api.example.com/refresh"}
"""
JOBS = f"version: 1\njobs:\n{JOB}"
TWO_JOBS = JOBS + JOB.replace("refresh-cache", "warm-search").replace("15", "30")
BROKEN = JOBS.replace("interval_minutes", "interval_minute")
WARNED = JOBS.replace("15", "7")  # an interval that does not divide a day


def run(*command, **options):
    """Run a program, which must succeed, and return what it printed on either stream."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=110,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- what the linters of each ecosystem say ------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-actions", [ROOT / "action.yml"]),
        ("github-workflows", WORKFLOWS),
        ("gitlab-ci", [EXAMPLES / "gitlab.yml"]),
    ],
)
def test_each_file_follows_the_schema_of_its_service(program, schema, files):
    run(program("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *files)


def test_zizmor_finds_nothing_in_the_action_and_the_workflows(program):
    check = [program("zizmor"), "--offline", "--no-config", "--pedantic"]
    run(*check, ROOT / "action.yml", *WORKFLOWS)


def test_shellcheck_finds_nothing_in_the_steps_of_the_action(program):
    run(program("shellcheck"), *SCRIPTS)


def test_the_manifest_of_the_hooks_is_valid(program):
    run(program("prek"), "validate-manifest", ROOT / ".pre-commit-hooks.yaml")


def test_the_first_line_of_the_jobs_file_leads_editors_to_a_schema_that_accepts_it(program):
    jobs = ROOT / "jobs.yaml"
    modeline = re.match(r"# yaml-language-server: \$schema=(\S+)\n", jobs.read_text())
    run(program("check-jsonschema"), "--schemafile", ROOT / modeline[1], jobs)


# --- what the examples must hold -----------------------------------------------------------------


def triggers(workflow):
    """Return what starts a workflow: to YAML 1.1 its key `on` is a boolean."""
    return set(workflow[True])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_sees_all_commits_and_never_lends_a_fork_the_token(path):
    workflow = yaml.safe_load(path.read_text())
    assert triggers(workflow) == {"pull_request"}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read", "pull-requests": "write"}
        checkout = job["steps"][0]
        assert checkout["uses"].startswith("actions/checkout@")
        assert checkout["with"] == {"fetch-depth": 0, "persist-credentials": False}


def test_the_gitlab_template_sees_all_commits():
    template = yaml.safe_load((EXAMPLES / "gitlab.yml").read_text())
    assert template[".sinkd"]["variables"] == {"GIT_DEPTH": "0"}


def test_the_workflow_gives_the_action_only_inputs_that_it_has():
    example = yaml.safe_load((EXAMPLES / "github.yml").read_text())
    given = example["jobs"]["validate"]["steps"][1]["with"]
    assert given.keys() <= ACTION["inputs"].keys()


def test_the_examples_name_the_version_of_the_package():
    texts = [path.read_text() for path in EXAMPLES.iterdir()]
    named = [re.findall(r"sinkd(?:==|@\w+ # v)(\S+)", text) for text in texts]
    assert named == [[__version__]] * len(texts)


def command_lines():
    """Yield each command line for sinkd that an example or a hook holds, as a list of words."""
    for path in EXAMPLES.iterdir():
        lines = re.findall(r"- (?:run: )?sinkd (.*?)(?: [|>].*)?$", path.read_text(), re.MULTILINE)
        yield from map(shlex.split, lines)
    yield from (hook["entry"].split()[1:] for hook in HOOKS)


@pytest.mark.parametrize("words", list(command_lines()), ids=" ".join)
def test_sinkd_knows_the_options_that_it_is_given(words):
    name, *options = words
    sinkd.commands[name].make_context(name, options)


# --- the hooks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_sees_jobs_files_and_no_others(hook):
    seen = ["jobs.yaml", "jobs.yml", "shop/jobs.yaml", "team.sinkd.yaml", "shop/team.sinkd.yml"]
    others = ["myjobs.yaml", "jobs.yaml.j2", "jobs.json", "sinkd/values.yaml"]
    assert [name for name in seen + others if re.search(hook["files"], name)] == seen


@pytest.mark.slow
def test_a_hook_installs_itself_and_refuses_a_broken_file(program, tmp_path):
    """The hooks come from a commit of this tree, as they do for everybody."""
    source, team = tmp_path / "source", tmp_path / "team"
    run(program("git"), "clone", "-q", "--depth=1", f"file://{ROOT}", source)
    for name, text in {"jobs.yaml": JOBS, "team.sinkd.yml": BROKEN, "other.yaml": "a: 1"}.items():
        commit(team, name, text)
    done = subprocess.run(
        [program("prek"), "try-repo", source, "sinkd-validate", "--all-files", "--verbose"],
        cwd=team,
        env=os.environ | {"PREK_HOME": str(tmp_path / "prek")},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "jobs.yaml: ok, 1 job" in done.stdout
    assert "team.sinkd.yml: 1 error" in done.stdout
    assert "other.yaml" not in done.stdout


# --- the action ----------------------------------------------------------------------------------

GH = """\
#!{python}
import json, os, pathlib, subprocess, sys
home = pathlib.Path({home!r})
comments = json.loads((home / "comments.json").read_text())
assert os.environ["GH_TOKEN"] == "the-token"
words = sys.argv[2:]
given = dict(zip(words, words[1:]))
path = next(word for word in words if word.startswith("repos/"))
method = given.get("--method", "GET")
with (home / "calls").open("a") as calls:
    calls.write(f"{{method}} {{path}}\\n")
if method in (home / "refused").read_text():
    sys.exit("HTTP 403: Resource not accessible by integration")
if method == "GET":
    page = json.dumps(comments)
    sys.exit(subprocess.run(["jq", "-r", given["--jq"]], input=page, text=True).returncode)
body = pathlib.Path(given["--field"].removeprefix("body=@")).read_text()
if method == "POST":
    comments.append({{"id": 100 + len(comments), "user": {{"login": {bot!r}}}, "body": body}})
else:
    next(each for each in comments if path.endswith(f"/comments/{{each['id']}}"))["body"] = body
(home / "comments.json").write_text(json.dumps(comments))
"""


def commit(root, name, text):
    """Commit one file to a repository, which is made where there is none."""
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
    if not root.exists():
        run("git", "init", "-q", "--initial-branch=main", root)
    (root / name).write_text(text)
    run("git", "add", name, cwd=root)
    run("git", *identity, "commit", "-q", "-m", name, cwd=root)


class PullRequest:
    """A pull request to `main`, the runner that checks it, and the comments it has."""

    def __init__(self, home):
        self.clone, self.home = home / "clone", home
        (home / "sinkd" / "bin").mkdir(parents=True)
        (home / "sinkd" / "bin" / "sinkd").symlink_to(Path(sys.executable).with_name("sinkd"))
        gh = home / "gh"
        gh.write_text(GH.format(python=sys.executable, home=str(home), bot=BOT))
        gh.chmod(0o755)
        (home / "comments.json").write_text("[]")
        (home / "refused").write_text("")
        self.has_branch("main", JOBS)

    def has_branch(self, name, text, path="jobs.yaml"):
        """Let a branch hold this file; the pull request's own branch begins here."""
        commit(self.clone, path, text)
        run("git", "update-ref", f"refs/remotes/origin/{name}", "HEAD", cwd=self.clone)

    def holds(self, text):
        (self.clone / "jobs.yaml").write_text(text)

    def check(self, event="pull_request", head="team/jobs", target="main", **inputs):
        """Run the action's second step; return its exit code and what it printed."""
        values = {f"inputs.{name}": given["default"] for name, given in ACTION["inputs"].items()}
        values |= {f"inputs.{name}": value for name, value in inputs.items()}
        values |= {
            "github.token": "the-token",
            "github.event.pull_request.number": "7",
            "github.event.pull_request.head.repo.full_name": head,
        }
        step = ACTION["runs"]["steps"][1]
        given = {
            name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        }
        runner = {
            "PATH": f"{self.home}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.home),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_BASE_REF": target,
            "GITHUB_EVENT_NAME": event,
            "GITHUB_REPOSITORY": "team/jobs",
            "GITHUB_STEP_SUMMARY": str(self.home / "summary.md"),
            "LC_ALL": "C.UTF-8",
        }
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(
            shell,
            cwd=self.clone,
            env=runner | given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout

    @property
    def summary(self):
        return (self.home / "summary.md").read_text()

    @property
    def calls(self):
        """What was asked of GitHub, one line each; the end of a path is left out."""
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def writes(self):
        return [call.split()[0] for call in self.calls if not call.startswith("GET")]

    @property
    def comments(self):
        return json.loads((self.home / "comments.json").read_text())

    @property
    def bodies(self):
        return [comment["body"] for comment in self.comments]

    def has_comment(self, author, body):
        found = [*self.comments, {"id": 1, "user": {"login": author}, "body": body}]
        (self.home / "comments.json").write_text(json.dumps(found))


@pytest.fixture
def pull_request(program, tmp_path):
    for name in ("git", "jq"):
        program(name)
    return PullRequest(tmp_path)


@pytest.mark.slow
def test_the_first_check_comments_and_the_next_one_updates_that_comment(pull_request):
    pull_request.holds(TWO_JOBS)
    assert pull_request.check()[0] == 0
    (first,) = pull_request.bodies
    assert first.startswith(f"{COMMENT}\n### sinkd plan: 1 to add,")
    assert "`warm-search`" in first
    pull_request.holds(JOBS.replace("15", "20"))
    assert pull_request.check()[0] == 0
    (second,) = pull_request.bodies
    assert second.startswith(f"{COMMENT}\n### sinkd plan: 0 to add, 1 to change,")
    assert pull_request.writes == ["POST", "PATCH"]


@pytest.mark.slow
def test_each_jobs_file_has_a_comment_of_its_own(pull_request):
    pull_request.has_branch("main", JOBS, "shop.sinkd.yaml")
    files = "jobs.yaml\nshop.sinkd.yaml"
    for _ in range(2):
        assert pull_request.check(files=files)[0] == 0
    assert [body.splitlines()[0] for body in pull_request.bodies] == [
        COMMENT,
        "<!-- sinkd-plan: shop.sinkd.yaml -->",
    ]
    assert pull_request.writes == ["POST", "POST", "PATCH", "PATCH"]


@pytest.mark.slow
def test_a_comment_of_somebody_else_is_left_alone(pull_request):
    pull_request.has_comment("mallory", f"{COMMENT}\nnothing to see here")
    pull_request.has_comment(BOT, "### another workflow")
    pull_request.check()
    assert pull_request.writes == ["POST"]
    assert pull_request.bodies[:2] == [f"{COMMENT}\nnothing to see here", "### another workflow"]


@pytest.mark.slow
def test_the_summary_holds_the_plan_in_any_case(pull_request):
    pull_request.holds(TWO_JOBS)
    pull_request.check()
    assert pull_request.bodies[0] in pull_request.summary


@pytest.mark.parametrize(
    "quiet",
    [{"head": "mallory/jobs"}, {"comment": "false"}, {"head": "", "event": "push"}],
    ids=str,
)
def test_a_fork_a_push_and_who_wants_no_comment_have_the_summary_only(pull_request, quiet):
    pull_request.holds(TWO_JOBS)
    assert pull_request.check(**quiet)[0] == 0
    assert "### sinkd plan: 1 to add" in pull_request.summary
    assert pull_request.calls == []


@pytest.mark.slow
def test_a_token_that_may_not_write_is_a_warning_that_names_the_permission(pull_request):
    (pull_request.home / "refused").write_text("POST")
    code, said = pull_request.check()
    assert code == 0
    assert re.search("^::warning title=No comment::.*pull-requests: write$", said, re.MULTILINE)
    assert "### sinkd plan" in pull_request.summary


@pytest.mark.slow
def test_comments_that_cannot_be_read_are_not_added_to(pull_request):
    (pull_request.home / "refused").write_text("GET")
    code, said = pull_request.check()
    assert code == 0
    assert "::warning title=No comment::" in said
    assert pull_request.writes == []


@pytest.mark.slow
def test_a_file_with_errors_fails_the_check_and_its_comment_no_longer_shows_a_plan(pull_request):
    pull_request.holds(TWO_JOBS)
    pull_request.check()
    pull_request.holds(BROKEN)
    code, said = pull_request.check()
    assert code == 1
    assert re.search("^::error file=jobs.yaml,line=4,.*SNK101", said, re.MULTILINE)
    (body,) = pull_request.bodies
    assert body.startswith(f"{COMMENT}\n### sinkd plan: none\n")


@pytest.mark.slow
def test_a_broken_file_can_be_repaired_by_a_pull_request(pull_request):
    pull_request.has_branch("main", BROKEN)
    pull_request.holds(JOBS)
    code, said = pull_request.check()
    assert code == 0
    assert re.search("^::warning title=No plan of jobs.yaml::sinkd: no plan", said, re.MULTILINE)


def test_what_a_file_holds_is_no_command_to_the_runner(pull_request):
    command = "##[add-mask]e"
    pull_request.holds(BROKEN.replace("15", f"'{command}'"))
    _, said = pull_request.check()
    assert command in said
    stopped = re.sub(
        r"^::stop-commands::(\w+)$.*?^::\1::$", "", said, flags=re.DOTALL | re.MULTILINE
    )
    assert command not in stopped


@pytest.mark.slow
def test_warnings_fail_the_check_when_it_is_strict(pull_request):
    pull_request.holds(WARNED)
    assert pull_request.check(strict="true")[0] == 1


@pytest.mark.slow
def test_the_plan_begins_where_the_branch_did_unless_a_base_is_named(pull_request):
    """The pull request is one to `release`, which is ahead of `main`."""
    pull_request.has_branch("release", TWO_JOBS)
    pull_request.check(target="release")
    pull_request.check(target="release", base="origin/main")
    assert re.findall(r"### sinkd plan: ([\w ]+)", pull_request.summary) == [
        "no changes",
        "1 to add",
    ]


@pytest.mark.slow
def test_a_shallow_clone_is_told_what_to_do(pull_request):
    commits, shallow = pull_request.clone, pull_request.home / "shallow"
    run("git", "init", "-q", shallow)
    run("git", "fetch", "-q", "--depth=1", f"file://{commits}", "main", cwd=shallow)
    run("git", "checkout", "-q", "FETCH_HEAD", cwd=shallow)
    pull_request.clone = shallow
    assert "fetch-depth: 0" in pull_request.check()[1]


def test_the_token_of_pull_request_target_is_not_used(pull_request):
    code, said = pull_request.check(event="pull_request_target")
    assert code == 2
    assert "run sinkd on pull_request" in said
    assert pull_request.calls == []


def test_an_input_is_never_code(pull_request):
    owned = pull_request.home / "owned"
    code, _ = pull_request.check(files=f"$(touch${{IFS}}{owned})", base=f"$(touch {owned})")
    assert code == 2
    assert not owned.exists()
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]


@pytest.mark.slow
def test_the_first_step_installs_the_sinkd_of_the_action(program, tmp_path):
    """From a commit of this tree, as on the runner; the second step finds it there."""
    source = tmp_path / "action"
    run(program("git"), "clone", "-q", "--depth=1", f"file://{ROOT}", source)
    given = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(source), "VERSION": ""}
    run("bash", "-c", ACTION["runs"]["steps"][0]["run"], env=os.environ | given)
    assert run(tmp_path / "sinkd" / "bin" / "sinkd", "--version") == f"sinkd {__version__}\n"
