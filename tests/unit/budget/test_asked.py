"""What a request asks for: how many answers, how long, and what can't be meant."""

import pytest

from penstock.budget.asked import Asked, limited
from penstock.errors import Refusal
from unit.budget.budget_bits import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES, request

MOST = 128


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        (CHAT, {}, Asked(1)),
        (CHAT, {"max_tokens": 5}, Asked(1, "max_tokens", 5)),
        (CHAT, {"max_completion_tokens": 5}, Asked(1, "max_completion_tokens", 5)),
        (CHAT, {"max_tokens": 9, "max_completion_tokens": 5}, Asked(1, "max_completion_tokens", 5)),
        (CHAT, {"max_tokens": 3, "max_completion_tokens": 5}, Asked(1, "max_completion_tokens", 3)),
        (CHAT, {"max_tokens": None, "n": None}, Asked(1)),
        (CHAT, {"n": 3, "max_tokens": 10**30}, Asked(3, "max_tokens", 10**30)),
        (CHAT, {"max_output_tokens": -5}, Asked(1)),  # not a field of this endpoint
        (RESPONSES, {"max_output_tokens": 7, "n": 5000}, Asked(1, "max_output_tokens", 7)),
        (COMPLETIONS, {"prompt": "a", "max_tokens": 7}, Asked(1, "max_tokens", 7)),
        (COMPLETIONS, {"prompt": ["a", "b"], "n": 2}, Asked(4)),
        (COMPLETIONS, {"prompt": ["a", "b"], "n": 2, "best_of": 5}, Asked(10)),
        (COMPLETIONS, {"prompt": "a", "best_of": 5}, Asked(5)),
        (EMBEDDINGS, {"input": "a"}, Asked(0)),
    ],
)
def test_what_is_asked(path: str, body: dict, asked: Asked):
    assert Asked.of(request(path, **body), MOST) == asked


@pytest.mark.parametrize("value", [-1, 0, True, False, "12", 1.0, 1.5, [], {}, -(2**70)], ids=repr)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (CHAT, "max_tokens"),
        (CHAT, "max_completion_tokens"),
        (CHAT, "n"),
        (RESPONSES, "max_output_tokens"),
        (COMPLETIONS, "max_tokens"),
        (COMPLETIONS, "best_of"),
    ],
)
def test_a_number_that_cannot_be_meant(path: str, name: str, value: object):
    with pytest.raises(Refusal) as refused:
        Asked.of(request(path, **{name: value}), MOST)
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_value", name)
    assert repr(value) not in refused.value.message


@pytest.mark.parametrize("name", ["n", "best_of"])
def test_too_many_choices(name: str):
    with pytest.raises(Refusal) as refused:
        Asked.of(request(COMPLETIONS, **{name: MOST + 1}), MOST)
    assert (refused.value.code, refused.value.param) == ("too_many_choices", name)
    assert Asked.of(request(COMPLETIONS, **{name: MOST}), MOST).choices == MOST


@pytest.mark.parametrize(
    ("path", "body", "field", "sent"),
    [
        (CHAT, {}, "max_tokens", {"max_tokens": 9}),
        (CHAT, {}, "max_completion_tokens", {"max_completion_tokens": 9}),
        (CHAT, {"max_tokens": 50}, "max_completion_tokens", {"max_tokens": 9}),
        (
            CHAT,
            {"max_tokens": 50, "max_completion_tokens": 60},
            "max_tokens",
            {"max_tokens": 9, "max_completion_tokens": 9},
        ),
        (RESPONSES, {}, "max_tokens", {"max_output_tokens": 9}),
        (COMPLETIONS, {}, "max_completion_tokens", {"max_tokens": 9}),
    ],
)
def test_the_limit_goes_upstream_in_the_field_that_it_knows(path: str, body: dict, field: str, sent: dict):
    before = request(path, **body)
    after = limited(before, Asked.of(before, MOST), field, 9).body or {}
    assert {name: value for name, value in after.items() if name.startswith("max_")} == sent
    assert {**before.body, **sent} == after
    assert b'"max_' not in before.raw or body
