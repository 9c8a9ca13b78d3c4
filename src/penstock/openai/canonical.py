"""The request as a cache sees it: one spelling for all requests that mean the same."""

from dataclasses import dataclass
from typing import Final

from penstock.openai import wire_json
from penstock.openai.request import Endpoint, Json

UNTOLD: Final = frozenset(
    {
        "stream",  # how the answer travels, not what it says
        "stream_options",  # likewise: a usage chunk, padding
        "user",  # the provider's abuse detection
        "safety_identifier",  # its successor
        "metadata",  # labels for the provider's dashboard
        "prompt_cache_key",  # steers the provider's own prompt cache: price and speed only
        "prompt_cache_retention",  # likewise
        "prompt_cache_options",  # likewise
    }
)
"""The fields that do not change the answer. All others count, known or not; `store` does too, because
it decides whether the answer can be fetched later."""

# A response object repeats these. Were they left out of its key, one user would read another's.
_ECHOED: Final = UNTOLD - {"stream", "stream_options"}


def canonical(endpoint: Endpoint, body: Json) -> bytes:
    """Give the bytes that name what is asked, whatever the order, spacing or escapes of its JSON.

    `1` and `1.0` stay apart, as do null and absent: providers are free to tell them apart, and a
    needless miss costs less than a wrong hit.
    """
    silent = UNTOLD - _ECHOED if endpoint is Endpoint.RESPONSES else UNTOLD
    counts = {name: value for name, value in body.items() if name not in silent}
    return endpoint.encode() + b"\n" + wire_json.encode(counts, sort=True)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How freely the model may answer; `temperature` as the API reads it where it is absent: 1.0."""

    temperature: float = 1.0
    n: int = 1


def sampling(body: Json) -> Sampling:
    """Read the sampling fields; what is no number counts as absent."""
    temperature, n = body.get("temperature"), body.get("n")
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        temperature = 1.0
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        n = 1
    return Sampling(temperature, n)


def stateful(endpoint: Endpoint, body: Json) -> str | None:
    """Say why an answer must not be reused, or None. A previous response never changes, so it may be."""
    if endpoint is not Endpoint.RESPONSES:
        return None
    if body.get("conversation") is not None:
        return "conversation"  # each answer is appended to it
    return "background" if body.get("background") is True else None
