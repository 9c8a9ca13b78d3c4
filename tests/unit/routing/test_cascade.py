"""Each gate escalates, the second opinion may differ, and a promise is kept or nothing is promised."""

from typing import Any

import pytest
from routing_house import of

from penstock import testing
from penstock.routing.answer_shape import answer_shape, opinion_shape
from penstock.routing.cascade import Trust, judgement
from penstock.routing.features import hashed, prompt_features
from penstock.routing.guarantee import Kept
from penstock.routing.policy import Cascade
from penstock.routing.weights import NOTHING, Weights

NUMBER = "How many apples are left?"
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["x"]}}}]


def answer(content: Any = "fine", finish: str = "stop", logprobs: Any = None, **message: Any) -> Any:
    choice = {"message": {"content": content, **message}, "finish_reason": finish, "logprobs": logprobs}
    return {"choices": [choice]}


def judge(
    said: Any = None,
    prompt: str = "hello",
    second: Any = None,
    trust: Any = None,
    body: Any = None,
    **how: Any,
):
    request = testing.exchange(
        body={"messages": [{"role": "user", "content": prompt}], **(body or {})}
    ).request
    features = prompt_features(prompt)
    said = answer() if said is None else said
    return judgement(of(Cascade, **how), request, prompt, features, said, trust or Trust(NOTHING), second)


def told(**given: Any) -> tuple[bool, str]:
    found = judge(**given)
    return found.passed, found.reason


def test_a_good_answer_passes():
    assert told() == (True, "")
    assert told(said=answer("7"), prompt=NUMBER) == (True, "")


def call(arguments: str, name: str = "f") -> Any:
    return answer(None, tool_calls=[{"function": {"name": name, "arguments": arguments}}])


LOW = {"content": [{"logprob": -3.0, "top_logprobs": [{"logprob": -3.0}, {"logprob": -3.1}]}]}
BAD = {
    "truncated": {"said": answer("so far", "length")},
    "refused": {"said": answer("I'm sorry, but no.")},
    "empty": {"said": answer("  \n")},
    "json": {"said": answer("no json"), "body": {"response_format": {"type": "json_object"}}},
    "tool_call": {"said": call("{}"), "body": {"tools": TOOLS}},
    "format": {"said": answer("quite a few"), "prompt": NUMBER},
    "code": {"said": answer("```python\ndef f(:\n```")},
    "hedging": {"said": answer("I'm not sure. I think it might be so, I am not certain.")},
    "logprobs": {"said": answer("x", logprobs=LOW), "least_mean_logprob": -2.0},
}


@pytest.mark.parametrize("gate", BAD)
def test_each_gate_escalates_and_only_where_it_stands_in_the_policy(gate):
    passed, reason = told(gates=[gate], **BAD[gate])
    assert (passed, reason.split(":")[0]) == (False, f"gate {gate}")
    others = [other for other in BAD if other != gate and (gate, other) != ("empty", "format")]
    assert told(gates=others, **BAD[gate])[0]


def test_the_margin_of_a_token_counts_too():
    low = {"said": answer("x", logprobs=LOW), "gates": ["logprobs"]}
    assert told(**low, least_margin=0.5) == (False, "gate logprobs: margin")
    assert told(**low, least_margin=0.05) == (True, "")


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        (answer("The answer is 7."), (True, "")),
        (answer("It is 8"), (False, "second opinion differs")),
        (answer("no idea"), (False, "second opinion differs")),
        ({"choices": []}, (False, "second opinion differs")),
        (None, (True, "")),
    ],
    ids=["agrees", "differs", "can't be compared", "unreadable", "none came"],
)
def test_a_second_opinion(second, outcome):
    assert told(said=answer("7"), prompt=NUMBER, second=second) == outcome


def test_what_cannot_be_read_passes():
    found = judge(said={"choices": []}, max_error=0.1)
    assert (found.passed, found.reason) == (True, "unreadable")


def kept(threshold: float) -> Kept:
    return Kept(threshold, 0.8, 200, 2, 0.03)


def doubts(text: str, gain: float) -> Weights:
    """Give weights that expect this gain of the large model after this answer to `hello`."""
    seen = prompt_features("hello").with_answer(text, answer_shape("hello", text))
    return Weights((1.0, 1.0, 1.0), gain, dict.fromkeys(seen.words, 0.0))


@pytest.mark.parametrize(
    ("trust", "outcome"),
    [
        (Trust(NOTHING), (False, "promise infeasible so far")),
        (Trust(doubts("fine", 0.2), kept(-0.3)), (True, "")),
        (Trust(doubts("fine", 0.2), kept(-0.2)), (True, "")),
        (Trust(doubts("fine", 0.2), kept(-0.1)), (False, "below the promise's threshold")),
    ],
)
def test_a_promise_is_kept_by_its_threshold_or_escalates(trust, outcome):
    assert told(max_error=0.05, trust=trust) == outcome


def test_without_a_promise_no_threshold_holds():
    assert told(trust=Trust(doubts("fine", 0.9), kept(0.5))) == (True, "")


def test_confidence_is_what_the_large_one_would_not_gain():
    assert judge(trust=Trust(doubts("fine", 0.25))).confidence == pytest.approx(-0.25)


def test_the_opinion_is_among_what_the_trust_knows():
    (agrees,) = hashed(["agrees=True"])
    trust = Trust(Weights((0.0, 0.0, 1.0), 0.0, {agrees: -1.0}))
    same = judge(said=answer("7"), prompt=NUMBER, second=answer("7"), trust=trust)
    alone = judge(said=answer("7"), prompt=NUMBER, trust=trust)
    assert same.confidence > alone.confidence == 0


@pytest.mark.parametrize(
    ("second", "value", "agrees"), [("It is 7.0", "7", True), ("8", "8", False), ("no idea", None, False)]
)
def test_what_it_was_judged_by_is_given(second, value, agrees):
    low = answer("7", logprobs=LOW)
    names = [*answer_shape(NUMBER, "7"), "mean_logprob=9", "least_margin=0"]
    assert judge(said=low, prompt=NUMBER).features == prompt_features(NUMBER).with_answer("7", names)
    names += opinion_shape(NUMBER, "7", value, agrees)
    told = judge(said=low, prompt=NUMBER, second=answer(second)).features
    assert told == prompt_features(NUMBER).with_answer("7", names)
    assert hashed([f"agrees={agrees}"]) <= told.shape
    assert judge(said={"choices": []}).features is None


@pytest.mark.parametrize("how", [{"gates": ["truncated"]}, {"max_error": 0.05}])
def test_so_are_the_features_of_an_answer_that_fails(how):
    assert judge(said=answer("so far", "length"), **how).features is not None


HUGE = "9" * 400


@pytest.mark.parametrize(
    "text", [HUGE, f"{HUGE} + 1 = {HUGE}", "1 / 0 = 3", "-$", "A", "\x00", "```python\n" + "(" * 999]
)
@pytest.mark.parametrize("prompt", [NUMBER, f"How many of {HUGE}?", f"Which?\nA. {HUGE}\nB. 0\nC. 5"])
def test_no_answer_breaks_the_judgement(text, prompt):
    for second in (HUGE, "B", ""):
        assert judge(said=answer(text), prompt=prompt, second=answer(second)).features is not None


def test_no_reason_holds_a_word_of_the_answer():
    for gate, given in BAD.items():
        marked = {**given, "prompt": given.get("prompt", "hello") + " xyzzy-in"}
        assert "xyzzy" not in told(gates=[gate], **marked)[1]


GAINS = Weights((1.0, 1.0, 1.0), 0.25, {})


def test_with_a_score_an_opinion_that_differs_is_one_of_the_things_it_sees():
    differs = {"said": answer("7"), "second": answer("8"), "prompt": NUMBER}
    assert told(**differs) == (False, "second opinion differs")
    assert told(**differs, trust=Trust(NOTHING, gain=GAINS)) == (False, "second opinion differs")
    assert told(**differs, large_share=0.5) == (False, "second opinion differs")  # nothing learned so far
    assert told(**differs, large_share=0.5, trust=Trust(NOTHING, gain=learned_of("agrees=False"))) == (
        True,
        "",
    )


def learned_of(name: str) -> Weights:
    return Weights((1.0, 1.0, 1.0), 0.0, dict.fromkeys(hashed([name]), 1.0))


def test_the_gain_is_that_of_what_was_seen_of_the_answer():
    trust = Trust(NOTHING, gain=learned_of("agrees=False"))
    gain = {
        other: judge(said=answer("7"), second=answer(other), prompt=NUMBER, trust=trust).gain
        for other in "78"
    }
    assert gain["7"] == 0 < gain["8"]


def test_gates_and_promises_hold_beside_a_score():
    trust = Trust(NOTHING, gain=GAINS)
    assert told(said=answer(" "), large_share=0.1, trust=trust) == (False, "gate empty: empty")
    assert told(max_error=0.1, large_share=0.1, trust=trust) == (False, "promise infeasible so far")
