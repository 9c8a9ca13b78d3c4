"""The engine: what always holds, whatever the text; configuration; strange characters."""

# ruff: noqa: E501, RUF001 (values and look-alikes are written as they occur)

import sys
from threading import Thread

import pytest
from detect_kit import engine, found, types, with_pattern
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.detect import DetectConfig, Engine, Finding, PatternRefused, TooManyFindings, UserPattern
from penstock.detect.resolve import resolve
from penstock.detect.rules import shipped_probes

PIECES = st.sampled_from(
    ["4111 1111 1111 1111", "jane@example.org", "passport X1234567", "SSN 078-05-1120", "password = 'aB3!xyz9'", "10.0.0.1", "\u200b",
     "eyJ", "-----BEGIN PRIVATE KEY-----", "+44 20 7946 0958", "born 1.2.1990", "GB29NWBK60161331926819", "Mr ", "\ud800", "：", "４", "ﬁ", " "]
)  # fmt: skip
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=12)), max_size=12).map("".join)


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_findings_lie_in_the_text_in_order_and_apart(text):
    last = 0
    for item in engine().find(text):
        assert last <= item.start < item.end <= len(text)
        assert 0 < item.score <= 1
        last = item.end


@given(TEXTS, TEXTS)
@settings(max_examples=150, deadline=None)
def test_find_says_the_same_twice(one, other):
    first = engine().find(one)
    engine().find(other)
    assert engine().find(one) == first


def work(text: str) -> int:
    """Count the calls that find makes: a measure that no busy machine disturbs."""
    calls = 0

    def count(frame, event, arg):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        engine().find(text)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "piece",
    ["1", "1 ", "a1", "a.", "1.", "1:", "-", "@", "a@b.", "f0", "GB29 ", "password=", "passport a1 ", "eyJ", "sk-", "1234567 ", "4111 ",
     "born 01/02/1990 ", "Mr A ", "1\u200b", "中", "jane@example.org ", "key: a1b2c3d4 ", "-----BEGIN PRIVATE KEY-----", "://a:b", "<"],
)  # fmt: skip
def test_work_grows_no_faster_than_the_text(piece):
    small, large = (work(piece * (size // len(piece))) for size in (4096, 16384))
    assert large <= small * 4 * 1.5 + 400


def test_values_in_other_digits_and_with_invisible_characters_are_found_as_given():
    assert found("card ４１１１ 1111 1111 1111") == [("CREDIT_CARD", "４１１１ 1111 1111 1111")]
    assert found("4111\u200b1111\u200b1111\u200b1111!") == [
        ("CREDIT_CARD", "4111\u200b1111\u200b1111\u200b1111")
    ]
    assert found("jane＠example．org") == [("EMAIL", "jane＠example．org")]
    assert types("IBAN GВ29 NWBK 6016 1331 9268 19") == {"IBAN"}
    assert types("SSN 078\u201305\u20131120") == {"US_SSN"}
    assert types("٤١١١ ١١١١ ١١١١ ١١١١") == {"CREDIT_CARD"}


def test_offsets_are_those_of_the_text_as_given():
    text = "żółć \u200bпривет \U0001f600 jane@example.org"
    [item] = engine().find(text)
    assert text[item.start : item.end] == "jane@example.org"


def test_a_lone_surrogate_does_no_harm():
    assert found("\ud800 jane@example.org \udfff") == [("EMAIL", "jane@example.org")]


def test_types_thresholds_and_allow_list():
    text = "jane@example.org called from 10.0.0.1"
    only = Engine(DetectConfig(types=frozenset({"EMAIL"})))
    assert [item.type for item in only.find(text)] == ["EMAIL"]
    strict = Engine(DetectConfig(types=frozenset({"EMAIL", "IP"}), thresholds={"IP": 0.99}))
    assert [item.type for item in strict.find(text)] == ["EMAIL"]
    kind = Engine(DetectConfig(types=frozenset({"EMAIL"}), allow=frozenset({"jane@example.org"})))
    assert kind.find(text) == []


def test_too_many_findings_are_refused():
    small = Engine(DetectConfig(types=frozenset({"EMAIL"}), max_findings=3))
    with pytest.raises(TooManyFindings):
        small.find("a@example.org " * 5)


def test_user_patterns_need_their_words():
    bare = with_pattern(r"TK-\d{4}")
    assert [(item.type, item.start) for item in bare.find("żó TK-1234")] == [("TICKET", 3)]
    near = with_pattern(r"TK-\d{4}", words=("Ticket",))
    assert near.find("the thicket TK-1234") == []
    assert near.find("the ticket TK-1234")[0].context


@pytest.mark.parametrize("pattern", [r"(?<=a)b", r"(a)\1", r"a(?!b)", r"(", r"a*", r"((a{1000}){1000})"])
def test_patterns_that_cannot_be_linear_are_refused(pattern):
    with pytest.raises(PatternRefused, match="ticket"):
        with_pattern(pattern)


def test_a_catastrophic_user_pattern_is_harmless():
    slow = with_pattern(r"(?:[A-Za-z0-9]+[-.]?)+@x\.com")
    assert slow.find("a" * 50_000) == []


def test_a_plugged_in_detector_takes_part():
    class Names:
        name = "names"
        version = "7"

        def find(self, text):
            at = text.find("Ada")
            return [Finding(at, at + 3, "PERSON", self.name, self.version, False, 0.9)] if at >= 0 else []

    [item] = Engine(DetectConfig(types=frozenset({"PERSON"})), [Names()]).find("so Ada said")
    assert (item.detector, item.version) == ("names", "7")


def test_overlaps_go_to_the_checked_then_the_context_then_the_longer():
    def at(start, end, checked=False, context=False):
        return Finding(start, end, "X", "x", "1", checked, 0.9, context)

    assert resolve([at(0, 9), at(3, 5, checked=True)]) == [at(3, 5, checked=True)]
    assert resolve([at(0, 9), at(3, 5, context=True)]) == [at(3, 5, context=True)]
    assert resolve([at(0, 9), at(3, 5)]) == [at(0, 9)]
    assert resolve([at(5, 9), at(0, 5)]) == [at(0, 5), at(5, 9)]


def test_threads_may_share_an_engine():
    results: list[object] = []
    threads = [Thread(target=lambda: results.append(found("mail jane@example.org"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[("EMAIL", "jane@example.org")]] * 8


def test_every_rule_has_its_own_name_and_a_gate():
    names = [probe.id for probe in shipped_probes()]
    assert len(names) == len(set(names))
    assert all(probe.gates for probe in shipped_probes())


def test_user_pattern_defaults():
    assert UserPattern("n", "T", "x").score > DetectConfig().threshold("T")
