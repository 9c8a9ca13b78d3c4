"""Faults that are whole answers, as a client sees them."""

import aiohttp
import msgspec
import pytest

from penstock.sample import Running, faults

STATUSES = {
    "400": 400,
    "400-retry": 400,
    "400-text": 400,
    "401": 401,
    "403": 403,
    "404": 404,
    "408": 408,
    "409": 409,
    "422": 422,
    "429": 429,
    "429-after-K": 429,
    "429-ms": 429,
    "429-no-retry": 429,
    "429-quota": 429,
    "500": 500,
    "500-path": 500,
    "502": 502,
    "503": 503,
    "504": 504,
    "529": 529,
    "status-K": 418,
    "html": 200,
    "garbage": 200,
    "empty": 200,
    "list": 200,
}


async def told(web: aiohttp.ClientSession, url: str, body: dict) -> tuple[int, dict[str, str], bytes]:
    async with web.post(url + "/chat/completions", json=body) as answer:
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, await answer.read()


def test_every_status_fault_is_looked_at():
    assert set(STATUSES) == set(faults.STATUS)


@pytest.mark.parametrize("name", STATUSES)
async def test_the_status_is_that_of_its_name_by_prefix_and_by_model(
    sample: Running, web: aiohttp.ClientSession, chat: dict, chat_stream: dict, name: str
):
    scenario = name.replace("-K", "-418")
    for body in (chat, chat_stream):
        by_prefix = await told(web, sample.fault_url(scenario), body)
        by_model = await told(web, sample.url, {**body, "model": f"fault-{scenario}"})
        assert by_prefix[0] == by_model[0] == STATUSES[name]
        assert by_prefix[2] == by_model[2]


@pytest.mark.parametrize(
    "name",
    [name for name, status in STATUSES.items() if status >= 400 and name not in ("400-text", "422", "502")],
)
async def test_errors_have_openais_shape(sample: Running, web: aiohttp.ClientSession, chat: dict, name: str):
    _, headers, body = await told(web, sample.fault_url(name.replace("-K", "-418")), chat)
    error = msgspec.json.decode(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("scenario", "header", "value"),
    [
        ("429", "retry-after", "2"),
        ("429-after-200", "retry-after", "200"),
        ("429-ms", "retry-after-ms", "1500"),
        ("429-no-retry", "x-should-retry", "false"),
        ("400-retry", "x-should-retry", "true"),
        ("503", "retry-after", "1"),
    ],
)
async def test_headers_about_retries(
    sample: Running, web: aiohttp.ClientSession, chat: dict, scenario: str, header: str, value: str
):
    assert (await told(web, sample.fault_url(scenario), chat))[1][header] == value


@pytest.mark.parametrize(
    ("scenario", "kind", "part"),
    [
        ("429-quota", "application/json", b'"code":"insufficient_quota"'),
        ("500-path", "application/json", b"/srv/models/serving/engine.py"),
        ("422", "application/json", b'{"detail":['),
        ("400-text", "text/plain", b"bad request"),
        ("502", "text/html", b"<html>"),
        ("html", "text/html", b"<html>"),
        ("list", "application/json", b"[1,2,3]"),
    ],
)
async def test_what_stands_in_the_body(
    sample: Running, web: aiohttp.ClientSession, chat: dict, scenario: str, kind: str, part: bytes
):
    _, headers, body = await told(web, sample.fault_url(scenario), chat)
    assert headers["content-type"] == kind
    assert part in body


async def test_garbage_is_no_json_and_empty_is_empty(sample: Running, web: aiohttp.ClientSession, chat: dict):
    _, _, garbage = await told(web, sample.fault_url("garbage"), chat)
    with pytest.raises(UnicodeDecodeError):
        garbage.decode()
    _, headers, empty = await told(web, sample.fault_url("empty"), chat)
    assert (empty, headers["content-length"]) == (b"", "0")


@pytest.mark.parametrize("wrong", ["status-200", "status-999"])
async def test_a_number_that_is_no_error_status_is_500(
    sample: Running, web: aiohttp.ClientSession, chat: dict, wrong: str
):
    assert (await told(web, sample.fault_url(wrong), chat))[0] == 500


async def test_a_flaky_fault_fails_so_often_and_then_heals_until_the_reset(
    sample: Running, web: aiohttp.ClientSession, chat: dict
):
    async def statuses(scenario: str) -> list[int]:
        return [(await told(web, sample.fault_url(scenario), chat))[0] for _ in range(4)]

    assert await statuses("flaky-2-503") == [503, 503, 200, 200]
    assert await statuses("flaky-1-429-after-7") == [429, 200, 200, 200]
    assert await statuses("flaky-2-503") == [200] * 4
    sample.reset()
    assert await statuses("flaky-2-503") == [503, 503, 200, 200]


async def test_a_fault_meets_every_endpoint_under_its_prefix(sample: Running, web: aiohttp.ClientSession):
    async with web.get(sample.fault_url("503") + "/models") as answer:
        assert answer.status == 503
    async with web.post(sample.fault_url("503") + "/files", data=b"x" * 100_000) as answer:
        assert answer.status == 503


async def test_a_name_that_is_no_fault_is_told_with_those_that_are(
    sample: Running, web: aiohttp.ClientSession, chat: dict
):
    for url, body in ((sample.fault_url("nothing"), chat), (sample.url, {**chat, "model": "fault-nothing"})):
        status, _, raw = await told(web, url, body)
        error = msgspec.json.decode(raw)["error"]
        assert (status, error["code"]) == (404, "unknown_fault")
        assert "cut-K" in error["message"]
