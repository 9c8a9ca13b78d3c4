import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.sample.answers import words


@given(st.text())
def test_tokens_joined_are_the_text_again(text: str):
    assert "".join(words.pieces(text)) == text


def test_a_token_is_a_word_with_the_blanks_before_it():
    assert words.pieces("You said:  hello\nworld ") == ["You", " said:", "  hello", "\nworld", " "]
    assert words.count("You said:  hello\nworld ") == 4


def test_it_hears_the_last_user_message_and_counts_all():
    heard = words.hear(
        [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "first question"},
            {"role": "assistant", "content": "an answer"},
            {"role": "user", "content": "second question here"},
        ]
    )
    assert heard == words.Heard("second question here", None, 2 + 2 + 2 + 3)


def test_a_plain_string_is_one_user_message_and_instructions_count():
    assert words.hear("three small words", "be brief") == words.Heard("three small words", None, 5)


def test_parts_of_a_content_are_joined_and_pictures_are_passed_over():
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "text", "text": "this?"},
    ]
    assert words.hear([{"role": "user", "content": parts}]).text == "what is this?"


@pytest.mark.parametrize(
    "last",
    [
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
        {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"},
    ],
)
def test_a_tools_result_that_comes_last_is_what_is_answered(last: dict):
    heard = words.hear([{"role": "user", "content": "call a tool"}, last])
    assert heard.tool_result == "18 degrees"
    assert heard.input_tokens == 5
    assert words.say(heard).text == "The tool said: 18 degrees"


def test_a_tools_result_followed_by_a_user_is_old_news():
    heard = words.hear(
        [
            {"role": "user", "content": "call a tool"},
            {"role": "tool", "content": "18 degrees"},
            {"role": "user", "content": "thanks"},
        ]
    )
    assert heard.tool_result is None
    assert words.say(heard).text == "You said: thanks"


@pytest.mark.parametrize("items", [None, [], ["text", 7], [{"role": "user", "content": 12}], [{}]])
def test_what_says_nothing_is_answered_too(items):
    assert words.say(words.hear(items)).text == "You said: nothing"


def test_different_texts_and_choices_give_different_answers():
    said = {
        words.say(words.hear(text), choice=choice).text
        for text in ("hello", "hello there", "bye")
        for choice in range(3)
    }
    assert len(said) == 9


@pytest.mark.parametrize(
    ("limit", "text", "cut"),
    [
        (0, "", True),
        (2, "You said:", True),
        (3, "You said: hello", True),
        (4, "You said: hello world", False),
        (5, "You said: hello world", False),
        (None, "You said: hello world", False),
        ("3", "You said: hello world", False),
        (-1, "You said: hello world", False),
    ],
)
def test_a_limit_cuts_at_a_token_and_says_so(limit, text: str, cut: bool):
    said = words.say(words.hear("hello world"), limit)
    assert (said.text, said.cut) == (text, cut)


def test_json_is_answered_where_json_is_asked_for():
    said = words.say(words.hear('say "hi"'), as_json=True)
    assert msgspec.json.decode(said.text) == {"echo": 'say "hi"', "choice": 0}


def test_a_long_message_is_echoed_up_to_a_bound():
    said = words.say(words.hear("word " * 5000))
    assert len(said.pieces) == words.LONGEST_WORDS + 2
