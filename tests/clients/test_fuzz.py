"""The short form of `cargo xtask fuzz`; and that what convicts in it does."""

import http.client
import random

import pytest

import fuzz
import modelled

REQUESTS = 6000


def test_no_request_is_too_malformed(tmp_path):
    seed = random.SystemRandom().randrange(2**32)
    found = fuzz.attack(tmp_path, seed, range(REQUESTS))
    assert not found, f"cargo xtask fuzz --seed {seed} --number N makes one again:\n" + "\n".join(found)


def test_a_seed_makes_the_same_requests_again():
    assert [fuzz.make(7, number) for number in range(200)] == [fuzz.make(7, number) for number in range(200)]
    made = [fuzz.make(7, number) for number in range(3000)]
    assert {(one.service, one.protocol) for one in made} == {*fuzz.SERVICES, *fuzz.ABSENT}
    assert {one.operation for one in made if one.service == "lambda"} == set(modelled.service("lambda").operation_names)


def answered(status, body, kind="application/json", **more):
    headers = http.client.HTTPMessage()
    for key, value in {"x-amzn-requestid": "1", "content-type": kind, **more}.items():
        headers[key] = value
    return status, headers, body


# An answer, and what is found in it.
ANSWERS = {
    "a failure of the server": ("rest-json", answered(500, b"{}"), "500"),
    "no answer": ("rest-json", None, "no answer"),
    "no JSON": ("rest-json", answered(400, b"{"), "cannot be read"),
    "no code": ("rest-json", answered(400, b"{}"), "without a code"),
    "no XML": ("query", answered(400, b"<Error", "text/xml"), "cannot be read"),
    "no CBOR": ("smithy-rpc-v2-cbor", answered(400, b"\xbf", "application/cbor"), "cannot be read"),
    "a refusal": ("rest-json", answered(400, b'{"message":"no"}', **{"x-amzn-ErrorType": "ValidationException"}), None),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_is_wrong_with_an_answer_is_found(case):
    protocol, got, wanted = ANSWERS[case]
    service, operation = ("lambda", "GetFunction") if protocol == "rest-json" else ("cloudwatch", "PutMetricData")
    made = fuzz.Made(service=service, protocol=protocol, operation=operation, altered=0, reusable=True)
    found = fuzz.complaint(made, got)
    assert (found is None) if wanted is None else (found and wanted in found), found
