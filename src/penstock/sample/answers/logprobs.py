"""Made-up but well-formed log probabilities: every token is likely, its rivals less so."""

from typing import Any, Final

from penstock.sample.answers.words import Json

_OWN: Final = -0.25
_RIVAL_STEP: Final = 1.5


def of_tokens(tokens: list[str], top: Any) -> list[Json]:  # noqa: ANN401
    """Give one entry a token, each with `top` entries of its own, the token itself first."""
    return [_entry(token, top if isinstance(top, int) else 0) for token in tokens]


def _entry(token: str, top: int) -> Json:
    rivals = [_plain(f"{token}{rank}" if rank else token, _OWN - rank * _RIVAL_STEP) for rank in range(top)]
    return {**_plain(token, _OWN), "top_logprobs": rivals}


def _plain(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def without_bytes(entries: list[Json]) -> list[Json]:
    """Give the shorter shape that the text deltas of a response carry."""
    return [
        {
            "token": entry["token"],
            "logprob": entry["logprob"],
            "top_logprobs": [
                {"token": rival["token"], "logprob": rival["logprob"]} for rival in entry["top_logprobs"]
            ],
        }
        for entry in entries
    ]


def legacy(tokens: list[str], top: int, offset: int = 0) -> Json:
    """Give the old shape of text completions; `offset` is where the first token starts, in characters."""
    starts = [offset + sum(len(token) for token in tokens[:at]) for at in range(len(tokens))]
    entries = of_tokens(tokens, top)
    return {
        "tokens": tokens,
        "token_logprobs": [_OWN for _ in tokens],
        "top_logprobs": [
            {rival["token"]: rival["logprob"] for rival in entry["top_logprobs"]} for entry in entries
        ],
        "text_offset": starts,
    }
