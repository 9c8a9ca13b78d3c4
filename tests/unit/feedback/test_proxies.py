"""What the next request says about the answer before it, and what it does not say."""

import pytest

from penstock import testing
from penstock.exchange import Call
from penstock.feedback.policy import FeedbackPolicy
from penstock.feedback.proxies import Print, Threads, Turn, likeness, own_signs, sign, sketch

POLICY = FeedbackPolicy()
LONG = "how do I sort a list of numbers in Python without changing it"
LIKE = "how do I sort a list of numbers in Python without changing it please"
OTHER = "what is the capital of Mongolia and how many people live there"


def chat(*said, system=None, **fields):
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]
    first = [{"role": "system", "content": system}] if system else []
    return {"model": "m", "messages": [*first, *messages], **fields}


def turn(body, at=0.0, path="/v1/chat/completions"):
    seen = Print.of(testing.exchange(path, body=body).request)
    assert seen is not None
    return Turn(seen, at)


def meaning(before, now, *, later=10.0, known=True):
    return sign(turn(before), turn(now, later), POLICY, known=known)


@pytest.mark.parametrize("system", [None, "be short"])
def test_the_same_request_again_is_a_regeneration(system):
    body = chat(LONG, system=system)
    assert meaning(body, body) == "regenerated"
    assert meaning(body, body, known=False) is None  # many may begin alike
    deep = chat(LONG, "so", OTHER, system=system)
    assert meaning(deep, deep, known=False) == "regenerated"


def test_the_same_question_to_another_model_is_one_too():
    assert meaning(chat(LONG), chat(LONG, model="larger", temperature=0.5)) == "regenerated"


def test_another_last_message_after_the_same_history_is_an_edit():
    assert meaning(chat(LONG, "so", "and now"), chat(LONG, "so", OTHER), known=False) == "edited"
    assert meaning(chat(LONG), chat(LIKE)) == "edited"


def test_a_client_that_sends_only_its_last_message_has_just_gone_on():
    assert meaning(chat(LONG), chat(OTHER)) is None


def test_much_the_same_question_later_in_the_thread_is_a_re_ask():
    assert meaning(chat(LONG), chat(LONG, "like so", LIKE)) == "re_ask"
    assert meaning(chat(LONG), chat(LONG, "like so", LONG)) == "re_ask"


def test_a_small_edit_of_a_long_question_is_no_regeneration():
    long = " ".join(f"word{number}" for number in range(190))
    for place in range(0, 190, 10):
        edited = long.replace(f"word{place} ", "another ")
        assert meaning(chat(long), chat(edited)) == "edited"


def test_going_on_is_a_good_sign():
    assert meaning(chat(LONG), chat(LONG, "like so", OTHER)) == "went_on"


@pytest.mark.parametrize("word", ["continue", "yes", "go on", "next one please"])
def test_few_words_said_twice_are_no_re_ask(word):
    assert meaning(chat(LONG, "so", word), chat(LONG, "so", word, "more", word)) is None


def test_a_minute_of_patience_has_an_end():
    assert meaning(chat(LONG), chat(LONG), later=POLICY.within_s) == "regenerated"
    assert meaning(chat(LONG), chat(LONG), later=POLICY.within_s + 1) is None


def test_a_tools_loop_asks_nothing_new():
    body = chat(LONG, "calling")
    body["messages"].append({"role": "tool", "content": "42", "tool_call_id": "c"})
    assert Print.of(testing.exchange(body=body).request) is None


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": None},
        {"messages": [7]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": 7}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}, 7]}]},
        {},
    ],
)
def test_what_says_nothing_has_no_print(body):
    assert Print.of(testing.exchange(body={"model": "m", **body}).request) is None


def test_text_in_parts_is_text():
    parts = {"role": "user", "content": [{"type": "text", "text": LONG}]}
    assert meaning({"model": "m", "messages": [parts]}, chat(LONG)) == "regenerated"


def test_responses_and_completions_are_read_too():
    def asks(path, before, now):
        return sign(turn(before, path=path), turn(now, 1.0, path), POLICY, known=True)

    assert asks("/v1/responses", {"model": "m", "input": LONG}, {"model": "m", "input": LIKE}) == "edited"
    linked = {"model": "m", "input": LIKE, "previous_response_id": "r1"}
    assert asks("/v1/responses", {"model": "m", "input": LONG}, linked) == "re_ask"
    assert asks("/v1/completions", {"prompt": LONG}, {"prompt": LONG}) == "regenerated"
    embedding = testing.exchange("/v1/embeddings", body={"model": "m", "input": LONG})
    assert Print.of(embedding.request) is None


def test_likeness_is_about_the_share_in_common():
    assert likeness(sketch(LONG), sketch(LONG)) == 1
    assert likeness(sketch(LONG), sketch(LIKE)) > 0.8
    assert likeness(sketch(LONG), sketch(OTHER)) < 0.2
    assert likeness(sketch(LONG), sketch(LONG.upper())) == 1
    assert likeness(sketch("北京的人口是多少"), sketch("北京的人口是多少呢")) > 0.6
    assert likeness(sketch(""), sketch("")) == 1


def test_a_sketch_of_much_is_small_and_reads_the_beginning():
    text = " ".join(f"word{number}" for number in range(100_000))
    assert len(sketch(text)) == 64
    assert sketch(text) == sketch(text[:5000])
    assert likeness(sketch(text), sketch(text.replace("word", "thing"))) == 0


def test_only_the_latest_threads_are_watched():
    threads = Threads()
    for number in range(5):
        assert threads.next(bytes([number]), turn(chat(LONG)), 3) is None
    assert len(threads) == 3
    first = threads.latest(bytes([2]))
    assert threads.next(bytes([2]), turn(chat(LONG)), 3) is first
    threads.next(b"x", turn(chat(LONG)), 3)
    assert threads.latest(bytes([3])) is None
    assert threads.latest(bytes([2])) is not None


@pytest.mark.parametrize(
    ("calls", "attempts", "left", "signs"),
    [
        (1, 1, False, []),
        (0, 0, False, []),
        (2, 2, False, ["escalated"]),
        (2, 2, False, []),  # a second opinion
        (1, 2, False, ["fallback"]),
        (1, 1, True, ["abandoned"]),
        (2, 3, True, ["abandoned", "escalated", "fallback"]),
    ],
)
def test_an_exchange_says_how_it_went_itself(calls, attempts, left, signs):
    exchange = testing.exchange()
    exchange.calls = [Call("m") for _ in range(calls)]
    exchange.attempts, exchange.escalated = attempts, "escalated" in signs
    assert list(own_signs(exchange, left=left)) == signs


def test_a_print_holds_no_words():
    assert "python" not in repr(turn(chat(LONG)).print).lower()
