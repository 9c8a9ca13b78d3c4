from itertools import product
from random import Random

import msgspec
import pytest

from penstock.routing.evaluation.loop import Stream, apgr, replay, transfer
from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import prompt_view
from penstock.routing.features import Features, prompt_features
from penstock.routing.fit import Example, fit
from penstock.routing.weights import NOTHING, Weights


def _rng(seed: int = 1) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def _taught(rows: list[Row], sign: float = 1.0) -> Weights:
    return fit([Example(prompt_view(row), sign * row.gain) for row in rows])


def test_the_loop_is_the_same_for_the_same_seed(world):
    dev, test = world(150), world(100, seed=2)
    assert replay(dev, test, 3, [250]) == replay(dev, test, 3, [250])


def test_another_seed_is_another_run(world):
    dev, test = world(150), world(100, seed=2)
    assert len({replay(dev, test, seed, [250])["250"] for seed in range(4)}) > 1


def test_more_requests_teach_more(world):
    dev, test = world(400), world(300, seed=2)
    found = replay(dev, test, 1, [1, 1000])
    assert found["1"] == 0.5
    assert found["1000"] > 0.6


def test_only_what_was_served_is_learned_from(world):
    """Where both models do alike on all that is seen, there is nothing to rank by but length."""
    same = [msgspec.structs.replace(row, strong_ok=row.weak_ok, prompt="x y z") for row in world(300)]
    assert replay(same, world(200, seed=2), 1, [500])["500"] == pytest.approx(0.5, abs=0.3)


def test_each_request_is_asked_once_before_any_comes_again(world):
    rows = world(50)
    places = Stream(rows, [prompt_view(row) for row in rows], _rng()).places(120)
    assert sorted(places[:50]) == list(range(50))
    assert len(places) == 120
    assert set(places[50:]) <= set(range(50))


def test_a_short_stream_repeats_nothing(world):
    rows = world(50)
    places = Stream(rows, [prompt_view(row) for row in rows], _rng()).places(20)
    assert len(set(places)) == 20


def test_each_pair_is_tried_on_each_other(world):
    rows = {"a": world(50), "b": world(50, seed=3)}
    found = transfer({"a": NOTHING, "b": NOTHING}, rows, rows)
    assert set(found["untried"]) == set(found["tried"]) == {"b -> a", "a -> b"}
    assert all(area > 0.5 for area in found["untried"].values())  # hard prompts are longer here


def test_weights_of_a_like_pair_go_live_once_tried(world):
    rows = {"a": world(300), "b": world(300, seed=3)}
    found = transfer({name: _taught(part) for name, part in rows.items()}, rows, rows)
    assert found["tried"] == found["untried"]
    assert found["lowest"]["tried"] == min(found["tried"].values())


def test_weights_that_mislead_never_go_live(world):
    """Of the other pair the long prompts gain least."""
    flipped = [
        msgspec.structs.replace(row, weak_ok=0.97 if row.category == "hard" else 0.3)
        for row in world(300, seed=3)
    ]
    rows = {"a": world(300), "b": flipped}
    found = transfer({"a": _taught(rows["a"]), "b": NOTHING}, rows, rows)
    assert found["untried"]["a -> b"] < 0.45
    assert found["tried"]["a -> b"] == 0.5
    assert found["lowest"]["untried"] < 0.45


def test_a_pair_with_nothing_to_gain_is_left_out(world):
    equal = [msgspec.structs.replace(row, strong_ok=row.weak_ok) for row in world(100)]
    rows = {"a": world(100), "b": equal}
    found = transfer({"a": NOTHING, "b": NOTHING}, rows, rows)
    assert set(found["untried"]) == {"b -> a"}


def test_rows_that_teach_no_weights_are_not_asked(world):
    rows = {"a": world(50), "b": world(50, seed=3)}
    found = transfer({"a": NOTHING}, rows, rows)
    assert found["untried"] == found["tried"] == {}
    assert found["lowest"] == {"untried": None, "tried": None}


def test_the_area_of_an_order_and_of_its_reverse_sum_to_one(world):
    rows = world(200)
    seen = [prompt_view(row) for row in rows]
    there, back = apgr(_taught(rows), seen, rows), apgr(_taught(rows, -1.0), seen, rows)
    assert there + back == pytest.approx(1.0, abs=0.02)
    assert there > 0.6 > back


def test_without_a_gap_there_is_no_area(world):
    rows = [msgspec.structs.replace(row, strong_ok=0.0) for row in world(20)]
    assert apgr(NOTHING, [prompt_view(row) for row in rows], rows) is None


def test_features_are_all_that_is_scored(world):
    rows = world(40)
    blind: list[Features] = [prompt_features("") for _ in rows]
    assert apgr(_taught(rows), blind, rows) == 0.5


def test_pairs_are_all_ordered_pairs(world):
    rows = {name: world(60, seed=at) for at, name in enumerate("abc")}
    found = transfer(dict.fromkeys("abc", NOTHING), rows, rows)
    assert set(found["tried"]) == {f"{one} -> {two}" for one, two in product("abc", "abc") if one != two}
