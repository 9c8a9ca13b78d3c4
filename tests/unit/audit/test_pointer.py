"""Pointers show where a value stood, and nothing that a client thought up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.audit.pointer import LONGEST, shown


@pytest.mark.parametrize(
    "pointer",
    [
        "",
        "/messages/0/content",
        "/messages/12/content/3/text",
        "/messages/0/tool_calls/0/function/arguments",
        "/input/4/output",
        "/instructions",
        "/choices/0/message/content",
        "/output/1/content/0/text",
        "/tools/0/function/description",
        "/user",
    ],
)
def test_the_apis_own_names_and_indexes_stay(pointer):
    assert shown(pointer) == pointer


@pytest.mark.parametrize(
    ("pointer", "told"),
    [
        ("/metadata/Jane Doe", "/metadata/*"),
        ("/metadata/123-45-6789/text", "/metadata/*/text"),
        ("/metadata/content", "/metadata/*"),  # the client's name even where it is spelled like the API's
        ("/metadata/12345", "/metadata/*"),
        (
            "/tools/0/parameters/properties/model/properties/ssn",
            "/tools/0/parameters/properties/*/properties/*",
        ),
        ("/jane@example.com", "/*"),
        ("/messages/123456", "/messages/*"),  # no index has six digits; a value may
        ("/messages/٣", "/messages/*"),
        ("/a~1b/~0", "/*/*"),
        ("/", "/*"),
        ("jane@example.com", ""),  # no pointer at all
        ("/Content", "/*"),
    ],
)
def test_a_clients_names_are_hidden(pointer, told):
    assert shown(pointer) == told


def test_an_overlong_pointer_is_cut_and_says_so():
    told = shown("/content" * 1000)
    assert len(told) <= LONGEST
    assert told.endswith("/content/*")


@given(st.text(st.sampled_from("/ab0~*é\n") | st.characters(), max_size=300))
def test_whatever_comes_in_only_known_words_come_out(text):
    told = shown(text)
    assert len(told) <= LONGEST
    assert re.fullmatch(r"(/(\*|[A-Za-z_$]+|[0-9]{1,5}))*", told)
    assert all(shown(f"/{part}") == f"/{part}" for part in told.split("/")[1:])


@given(
    st.lists(st.sampled_from(["messages", "metadata", "content", "0", "x", "properties", "*"]), max_size=60)
)
def test_what_was_shown_once_is_shown_the_same_again(parts):
    once = shown("".join(f"/{part}" for part in parts))
    assert shown(once) == once
