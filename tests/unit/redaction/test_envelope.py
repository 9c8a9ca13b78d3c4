"""The query and the headers are read, too."""

import pytest
from multidict import CIMultiDict

from penstock.detect import Engine
from penstock.redaction.envelope import telling_answer_headers, telling_headers, telling_query

FIND = Engine().find
SDK = {
    "Accept": "application/json",
    "User-Agent": "AsyncOpenAI/Python 3.54.0",
    "x-stainless-runtime-version": "3.13.0",
    "x-stainless-retry-count": "0",
}


def test_what_an_sdk_sends_tells_nothing():
    assert telling_headers(CIMultiDict(SDK), FIND) == []


def test_a_header_that_holds_a_value_is_named_and_no_other():
    headers = CIMultiDict({**SDK, "X-Account": "DE89370400440532013000", "X-Team": "red"})
    assert telling_headers(headers, FIND) == ["X-Account"]


def test_the_headers_name_is_a_word_near_the_value():
    headers = CIMultiDict({"X-Passport-Number": "912803456", "X-Count": "912803456"})
    assert telling_headers(headers, FIND) == ["X-Passport-Number"]


def test_every_header_of_one_name_is_read_and_the_next_one_is_not_meant():
    headers = CIMultiDict([("X-A", "red"), ("x-a", "ann@example.com"), ("X-B", "blue")])
    assert telling_headers(headers, FIND) == ["x-a"]


@pytest.mark.parametrize("name", ["openai-organization", "Accept-Language", "x-stainless-os", "x-any"])
def test_no_name_of_a_header_keeps_its_value_from_being_read(name):
    assert telling_headers(CIMultiDict({name: "ann@example.com"}), FIND) == [name]


def test_a_key_to_ask_again_is_no_secret():
    key = "stainless-python-retry-0b1c7d5e-33d1-4a0e-9d53-6f0a3a1b2c3d"
    assert telling_headers(CIMultiDict({"Idempotency-Key": key}), FIND) == []
    assert telling_headers(CIMultiDict({"Idempotency-Key": "ann@example.com"}), FIND) == ["Idempotency-Key"]


def test_what_providers_send_tells_nothing():
    headers = CIMultiDict(
        {
            "date": "Mon, 23 Nov 2026 11:00:00 GMT",
            "x-request-id": "req_9d5e0b1c7d5e33d14a0e9d536f0a3a1b",
            "openai-organization": "org-7Kq2mLx9VbC4nKw8sYd3HfJ6",
            "openai-processing-ms": "412",
            "x-ratelimit-reset-tokens": "6m0s",
            "cf-ray": "8d5e0b1c7d5e33d1-FRA",
        }
    )
    assert telling_answer_headers(headers, FIND) == []
    assert telling_answer_headers(CIMultiDict({**headers, "Location": "/u/ann@example.com"}), FIND) == [
        "Location"
    ]


def test_a_query_is_read_as_the_server_will():
    assert telling_query("who=ann%40example.com", FIND) == "EMAIL"
    assert telling_query("api-version=preview&include=usage", FIND) is None
    assert telling_query("", FIND) is None
