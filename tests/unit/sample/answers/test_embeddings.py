import base64
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from penstock.errors import Refusal
from penstock.sample.answers import embeddings


def ask(text: object, **fields) -> dict:
    return {"model": "text-embedding-3-small", "input": text, **fields}


def answered(text: object, **fields) -> CreateEmbeddingResponse:
    return CreateEmbeddingResponse.model_validate(embeddings.answer(ask(text, **fields), 1, 1), strict=True)


def nearness(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(*(embeddings.vector(t, 1536) for t in (one, other)), strict=True))


@given(st.text(), st.integers(1, 64))
def test_every_vector_has_length_one(text: str, size: int):
    vector = embeddings.vector(text, size)
    assert len(vector) == size
    assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-5)


def test_equal_texts_are_equal_and_shared_words_bring_near():
    assert nearness("How do I reset it?", "how do i reset it") == pytest.approx(1.0, abs=1e-5)
    near, far = (
        nearness("how do I reset my password", other)
        for other in ("how can I reset my password", "a recipe for plum cake")
    )
    assert near > 0.7
    assert abs(far) < 0.3


def test_the_object_is_whole():
    told = answered(["one", "two words"])
    assert [entry.index for entry in told.data] == [0, 1]
    assert (told.model, told.usage.prompt_tokens, told.usage.total_tokens) == ("text-embedding-3-small", 3, 3)
    assert told.data[0].embedding != told.data[1].embedding


@pytest.mark.parametrize(
    ("text", "count"),
    [("one", 1), (["one", "two", "three"], 3), ([101, 102], 1), ([[101], [102, 103]], 2)],
)
def test_inputs_come_in_four_shapes(text, count: int):
    assert len(answered(text).data) == count


@pytest.mark.parametrize(
    ("fields", "size"),
    [({}, 1536), ({"model": "text-embedding-3-large"}, 3072), ({"dimensions": 8}, 8), ({"dimensions": 1}, 1)],
)
def test_the_dimensions_are_the_models_or_those_asked_for(fields: dict, size: int):
    assert len(answered("hello", **fields).data[0].embedding) == size


def test_base64_holds_the_same_floats():
    plain = embeddings.answer(ask("hello world", dimensions=16), 1, 1)["data"][0]["embedding"]
    coded = embeddings.answer(ask("hello world", dimensions=16, encoding_format="base64"), 1, 1)
    read = struct.unpack("<16f", base64.b64decode(coded["data"][0]["embedding"]))
    assert list(read) == plain


@pytest.mark.parametrize("dimensions", [-1, 3073, 10**9, "8", 1.5])
def test_other_dimensions_are_refused(dimensions):
    with pytest.raises(Refusal) as refused:
        embeddings.answer(ask("hello", dimensions=dimensions), 1, 1)
    assert (refused.value.status, refused.value.param) == (400, "dimensions")
