"""The query and the headers are read, too."""

from multidict import CIMultiDict

from penstock.detect import Engine
from penstock.redaction.envelope import telling_headers, telling_query

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
    assert telling_headers(CIMultiDict({"X-Passport-Number": "912803456"}), FIND) in (
        [],
        ["X-Passport-Number"],
    )


def test_a_query_is_read_as_the_server_will():
    assert telling_query("who=ann%40example.com", FIND) == "EMAIL"
    assert telling_query("api-version=preview&include=usage", FIND) is None
    assert telling_query("", FIND) is None
