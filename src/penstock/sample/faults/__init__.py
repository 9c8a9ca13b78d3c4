"""Scripted faults, each with a name: `/fault/<name>/v1/...` or the model `fault-<name>` meets it.

In a name of the table, K stands for a number; `flaky-N-<name>` is any fault that fails N calls and
then answers well.
"""

import re
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from penstock.errors import Refusal
from penstock.sample.call import Call
from penstock.sample.endpoints import good
from penstock.sample.faults import bends, connection, status, stream
from penstock.sample.faults.status import Act, content, openai
from penstock.sample.faults.stream import bent, compressed, of_streams

MODEL_PREFIX: Final = "fault-"

_FLAKY: Final = re.compile(r"flaky-(\d{1,9})-(.+)")
_NUMBERED: Final = re.compile(r"(.+)-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, in a line, and the function that makes it happen."""

    description: str
    act: Act


STATUS: Final = {
    "400": Fault("400, an invalid request", openai(400, "invalid_value")),
    "400-retry": Fault("400 with x-should-retry: true", openai(400, "invalid_value", x_should_retry="true")),
    "400-text": Fault("400 as text/plain", content(400, b"bad request", "text/plain")),
    "401": Fault("401, a wrong key", openai(401, "invalid_api_key")),
    "403": Fault("403, a region that is not served", openai(403, "unsupported_country_region_territory")),
    "404": Fault("404, an unknown model", openai(404, "model_not_found")),
    "408": Fault("408, a timeout of the upstream", openai(408, "timeout")),
    "409": Fault("409, a conflict", openai(409, "conflict")),
    "422": Fault('422 as {"detail": [...]}', status.body(422, {"detail": [{"msg": "Field required"}]})),
    "429": Fault("429 with retry-after: 2", openai(429, "rate_limit_exceeded", retry_after="2")),
    "429-after-K": Fault("429 with retry-after: K", status.limited),
    "429-ms": Fault(
        "429 with retry-after-ms: 1500", openai(429, "rate_limit_exceeded", retry_after_ms="1500")
    ),
    "429-no-retry": Fault(
        "429 with x-should-retry: false", openai(429, "rate_limit_exceeded", x_should_retry="false")
    ),
    "429-quota": Fault("429 insufficient_quota", openai(429, "insufficient_quota")),
    "500": Fault("500, a server error", openai(500, "server_error")),
    "500-path": Fault("500 that tells a path of the server", openai(500, "server_error", status.PATH_TEXT)),
    "502": Fault("502 as HTML", content(502, status.HTML, "text/html")),
    "503": Fault("503 with retry-after: 1", openai(503, "overloaded", retry_after="1")),
    "504": Fault("504, a timeout behind the upstream", openai(504, "gateway_timeout")),
    "529": Fault("529, overloaded in Anthropic's words", openai(529, "overloaded_error")),
    "status-K": Fault("the error status K", status.numbered),
    "html": Fault("200 as HTML", content(200, status.HTML, "text/html")),
    "garbage": Fault("200 with bytes that are no JSON", content(200, bends.GARBAGE, "application/json")),
    "empty": Fault("200 without a body", content(200, b"", "application/json")),
    "list": Fault("200 with JSON that is a list", status.body(200, [1, 2, 3])),
}

CONNECTION: Final = {
    "close": Fault("closes (FIN) before the headers", connection.close),
    "reset": Fault("resets (RST) before the headers", connection.reset),
    "hang": Fault("sends nothing, for 120 s at most", connection.hang),
    "hang-headers": Fault("sends the headers and nothing more", connection.hang_after_head),
    "short": Fault("closes after half of the body that content-length promises", connection.short),
    "slow-headers": Fault("sends the headers byte by byte, 10 ms apart", connection.slow_head),
    "huge-K": Fault("a plain answer behind K MB of blanks", connection.huge),
}

STREAM: Final = {
    "cut-K": Fault("closes (FIN) in the middle of the body after K events", stream.cut),
    "reset-K": Fault("resets (RST) after K events", stream.reset),
    "hang-K": Fault("sends nothing more after K events", stream.hang),
    "end-K": Fault("ends properly after K events", bent(bends.first)),
    "no-done": Fault("a finish reason, but no [DONE]", bent(bends.without_done)),
    "no-finish": Fault("[DONE], but no finish reason", bent(bends.without_finish)),
    "held": Fault("stays open for 5 s after [DONE]", of_streams(stream.held)),
    "drip": Fault("one byte every 10 ms", of_streams(stream.drip)),
    "slow-first": Fault("the first event comes 2 s after the headers", of_streams(stream.slow_first)),
    "error-K": Fault("an error object as data after K events; error-0 is the first", bent(bends.error_after)),
    "error-event-K": Fault("the same with `event: error`", bent(bends.error_event_after)),
    "detail-K": Fault('{"detail": ...} as data after K events', bent(bends.detail_after)),
    "malformed-K": Fault("broken JSON as data after K events, then the rest", bent(bends.malformed_after)),
    "garbage-K": Fault("bytes that are no event after K events, then the rest", bent(bends.garbage_after)),
    "comments": Fault("`: ping` before every event", bent(bends.comments)),
    "bare-fields": Fault("blocks with only id:, retry: or event: in between", bent(bends.bare_fields)),
    "crlf": Fault("lines end by CRLF", bent(bends.crlf)),
    "cr": Fault("lines end by CR", bent(bends.cr)),
    "single-bytes": Fault("multi-byte characters, each byte a write of its own", bent(bends.single_bytes)),
    "usage-on-finish": Fault("usage on the chunk with the finish reason", of_streams(stream.usage_on_finish)),
    "huge-event-K": Fault("the first word is K MB long", bent(bends.huge_event)),
    "wrong-type": Fault("the stream is called text/plain", of_streams(stream.wrong_type)),
    "endless": Fault("words without end; /health counts the bytes taken", of_streams(stream.endless)),
    "gzip": Fault("gzip, also for plain answers; flushed per event", compressed("gzip")),
    "deflate": Fault("the same with deflate", compressed("deflate")),
}

PARAMETER: Final = {
    "no-logprobs": Fault("400 where log-probabilities are asked for, else a good answer", status.no_logprobs),
}

TABLE: Final = {**STATUS, **CONNECTION, **STREAM, **PARAMETER}


def find(name: str) -> tuple[Fault, int] | None:
    """Give the fault of this name and its number K, 0 if it has none."""
    if name in TABLE and not name.endswith("-K"):
        return TABLE[name], 0
    numbered = _NUMBERED.fullmatch(name)
    if numbered is None or (family := TABLE.get(f"{numbered[1]}-K")) is None:
        return None
    return family, int(numbered[2])


async def answer(call: Call, scenario: str) -> web.StreamResponse:
    """Answer with this fault, or well once a flaky one has failed often enough. Raises Refusal (404)."""
    name = scenario
    if flaky := _FLAKY.fullmatch(scenario):
        call.tally.scenarios[scenario] += 1
        name = flaky[2]
    found = find(name)
    if found is None:
        raise Refusal(404, "unknown_fault", f"There is no fault of this name. There are: {', '.join(TABLE)}.")
    if flaky and call.tally.scenarios[scenario] > int(flaky[1]):
        return await good(call)
    fault, call.after = found
    return await fault.act(call)


def listing() -> str:
    """Give the table as text, a fault a line; the last says how to ask for one."""
    width = max(map(len, TABLE))
    flaky = f"{'flaky-N-…':<{width}}  any of these for N calls, then good answers"
    how = f"Ask for one by the model {MODEL_PREFIX}NAME, or by the base URL /fault/NAME/v1."
    lines = [f"{name:<{width}}  {fault.description}" for name, fault in TABLE.items()]
    return "\n".join([*lines, flaky, how])
