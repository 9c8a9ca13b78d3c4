"""Errors have OpenAI's shape and a code that clients can rely on."""

import json

import pytest

from penstock.errors import PenstockError, Refusal, StageFailed, StartError, StoreUnavailable
from penstock.upstream.failures import UpstreamFailed


def test_a_refusal_has_openais_shape() -> None:
    refusal = Refusal(400, "invalid_store", 'Must be "none".', param="X-DAC-Store")
    error = {
        "message": 'Must be "none".',
        "type": "invalid_request_error",
        "param": "X-DAC-Store",
        "code": "invalid_store",
    }
    assert refusal.shape() == {"error": error}
    assert json.loads(refusal.body()) == {"error": error}
    assert str(refusal) == 'Must be "none".'


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (499, "invalid_request_error"), (500, "api_error")]
)
def test_the_type_follows_from_the_status_unless_it_is_given(status: int, kind: str) -> None:
    assert Refusal(status, "c", "m").kind == kind
    assert Refusal(status, "c", "m", kind="timeout").kind == "timeout"


def test_the_headers_are_the_refusals_own() -> None:
    given = {"retry-after": "1"}
    refusal = Refusal(429, "c", "m", headers=given)
    refusal.headers["x"] = "y"
    assert given == {"retry-after": "1"}


def test_a_stage_that_failed_may_be_tried_again_and_says_which_it_was() -> None:
    failed = StageFailed("redaction")
    assert (failed.status, failed.code) == (503, "redaction_unavailable")
    assert "redaction" in failed.message


@pytest.mark.parametrize("kind", [StartError, StoreUnavailable, Refusal, StageFailed, UpstreamFailed])
def test_every_error_on_purpose_has_one_root(kind: type[Exception]) -> None:
    assert issubclass(kind, PenstockError)
