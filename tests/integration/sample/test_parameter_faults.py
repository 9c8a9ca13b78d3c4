"""A model that does not take a parameter, as a client sees it."""

import pytest
from openai import AsyncOpenAI, BadRequestError

from penstock.sample import Running, faults

SAID = [{"role": "user", "content": "hello"}]
MODEL = "fault-no-logprobs"


def test_every_parameter_fault_is_looked_at(sample: Running):
    assert set(faults.PARAMETER) == {"no-logprobs"}
    assert "no-logprobs" in faults.listing()


async def test_log_probabilities_are_refused_by_name(client: AsyncOpenAI):
    asked = [
        client.chat.completions.create(model=MODEL, messages=SAID, logprobs=True),
        client.chat.completions.create(model=MODEL, messages=SAID, stream=True, top_logprobs=2),
        client.completions.create(model=MODEL, prompt="hello", logprobs=2),
        client.responses.create(model=MODEL, input="hello", include=["message.output_text.logprobs"]),
        client.responses.create(model=MODEL, input="hello", top_logprobs=2),
    ]
    for asking in asked:
        with pytest.raises(BadRequestError, match="logprobs") as refused:
            await asking
        assert refused.value.code == "unsupported_parameter"


async def test_who_does_not_ask_gets_a_good_answer(client: AsyncOpenAI):
    whole = await client.chat.completions.create(model=MODEL, messages=SAID)
    assert whole.choices[0].message.content == "You said: hello"
    assert (await client.completions.create(model=MODEL, prompt="hello")).choices[0].text
    assert (await client.responses.create(model=MODEL, input="hello")).output_text == "You said: hello"
    stream = await client.chat.completions.create(model=MODEL, messages=SAID, stream=True)
    assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"
