"""Embeddings: unit vectors in which texts that share words are near each other."""

import base64
import math
import struct
from array import array
from hashlib import blake2b
from typing import Final

from penstock.errors import Refusal
from penstock.sample.answers.completions import prompts
from penstock.sample.answers.words import Json, count

_DIMENSIONS: Final = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS: Final = 1536
_MOST_DIMENSIONS: Final = 3072
_PLACES: Final = 16
"""How many places of the vector one word moves; few enough that two words rarely share one."""


def answer(body: Json, _number: int, _created: int) -> Json:
    """Give one embedding for each text or token array. Raises Refusal (400)."""
    size = body.get("dimensions") or _DIMENSIONS.get(body["model"], _DEFAULT_DIMENSIONS)
    if not isinstance(size, int) or not 0 < size <= _MOST_DIMENSIONS:
        message = f"dimensions must be a whole number from 1 to {_MOST_DIMENSIONS}."
        raise Refusal(400, "invalid_value", message, param="dimensions")
    texts = prompts(body["input"])
    encoded = body.get("encoding_format") == "base64"
    tokens = sum(map(count, texts))
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": place, "embedding": _told(vector(text, size), encoded)}
            for place, text in enumerate(texts)
        ],
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def vector(text: str, size: int) -> array[float]:
    """Add up the places of the text's words and bring the sum to length one."""
    sums = [0.0] * size
    for word in text.lower().split():
        digest = blake2b(word.strip(".,;:!?\"'()").encode(), digest_size=4 * _PLACES).digest()
        for place in struct.unpack(f"<{_PLACES}I", digest):
            sums[(place >> 1) % size] += 1.0 if place & 1 else -1.0
    length = math.hypot(*sums)
    if length == 0.0:  # no words, or words that cancel each other out in a short vector
        sums[0], length = 1.0, 1.0
    return array("f", (value / length for value in sums))


def _told(values: array[float], encoded: bool) -> str | list[float]:
    if not encoded:
        return values.tolist()
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
