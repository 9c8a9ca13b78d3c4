from penstock.routing.evaluation.loop import replay, transfer
from penstock.routing.weights import NOTHING


def test_the_loop_is_the_same_for_the_same_seed(world):
    dev, test = world(150), world(100, seed=2)
    assert replay(dev, test, 3, [250]) == replay(dev, test, 3, [250])


def test_each_pair_is_tried_on_each_other(world):
    rows = {"a": world(50), "b": world(50, seed=3)}
    found = transfer({"a": NOTHING, "b": NOTHING}, rows)
    assert set(found) == {"b -> a", "a -> b"}
    assert all(area is not None and area > 0.5 for area in found.values())  # hard prompts are longer here


def test_more_requests_teach_more(world):
    dev, test = world(400), world(300, seed=2)
    found = replay(dev, test, 1, [1, 1000])
    assert found["1"] == 0.5
    assert found["1000"] > 0.6
