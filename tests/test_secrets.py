"""References: where they are looked up, what is refused, and that no value is ever shown."""

import os
import traceback

import pytest
import structlog

from sinkd.grammar import Reference
from sinkd.secrets import MASK, Masked, MissingSecret, Secrets, default_secrets_dirs
from sinkd.spec import Interval, Job, Request

VALUE = "s3cr3t/v+lue é"


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "secrets"
    path.mkdir()
    return path


@pytest.fixture
def secrets(directory):
    return Secrets({"TOKEN": VALUE, "EMPTY": "", "BROKEN": "\udcff"}, [directory])


def why(secrets, text):
    with pytest.raises(MissingSecret) as missing:
        secrets.resolve(text)
    shown = "".join(traceback.format_exception(missing.value))
    assert "s3cr3t" not in shown
    return str(missing.value)


def test_a_reference_stands_for_its_value_and_an_escaped_one_for_itself(secrets):
    assert secrets.resolve("Bearer ${env:TOKEN}!") == f"Bearer {VALUE}!"
    assert secrets.resolve("$${env:TOKEN} $5") == "${env:TOKEN} $5"
    assert secrets.resolve("plain") == "plain"


def test_a_value_is_never_read_for_references_again():
    assert Secrets({"A": "${env:B}", "B": "b"}, []).resolve("${env:A}") == "${env:B}"


def test_in_a_url_all_but_unreserved_characters_are_percent_encoded(secrets):
    assert (
        secrets.resolve_url("https://h/a?b=${env:TOKEN}&c=~")
        == "https://h/a?b=s3cr3t%2Fv%2Blue%20%C3%A9&c=~"
    )


def test_in_a_body_texts_are_resolved_at_any_depth_but_no_keys(secrets):
    body = {"a": ["${env:TOKEN}", 1, None, True, {"b": "${env:TOKEN}"}], "${env:TOKEN}": 2.5}
    assert secrets.resolve_body(body) == {
        "a": [VALUE, 1, None, True, {"b": VALUE}],
        "${env:TOKEN}": 2.5,
    }
    assert secrets.resolve_body("x ${env:TOKEN}") == f"x {VALUE}"
    assert secrets.resolve_body(None) is None


def test_a_value_is_read_each_time_so_that_it_can_be_rotated(directory):
    env = {"TOKEN": "one"}
    secrets = Secrets(env, [directory])
    (directory / "token").write_text("two")
    assert secrets.resolve("${env:TOKEN} ${file:token}") == "one two"
    env["TOKEN"] = "three"
    (directory / "token").write_text("four")
    assert secrets.resolve("${env:TOKEN} ${file:token}") == "three four"


def test_a_missing_variable_is_named_as_written(secrets):
    assert why(secrets, "${env:NONE}") == "`${env:NONE}` is not set in the daemon's environment"
    assert why(secrets, "${env:EMPTY}") == "`${env:EMPTY}` is empty"
    assert why(secrets, "${env:BROKEN}") == "`${env:BROKEN}` is not UTF-8 text"


def test_an_env_prefix_limits_the_variables():
    secrets = Secrets({"SINKD_TOKEN": "a", "HOME": "s3cr3t"}, [], env_prefix="SINKD_")
    assert secrets.resolve("${env:SINKD_TOKEN}") == "a"
    assert why(secrets, "${env:HOME}") == (
        "`${env:HOME}` is not allowed: `--env-prefix SINKD_` is set"
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_exactly_one_newline_at_the_end_of_a_file_is_dropped(secrets, directory, end):
    (directory / "token").write_bytes(f"{VALUE}{end}".encode())
    assert secrets.resolve("${file:token}") == VALUE


@pytest.mark.parametrize(
    "data",
    [b"s3cr3t\n\n", b"a\ns3cr3t", b"s3cr3t\r", b"s3\0cr3t", b" s3cr3t", b"s3cr3t ", b"s3cr3t\t\n"],
)
def test_a_file_with_a_line_break_a_nul_or_a_blank_at_an_end_is_refused(secrets, directory, data):
    (directory / "token").write_bytes(data)
    assert why(secrets, "${file:token}") == (
        "`${file:token}` holds a line break, a NUL, or a blank at an end"
    )


def test_a_file_of_64_kib_is_read_and_one_byte_more_refused(secrets, directory):
    (directory / "token").write_bytes(b"s3cr3t".ljust(65_536, b"x"))
    assert len(secrets.resolve("${file:token}")) == 65_536
    (directory / "token").write_bytes(b"s3cr3t".ljust(65_537, b"x"))
    assert why(secrets, "${file:token}") == "`${file:token}` holds more than 64 KiB"


def test_a_file_that_is_empty_or_no_text_is_refused(secrets, directory):
    (directory / "token").write_bytes(b"\n")
    assert why(secrets, "${file:token}") == "`${file:token}` is empty"
    (directory / "token").write_bytes(b"s3cr3t\xff")
    assert why(secrets, "${file:token}") == "`${file:token}` is not UTF-8 text"


def test_only_a_regular_file_is_read_and_a_pipe_never_waited_for(secrets, directory):
    os.mkfifo(directory / "pipe")
    (directory / "folder").mkdir()
    assert why(secrets, "${file:pipe}") == "`${file:pipe}` is not a regular file"
    assert why(secrets, "${file:folder}") == "`${file:folder}` cannot be read: is a directory"


def test_a_loop_of_symlinks_is_an_error_of_the_reference(secrets, directory):
    (directory / "token").symlink_to(directory / "token")
    assert "cannot be read: too many levels" in why(secrets, "${file:token}")


def test_the_first_directory_that_has_the_file_decides(tmp_path, directory):
    second = tmp_path / "second"
    second.mkdir()
    (second / "token").write_text("second")
    (second / "other").write_text("other")
    (directory / "token").write_text("first")
    secrets = Secrets({}, [tmp_path / "gone", directory, second])
    assert secrets.resolve("${file:token} ${file:other}") == "first other"
    assert why(secrets, "${file:none}") == "`${file:none}` is in no secrets directory"
    assert why(Secrets({}, []), "${file:none}") == "`${file:none}` is in no secrets directory"


def test_symlinks_must_stay_inside_as_those_of_kubernetes_do(tmp_path, directory):
    (directory / "..2026").mkdir()
    (directory / "..2026" / "token").write_text("inside")
    (directory / "..data").symlink_to("..2026")
    (directory / "token").symlink_to("..data/token")
    (tmp_path / "shadow").write_text("s3cr3t")
    (directory / "stolen").symlink_to(tmp_path / "shadow")
    secrets = Secrets({}, [directory])
    assert secrets.resolve("${file:token}") == "inside"
    assert why(secrets, "${file:stolen}") == "`${file:stolen}` leads out of the secrets directory"


def test_an_absolute_name_is_allowed_only_inside_a_secrets_directory(tmp_path, directory):
    (directory / "token").write_text("inside")
    (tmp_path / "shadow").write_text("s3cr3t")
    secrets = Secrets({}, [tmp_path / "gone", directory])
    assert secrets.resolve(f"${{file:{directory}/token}}") == "inside"
    assert "leads out" in why(secrets, f"${{file:{tmp_path}/shadow}}")
    assert "leads out" in why(secrets, "${file:/etc/passwd}")


def test_the_service_account_below_run_secrets_is_not_for_jobs(secrets, directory):
    account = directory / "kubernetes.io" / "serviceaccount"
    account.mkdir(parents=True)
    (account / "token").write_text("s3cr3t")
    for name in ("kubernetes.io/serviceaccount/token", account / "token"):
        reference = f"${{file:{name}}}"
        assert (
            why(secrets, reference)
            == f"`{reference}` is the pod's own credential, not one for a job"
        )


def test_secrets_directories_are_by_default_those_of_systemd_and_of_containers():
    credentials = default_secrets_dirs({"CREDENTIALS_DIRECTORY": "/run/credentials/x"})
    assert [str(path) for path in credentials] == ["/run/credentials/x", "/run/secrets"]
    assert [str(path) for path in default_secrets_dirs({})] == ["/run/secrets"]


def job():
    request = Request(
        "https://h/${env:A}",
        headers=(("X", "${env:TOKEN} ${env:B}"), ("Y", "plain")),
        body={"deep": [{"er": "${file:c}"}, 1]},
    )
    return Job("j", Interval(5), request, 60, 60, signing_secret="${env:D} ${env:A}")


def test_the_references_of_a_job_are_those_of_url_headers_body_and_signing():
    assert [str(reference) for reference in job().references] == [
        "${env:A}",
        "${env:TOKEN}",
        "${env:B}",
        "${file:c}",
        "${env:D}",
        "${env:A}",
    ]


def test_missing_lists_each_reference_that_cannot_be_resolved_once(secrets):
    assert secrets.missing(job()) == ["${env:A}", "${env:B}", "${env:D}", "${file:c}"]


def test_a_variable_that_is_no_text_is_refused():
    for surrogate in ("\ud800", "\udcff", "\udfff"):
        secrets = Secrets({"RAW": f"s3cr3t-{surrogate}"}, [])
        assert why(secrets, "${env:RAW}") == "`${env:RAW}` is not UTF-8 text"


def test_a_mask_needs_no_secret_and_shows_as_itself_also_in_a_url():
    masked = Masked()
    assert masked.resolve("Bearer ${env:NONE}") == f"Bearer {MASK}"
    assert masked.resolve_url("https://h/?a=${file:none}") == f"https://h/?a={MASK}"


def test_a_value_under_8_characters_is_warned_of_once_for_each_reference():
    secrets = Secrets({"SHORT": "1234567", "LONG": "12345678"}, [])
    with structlog.testing.capture_logs() as said:
        for _ in range(2):
            secrets.resolve("${env:SHORT} ${env:LONG}")
    assert said == [
        {"event": "secret_short", "reference": "${env:SHORT}", "under": 8, "log_level": "warning"}
    ]
    assert "1234567" not in str(said)


def test_a_signing_key_is_known_without_its_prefix_too():
    secrets = Secrets({"KEYS": "whsec_Zmlyc3Qta2V5 whsec_c2Vjb25kLWtleQ=="}, [])
    secrets.resolve("${env:KEYS}")
    assert secrets.redactor.redact("Zmlyc3Qta2V5, c2Vjb25kLWtleQ==") == "[redacted], [redacted]"


def test_no_repr_shows_a_value_and_every_value_is_known_to_the_redactor(secrets):
    secrets.value(Reference("env", "TOKEN"))
    assert "s3cr3t" not in repr(secrets) + repr(secrets.redactor)
    assert "s3cr3t" not in secrets.redactor.redact(f"error near {VALUE}")
