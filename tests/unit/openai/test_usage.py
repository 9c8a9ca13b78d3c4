"""Usage, in the words of every endpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai.usage import Usage, read


def test_chat_words():
    told = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert read({"usage": told}) == Usage(9, 4, 3, 2)


def test_responses_words():
    told = {
        "input_tokens": 9,
        "output_tokens": 4,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    assert read({"usage": told}) == Usage(9, 4, 3, 2)


def test_embeddings_have_no_output():
    assert read({"usage": {"prompt_tokens": 5, "total_tokens": 5}}) == Usage(5)


@pytest.mark.parametrize("answer", [None, [], "x", 3, {}, {"usage": None}, {"usage": []}, {"usage": "9"}])
def test_no_usage(answer):
    assert read(answer) is None


@pytest.mark.parametrize("junk", [None, "9", -1, [], {}, True, False])
def test_a_junk_count_is_zero(junk):
    usage = read({"usage": {"prompt_tokens": junk, "completion_tokens": 4, "prompt_tokens_details": junk}})
    assert usage == Usage(0, 4)
    assert usage is not None
    assert type(usage.input_tokens) is int


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["usage", "prompt_tokens", "input_tokens", "input_tokens_details", "cached_tokens"]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(json)
def test_no_json_breaks_it(answer):
    usage = read(answer)
    assert usage is None or usage.input_tokens >= 0
