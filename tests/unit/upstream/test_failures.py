"""Each failure has a status a proxy would use and a code that clients can rely on."""

import pytest

from penstock.openai import sse
from penstock.upstream import failures
from penstock.upstream.failures import UpstreamFailed


@pytest.mark.parametrize(
    ("failed", "status", "code", "kind"),
    [
        (failures.unreachable(), 502, "upstream_unreachable", "api_error"),
        (failures.timed_out("connect"), 504, "upstream_connect_timeout", "timeout"),
        (failures.timed_out("first_byte"), 504, "upstream_first_byte_timeout", "timeout"),
        (failures.timed_out("between_events"), 504, "upstream_between_events_timeout", "timeout"),
        (failures.timed_out("total"), 504, "upstream_total_timeout", "timeout"),
        (failures.closed(), 502, "upstream_closed", "api_error"),
        (failures.truncated(), 502, "upstream_stream_truncated", "api_error"),
        (failures.garbled(), 502, "upstream_stream_garbled", "api_error"),
        (failures.too_large(), 502, "upstream_answer_too_large", "api_error"),
        (failures.invalid(200), 502, "upstream_invalid_answer", "api_error"),
        (failures.invalid(302), 502, "upstream_invalid_answer", "api_error"),
        (failures.invalid(429), 429, "upstream_error", "invalid_request_error"),
        (failures.invalid(503), 503, "upstream_error", "api_error"),
        (failures.misconfigured(), 503, "upstream_misconfigured", "api_error"),
    ],
)
def test_each_failures_words_are_stable(failed: UpstreamFailed, status: int, code: str, kind: str) -> None:
    assert (failed.status, failed.code, failed.kind) == (status, code, kind)
    assert failed.event is None


def test_a_timeout_names_the_setting_that_would_change_it() -> None:
    assert "between_events_s" in failures.timed_out("between_events").message


def test_an_error_in_openais_shape_is_kept_as_it_came() -> None:
    event = sse.encode({"error": {"message": "overloaded"}})
    assert failures.told(event).event is event
    assert sse.error(failures.told(event)) is event


@pytest.mark.parametrize("told", [{"error": "a path of the server: /srv/app/x"}, {"detail": "no"}, ["x"]])
def test_an_error_in_any_other_shape_is_told_in_our_words(told: object) -> None:
    failed = failures.told(sse.encode(told))
    assert failed.event is None
    assert b"/srv" not in sse.error(failed).raw
    assert sse.error(failed).json == failed.shape()
