"""feedback.yaml as an owner writes it."""

import pytest

from penstock.feedback.policy import PATH, FeedbackPolicy, Signs
from penstock.openai.request import Endpoint, route
from penstock.policy.load import load
from penstock.policy.problems import PolicyProblems

GOOD = """
remember_s: 3600
signs: {re_ask: 0.5, abandoned: 0}
within_s: 60
similar: 0.8
"""


def read(folder, text):
    (folder / "feedback.yaml").write_text(text)
    return load(folder, [FeedbackPolicy])[FeedbackPolicy]


def test_what_is_not_said_keeps_its_default(tmp_path):
    its = read(tmp_path, GOOD)
    assert (its.remember_s, its.within_s, its.similar) == (3600, 60, 0.8)
    assert (its.signs.re_ask, its.signs.abandoned) == (0.5, 0)
    assert its.signs.edited == Signs().edited > 0


@pytest.mark.parametrize(
    ("before", "after", "where", "suggestion"),
    [
        ("re_ask", "reask", "signs", "re_ask"),
        ("0.5", "1.5", "signs.re_ask", None),
        ("0.5", "-0.1", "signs.re_ask", None),
        ("3600", "0", "remember_s", None),
        ("3600", "99999999", "remember_s", None),
        ("0.8", "0", "similar", None),
        ("remember_s", "rember_s", "", "remember_s"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, before, after, where, suggestion):
    with pytest.raises(PolicyProblems) as told:
        read(tmp_path, GOOD.replace(before, after))
    (problem,) = told.value.problems
    assert (problem.where, problem.suggestion) == (where, suggestion)


def test_no_sign_weighs_more_than_a_rating():
    assert all(0 < weight < 1 for weight in Signs().model_dump().values())


def test_the_path_is_below_the_base_path():
    assert route("POST", f"/v1{PATH}") == (Endpoint.OTHER, PATH)
