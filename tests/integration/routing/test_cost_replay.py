"""Real outcomes through a running gateway: what the ledger says that they cost, and how good they were."""

import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "benchmarks"))  # importlib mode puts no folder there

import routing_cost  # noqa: E402
from routing_cost import run  # noqa: E402
from two_models import LARGE, SECOND, SMALL, SOURCES, Models, prompts  # noqa: E402

DATA = ROOT.parent / "shared" / "data" / "routing"
ROWS = 150
ALIAS = {"decide": "small", "cascade": {"streams": "hold", "second_opinion": SECOND}, "shadow": 0.1}
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the data of real outcomes is not here")


def number(answer):
    """Give what an answer says in the end, if it comes to a result."""
    word = answer.rpartition(" ")[2].rstrip(".")
    return word if word[-1].isdigit() else None


def disagree(prompt):
    one, other = number(prompt.answers[SMALL]), number(prompt.answers[SECOND])
    return one is None or one != other


def usd(used, model):
    tokens = used[model, "input"] + used[model, "output"]
    return tokens * routing_cost.USD_PER_MILLION[model] / 1e6


async def test_a_cascade_costs_less_than_the_large_model_and_is_nearly_as_good():
    asked = [row for row in prompts(DATA, "zeroeval-gsm") if "how many" in row.text.lower()][:ROWS]
    async with Models(asked) as models, routing_cost.gateway(models.url, ALIAS) as house:
        auto = await run(house, models, "auto", asked)
        used = Counter(models.used)
        large, small = [await run(house, models, name, asked) for name in (LARGE, SMALL)]

    assert auto.usd <= 0.7 * large.usd
    assert auto.quality >= 0.95 * large.quality
    assert small.quality < auto.quality
    assert (small.by, large.by) == ({SMALL: ROWS}, {LARGE: ROWS})

    escalated = sum(map(disagree, asked))
    assert auto.by == {SMALL: ROWS - escalated, LARGE: escalated}
    assert used[SECOND, "input"] == models.used[SECOND, "input"] > 0  # nobody else asked for an opinion
    spent = sum(usd(used, model) for model in (SMALL, LARGE, SECOND))  # small, second, large and shadow
    assert auto.usd == pytest.approx(spent, rel=1e-3)
    assert small.usd == pytest.approx(small.counted_usd, rel=1e-3)
    assert large.usd == pytest.approx(large.counted_usd, rel=1e-3)


def test_made_answers_follow_the_data():
    for row in prompts(DATA, "zeroeval-gsm"):
        small, large = number(row.answers[SMALL]), number(row.answers[LARGE])
        if row.quality[SMALL] and row.quality[LARGE]:
            assert small == large
        elif row.quality[SMALL] != row.quality[LARGE]:
            assert small != large


@pytest.mark.parametrize("name", SOURCES)
def test_every_benchmark_has_its_answers(name):
    found = prompts(DATA, name)
    assert len(found) > 700
    for row in found:
        assert set(row.answers) == {SMALL, LARGE, *([SECOND] if SOURCES[name].second else [])}
        assert all(answer.strip() for answer in row.answers.values())
