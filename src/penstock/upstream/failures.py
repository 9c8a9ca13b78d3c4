"""What can go wrong between us and an upstream, each with the code a client can rely on."""

from penstock.errors import Refusal
from penstock.openai.sse import Event


class UpstreamFailed(Refusal):
    """The upstream gave no usable answer. `event` is its own error event, passed on as it came."""

    event: Event | None = None


def unreachable() -> UpstreamFailed:
    """No connection: refused, unknown host, or a certificate that does not hold."""
    return UpstreamFailed(502, "upstream_unreachable", "The upstream can't be reached.")


def timed_out(which: str) -> UpstreamFailed:
    """A limit of upstreams.yaml passed: `connect`, `first_byte`, `between_events` or `total`."""
    return UpstreamFailed(
        504, f"upstream_{which}_timeout", f"The upstream took longer than {which}_s allows.", kind="timeout"
    )


def closed() -> UpstreamFailed:
    """The connection ended before the answer's headers."""
    return UpstreamFailed(502, "upstream_closed", "The upstream closed the connection without an answer.")


def truncated() -> UpstreamFailed:
    """The answer ended before it was whole."""
    return UpstreamFailed(502, "upstream_stream_truncated", "The upstream's answer was cut before its end.")


def garbled() -> UpstreamFailed:
    """Something came that is no answer of this endpoint."""
    return UpstreamFailed(
        502, "upstream_stream_garbled", "The upstream sent something that is not an answer."
    )


def too_large() -> UpstreamFailed:
    """The answer passed max_answer_bytes."""
    return UpstreamFailed(502, "upstream_answer_too_large", "The upstream's answer is larger than allowed.")


def invalid(status: int) -> UpstreamFailed:
    """A status with a body that is not OpenAI's JSON; nothing of the body is passed on."""
    if status < 400:
        return UpstreamFailed(502, "upstream_invalid_answer", "The upstream's answer is not valid JSON.")
    return UpstreamFailed(status, "upstream_error", f"The upstream answered with status {status}.")


def told(event: Event) -> UpstreamFailed:
    """The upstream reported an error inside its stream."""
    failed = UpstreamFailed(502, "upstream_error", "The upstream reported an error while it answered.")
    error = event.json.get("error") if isinstance(event.json, dict) else None
    if isinstance(error, dict):
        failed.event = event
    return failed


def misconfigured() -> UpstreamFailed:
    """A secret or a certificate of upstreams.yaml can't be read; the start-up check names it."""
    return UpstreamFailed(503, "upstream_misconfigured", "The upstream's key or certificate can't be read.")
