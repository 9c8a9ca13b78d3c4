import pytest
from openai.types import Completion

from penstock.openai.sse import DONE
from penstock.sample.answers import completions


def ask(prompt: object = "once upon", **fields) -> dict:
    return {"model": "gpt-3.5-turbo-instruct", "prompt": prompt, **fields}


def answered(prompt: object = "once upon", **fields) -> Completion:
    return Completion.model_validate(completions.answer(ask(prompt, **fields), 7, 1_800_000_000), strict=True)


def streamed(prompt: object = "once upon", **fields) -> list[dict]:
    events = completions.events(ask(prompt, stream=True, **fields), 7, 1_800_000_000)
    assert events[-1].data == DONE
    for event in events[:-1]:  # the SDK's type has no null finish_reason, which OpenAI sends
        choices = [{**choice, "finish_reason": "stop"} for choice in event.json["choices"]]
        Completion.model_validate({**event.json, "choices": choices}, strict=True)
    return [event.json for event in events[:-1]]


def test_the_object_is_whole():
    told = answered()
    assert (told.id, told.object) == ("cmpl-00000007", "text_completion")
    assert told.choices[0].text == "You said: once upon"
    assert told.choices[0].finish_reason == "stop"
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens, told.usage.total_tokens) == (2, 4, 6)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("one text", ["one text"]),
        (["one", "two"], ["one", "two"]),
        ([11, 22], ["11 22"]),
        ([[11, 22], [33]], ["11 22", "33"]),
        ([], []),
        (None, []),
    ],
)
def test_prompts_come_in_four_shapes(told, read: list[str]):
    assert completions.prompts(told) == read


def test_every_prompt_gets_its_choices():
    told = answered(["a", "b"], n=2)
    assert [choice.index for choice in told.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in told.choices] == [
        "You said: a",
        "You said (2): a",
        "You said: b",
        "You said (2): b",
    ]


def test_a_limit_ends_it_with_length():
    told = answered(max_tokens=2).choices[0]
    assert (told.text, told.finish_reason) == ("You said:", "length")


def test_echo_puts_the_prompt_before_the_answer():
    assert answered(echo=True).choices[0].text == "once uponYou said: once upon"


def test_log_probabilities_cover_the_text():
    probs = answered(logprobs=2).choices[0].logprobs
    assert probs is not None
    assert "".join(probs.tokens or []) == "You said: once upon"
    assert probs.text_offset == [0, 3, 9, 14]
    offsets = [c["choices"][0]["logprobs"]["text_offset"][0] for c in streamed(logprobs=2)[:-1]]
    assert offsets == [0, 3, 9, 14]


def test_the_stream_says_what_the_object_says():
    chunks = streamed()
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "You said: once upon"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 4 + ["stop"]
    assert all("usage" not in chunk for chunk in chunks)


def test_usage_is_streamed_where_asked():
    chunks = streamed(stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 5
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == completions.answer(ask(), 1, 1)["usage"]
