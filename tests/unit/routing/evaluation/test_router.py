import msgspec
import pytest

from penstock.routing.evaluation.router import factory, kind_of

HARD, EASY = "prove that the deep lemma holds for all rings and fields", "say good morning to her"


def test_the_router_can_be_fitted_and_asked_by_a_scorer(world):
    router = factory()
    assert router.predict(HARD) == 0.0
    router.fit([msgspec.to_builtins(row) for row in world(400)])
    assert router.predict(f"{EASY} 3") > router.predict(f"{HARD} 3")
    good, bad = ({"text": f"2 + 2 = {n}\n#### 4", "tail": None, "chars": 16, "pred": None} for n in (4, 5))
    assert router.predict_answer(EASY, good) > router.predict_answer(EASY, bad)


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("Q?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:", "choices"),
        ("Q?\nA. 1\nB. 2\nC. 3\nD. 4\nE. 5\nAnswer:", "many choices"),
        ("[PYTHON]\nf()\n[/PYTHON]", "code"),
        ("Find $\\frac{1}{2}$.", "maths"),
        ("It costs $3. How much?", "question"),
    ],
)
def test_prompts_are_told_apart_by_form(prompt: str, kind: str):
    assert kind_of(prompt) == kind


def _served(rows):
    return [msgspec.to_builtins(row) for row in rows]


def test_what_prompts_of_one_kind_taught_is_not_asked_of_another(world):
    router = factory()
    router.fit(_served(world(400)))
    assert router.predict(f"[PYTHON]\n{HARD}\n[/PYTHON]") == 0.0


def test_of_pairs_that_share_prompts_the_preferred_one_teaches(world):
    """Of the other one the hard prompts gain least."""
    preferred = world(400, "routellm-maths")
    flipped = [
        msgspec.structs.replace(row, benchmark="other", weak_ok=1 - row.weak_ok) for row in world(600, seed=3)
    ]
    router = factory()
    router.fit(_served([*flipped, *preferred]))
    assert router.predict(f"{EASY} 3") > router.predict(f"{HARD} 3")


def test_a_few_rows_of_the_preferred_pair_do_not_outweigh_many_of_another(world):
    few = [msgspec.structs.replace(row, weak_ok=1 - row.weak_ok) for row in world(60, "routellm-maths")]
    router = factory()
    router.fit(_served([*few, *world(600, "other", seed=3)]))
    assert router.predict(f"{EASY} 3") > router.predict(f"{HARD} 3")


def test_rows_without_answers_teach_prompts_only(world):
    rows = [msgspec.structs.replace(row, weak_answer=None, weak_chars=None) for row in world(200)]
    router = factory()
    router.fit(_served(rows))
    assert router.predict_answer(HARD, {"text": "x", "chars": 1}) == 0.0
    assert router.predict(HARD) != 0.0


def test_the_same_prompt_is_always_scored_alike(world):
    router = factory()
    router.fit(_served(world(200)))
    assert len({router.predict(f"{HARD} 7") for _ in range(3)}) == 1
