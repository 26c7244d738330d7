"""The deployment files pass their own ecosystems' linters, and say only what sinkd understands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sinkd import __version__
from sinkd.cli import sinkd

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "sinkd.service").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
INSTALLED = "/opt/sinkd/bin/sinkd"


def run(*command, **options):
    """Run a program, which must succeed, and return what it printed on either stream."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def unit(tmp_path):
    """Return the unit with a stand-in for the program, which is not installed here."""
    path = tmp_path / "sinkd.service"
    path.write_text(UNIT.replace(INSTALLED, "/bin/true"))
    return path


def test_systemd_understands_every_line_of_the_unit(program, unit):
    assert run(program("systemd-analyze"), "verify", "--man=no", unit) == ""


def test_the_unit_exposes_little(program, unit):
    run(program("systemd-analyze"), "security", "--offline=true", "--threshold=20", unit)


def test_the_unit_waits_longer_than_the_drain():
    drain = int(re.search(r"--drain-seconds (\d+)", UNIT)[1])
    assert drain < int(re.search(r"TimeoutStopSec=(\d+)", UNIT)[1])


def test_hadolint_finds_nothing_in_the_dockerfile(program):
    run(program("hadolint"), DEPLOY / "Dockerfile")


def test_the_image_carries_the_version_of_the_package():
    assert f'org.opencontainers.image.version="{__version__}"' in DOCKERFILE
    assert f"image: sinkd:{__version__}" in (DEPLOY / "compose.yaml").read_text()
    assert f"newTag: {__version__}" in (DEPLOY / "kubernetes" / "kustomization.yaml").read_text()


@pytest.mark.slow
def test_the_commands_of_the_build_stage_make_a_sinkd_that_runs(tmp_path):
    """No engine is needed: the stage's COPY and RUN lines are carried out in a directory."""
    source, image = tmp_path / "src", tmp_path / "image"
    source.mkdir()
    run(sys.executable, "-m", "venv", image)
    places = {"/opt/sinkd": tmp_path / "sinkd", "/wheel": tmp_path / "wheel"}
    environment = os.environ | {"PATH": f"{image}/bin:{os.environ['PATH']}"}
    stage = DOCKERFILE.replace("\\\n", "").split("\nFROM ")[1]
    for word, line in re.findall(r"^(COPY|RUN) (.*)$", stage, re.MULTILINE):
        if word == "COPY":
            *files, target = line.split()
            run("cp", "-r", *files, source / target if target != "./" else source, cwd=ROOT)
        else:
            for inside, outside in places.items():
                line = line.replace(inside, str(outside))  # noqa: PLW2901 - the same line, here
            run("bash", "-ec", line, cwd=source, env=environment)
    assert run(tmp_path / "sinkd" / "bin" / "sinkd", "--version") == f"sinkd {__version__}\n"
    assert "url" in run(tmp_path / "sinkd" / "bin" / "sinkd", "schema", "jobs")


def test_the_build_sees_only_what_the_image_needs():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert ignored[0] == "*"
    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert allowed == {name for line in copied for name in line.split()}


def test_the_compose_file_follows_its_specification(program):
    check = [program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    run(*check, DEPLOY / "compose.yaml")


def test_compose_mounts_a_directory_so_that_a_rename_is_seen():
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["sinkd"]
    mounted = service["volumes"][0].rsplit(":", 2)[1]
    assert f"SINKD_CONFIG={mounted}/jobs.yaml" in DOCKERFILE


@pytest.fixture
def manifests(program):
    """Return what kustomize renders."""
    return run(program("kubectl"), "kustomize", DEPLOY / "kubernetes")


def test_the_rendered_manifests_are_valid_to_the_strict_reader(program, manifests, tmp_path):
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(manifests)
    said = run(program("kubernetes-validate"), "--strict", rendered)
    assert len(re.findall("passed for resource", said)) == 3


def test_kubernetes_waits_longer_than_the_drain(manifests):
    pod = deployment(manifests)["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    drain = int(arguments[arguments.index("--drain-seconds") + 1])
    assert drain < pod["terminationGracePeriodSeconds"]


def test_two_daemons_never_share_the_data_directory(manifests):
    spec = deployment(manifests)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def deployment(manifests):
    """Return the one Deployment of the rendered manifests."""
    documents = yaml.safe_load_all(manifests)
    return next(document for document in documents if document["kind"] == "Deployment")


def command_lines():
    """Yield each command line for sinkd that a deployment file holds, as a list of words."""
    yield shlex.split(re.search(rf"ExecStart={INSTALLED} (.*)", UNIT)[1])
    for words in re.findall(
        r"^CMD (\[.*\])|^HEALTHCHECK .* CMD (\[.*\])", DOCKERFILE, re.MULTILINE
    ):
        yield [word for word in yaml.safe_load("".join(words)) if word != "sinkd"]
    yield yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["sinkd"]["command"]
    document = yaml.safe_load((DEPLOY / "kubernetes" / "deployment.yaml").read_text())
    container = document["spec"]["template"]["spec"]["containers"][0]
    yield container["args"]
    yield container["livenessProbe"]["exec"]["command"][1:]


@pytest.mark.parametrize("words", list(command_lines()), ids=" ".join)
def test_sinkd_knows_the_options_that_the_deployment_files_give_it(words):
    result = CliRunner().invoke(sinkd, [*words, "--help"])
    assert result.exit_code == 0, result.output
