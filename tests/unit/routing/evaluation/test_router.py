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
