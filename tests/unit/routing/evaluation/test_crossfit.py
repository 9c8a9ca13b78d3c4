from collections import Counter

import msgspec
import pytest

from penstock.routing.evaluation.crossfit import cross_fitted, learned
from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import prompt_view


def _gain(row: Row) -> float:
    return row.gain


def test_hard_prompts_are_expected_to_gain_more(world):
    rows = world(300)
    scores = cross_fitted(rows, [prompt_view(row) for row in rows], _gain, 5)
    hard = [score for score, row in zip(scores, rows, strict=True) if row.category == "hard"]
    easy = [score for score, row in zip(scores, rows, strict=True) if row.category == "easy"]
    assert sum(hard) / len(hard) > sum(easy) / len(easy) + 0.2


def test_a_row_never_tells_its_own_outcome(world):
    """A word that only one row has would give it away."""
    rows = [
        msgspec.structs.replace(row, prompt=f"word{chr(97 + at % 26)}{chr(97 + at // 26)} " * 9)
        for at, row in enumerate(world(100))
    ]
    seen = [prompt_view(row) for row in rows]
    turned = [msgspec.structs.replace(rows[0], strong_ok=1 - rows[0].strong_ok), *rows[1:]]
    assert cross_fitted(rows, seen, _gain, 4)[0] == cross_fitted(turned, seen, _gain, 4)[0]


def test_rows_of_one_stem_are_scored_by_the_same_weights(world):
    rows = world(120)
    rows += [msgspec.structs.replace(row, strong_ok=1 - row.strong_ok) for row in rows]
    scores = cross_fitted(rows, [prompt_view(row) for row in rows], _gain, 3)
    assert scores[:120] == scores[120:]


def test_what_is_wanted_is_what_is_learned(world):
    rows = world(200)
    seen = [prompt_view(row) for row in rows]
    wrong = learned(rows, seen, lambda row: 1 - row.weak_ok)
    right = learned(rows, seen, lambda row: row.weak_ok)
    assert wrong.gain(seen[0]) == pytest.approx(1 - right.gain(seen[0]), abs=1e-6)


def test_shape_counts_for_more_after_an_answer(world):
    rows = world(100)
    seen = [prompt_view(row) for row in rows]
    assert learned(rows, seen, _gain).scales[2] == 4.0
    assert learned(rows, seen, _gain, 2.0).scales[2] == 2.0


def test_folds_are_of_about_equal_size(world):
    """Each fold has weights of its own, and so a mean of its own for a prompt it does not know."""
    rows = [msgspec.structs.replace(row, prompt="") for row in world(500)]
    scores = cross_fitted(rows, [prompt_view(row) for row in rows], _gain, 5)
    sizes = Counter(scores)
    assert len(sizes) == 5
    assert min(sizes.values()) > 60
