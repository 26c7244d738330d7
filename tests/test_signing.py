"""Standard Webhooks signatures, checked by its own library."""

import base64
import time

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from sinkd import signing

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
BODY = '{"mode":"research","é":1}'
RUN_ID = "trading.bot@2026-11-23T09:00:12.345Z#manual"


def signed(secret=KEY, body=BODY):
    return dict(signing.headers(secret, RUN_ID, int(time.time()), body.encode()))


def test_the_library_of_the_standard_verifies_what_was_signed():
    assert Webhook(KEY).verify(BODY, signed()) == {"mode": "research", "é": 1}


def test_another_byte_or_another_key_does_not_verify():
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(BODY + " ", signed())
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(BODY, signed())


def test_each_of_several_keys_signs_so_that_keys_can_be_rotated():
    headers = signed(f"{KEY}  {OTHER}")
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(KEY).verify(BODY, headers) == Webhook(OTHER).verify(BODY, headers)


def test_a_request_without_body_is_signed_too():
    assert Webhook(KEY).verify("", signed(body=""), json_parse=False) is None


def test_the_message_id_is_the_runs_own_and_holds_no_full_stop():
    identity = signed()["webhook-id"]
    assert "." not in identity
    assert identity == signing.message_id(RUN_ID) != signing.message_id(RUN_ID + "x")


@pytest.mark.parametrize("length", [24, 64])
def test_a_key_has_24_to_64_bytes(length):
    assert signing.keys("whsec_" + base64.b64encode(b"k" * length).decode()) == (b"k" * length,)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        " ",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        base64.b64encode(b"k" * 32).decode(),
        "whsec_" + "!" * 44,
        "whsec_" + "é" * 44,
        KEY + " hunter2hunter2",
    ],
)
def test_anything_else_is_refused_with_the_rule_and_without_the_value(secret):
    with pytest.raises(ValueError, match="signing secret") as refusal:
        signing.keys(secret)
    assert not any(part in str(refusal.value) for part in secret.split() if part != "whsec_")
