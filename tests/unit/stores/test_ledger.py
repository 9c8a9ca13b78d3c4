"""What a line needs, and how many tokens all lines have room for."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.stores.ledger import (
    MOST,
    PER,
    Account,
    Line,
    Standing,
    check_amounts,
    crowded,
    most_tokens,
)

DAY, MINUTE = Account("day", 0), Account("minute", 0)


@pytest.mark.parametrize(
    ("fixed", "rate", "tokens", "needed"),
    [
        (0, 0, 100, 0),
        (7, 0, 100, 7),
        (7, PER, 100, 107),
        (0, 1, 1, 1),  # a millionth is rounded up
        (0, 1, PER, 1),
        (0, 1, PER + 1, 2),
        (5, 333_333, 3, 6),
        (5, 333_334, 3, 7),
        (0, 15 * PER, 0, 0),
        (0, MOST, PER, MOST),
    ],
)
def test_what_a_line_needs_is_rounded_up(fixed, rate, tokens, needed):
    assert Line(DAY, 0, fixed, rate).amount(tokens) == needed


@given(rate=st.integers(0, MOST), tokens=st.integers(0, MOST))
def test_no_rounding_is_ever_down_or_by_one(rate, tokens):
    exact = rate * tokens
    needed = Line(DAY, 0, 0, rate).amount(tokens)
    assert exact <= needed * PER < exact + PER


@pytest.mark.parametrize("warn_from", [None, 0, 80])
def test_a_line_warns_from_its_mark_on(warn_from):
    line = Line(DAY, 100, 0, warn_from=warn_from)
    assert [line.warns(used) for used in (0, 1, 79, 80, 81)] == {
        None: [False] * 5,
        0: [False, True, True, True, True],
        80: [False, False, False, True, True],
    }[warn_from]


@pytest.mark.parametrize("bad", [-1, MOST + 1, 10**30, 0.5, "1"])
def test_what_can_not_be_counted_exactly_is_refused(bad):
    with pytest.raises(ValueError, match="whole number"):
        check_amounts(1, bad)
    for fields in ({"limit": bad}, {"fixed": bad}, {"rate": bad}, {"warn_from": bad}):
        with pytest.raises(ValueError, match="whole number"):
            Line(**{"account": DAY, "limit": 1, "fixed": 1, **fields})
    check_amounts()
    check_amounts(0, MOST)


def test_lines_without_room_are_named():
    lines = [Line(DAY, 10, 5), Line(MINUTE, 10, 5), Line(DAY, 12, 5), Line(DAY, 0, 0)]
    standings = {"day": Standing(1, 0), "minute": Standing(2, 3)}
    assert crowded(lines, standings, 0) == (0,)
    assert crowded(lines, {**standings, "minute": Standing(2, 4)}, 0) == (0, 1)
    assert crowded(lines, {**standings, "day": Standing(2, 1)}, 0) == (0, 2)
    assert crowded([], {}, MOST) == ()


some_lines = st.lists(
    st.builds(
        *(Line, st.sampled_from([DAY, MINUTE]), st.integers(0, 200), st.integers(0, 30)),
        st.sampled_from([0, 1, 333_333, PER, 7 * PER]),
    ),
    max_size=4,
)
some_standing = st.builds(Standing, st.integers(0, 90), st.integers(0, 90))


@given(lines=some_lines, day=some_standing, minute=some_standing, tokens=st.integers(0, 60), least=st.data())
def test_no_more_tokens_would_fit(lines, day, minute, tokens, least):
    standings = {"day": day, "minute": minute}
    fit = [n for n in range(tokens + 1) if not crowded(lines, standings, n)]
    assert fit == list(range(len(fit)))  # what fits, fits with fewer tokens as well
    if fit:
        assert most_tokens(lines, standings, tokens, least.draw(st.sampled_from(fit))) == fit[-1]


@given(rate=st.integers(1, MOST), room=st.integers(0, MOST))
@example(rate=1, room=MOST)
@example(rate=MOST, room=MOST)
def test_the_border_is_found_however_far_away(rate, room):
    line, standings = Line(DAY, room, 0, rate), {"day": Standing()}
    tokens = most_tokens([line], standings, MOST, 0)
    assert line.amount(tokens) <= room
    assert tokens == MOST or line.amount(tokens + 1) > room
