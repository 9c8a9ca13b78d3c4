"""A small world in which hard prompts say that they are, so that everything has something to find."""

import gzip
from pathlib import Path
from random import Random

import msgspec
import pytest

from penstock.cli.eval_routing import run
from penstock.clock import SYSTEM
from penstock.errors import StartError
from penstock.routing.evaluation.guarantees import ninety_small, promises
from penstock.routing.evaluation.intents import evaluate_intents
from penstock.routing.evaluation.loop import replay, transfer
from penstock.routing.evaluation.report import evaluate
from penstock.routing.evaluation.router import factory, kind_of
from penstock.routing.evaluation.rows import Row
from penstock.routing.evaluation.views import answer_view, prompt_view, second_view
from penstock.routing.features import hashed
from penstock.routing.quality_curve import Outcome
from penstock.routing.weights import NOTHING

HARD, EASY = "prove that the deep lemma holds for all rings and fields", "say good morning to her"


def _world(count: int, benchmark: str = "routellm-mmlu", seed: int = 1) -> list[Row]:
    rng = Random(seed)  # noqa: S311 - the same in every run
    rows = []
    for _ in range(count):
        hard = rng.random() < 0.5
        prompt = f"{HARD if hard else EASY} {rng.randrange(99)}"
        small = float(rng.random() < (0.3 if hard else 0.98))
        answer = f"2 + 2 = {4 if small else 5}\n#### 4"
        group = f"{rng.getrandbits(40):x}"
        rows.append(
            Row(
                *(group, benchmark, prompt, small, float(rng.random() < 0.97)),
                category="hard" if hard else "easy",
                weak_answer=answer,
                weak_pred=4.0 if small else 5.0,
                weak_chars=len(answer),
                other_pred={"second": 4.0},
                other_chars={"second": 9},
            )
        )
    return rows


def _write(folder: Path, rows: list[Row]) -> Path:
    (folder / "rows.jsonl.gz").write_bytes(
        gzip.compress(b"\n".join(msgspec.json.encode(row) for row in rows))
    )
    return folder


def test_the_report_finds_what_is_to_be_found(tmp_path: Path):
    figures = evaluate(_write(tmp_path, _world(600)), None, (0, 5), SYSTEM)
    prompt, answer = (figures["modes"][f"routellm-mmlu/{mode}"] for mode in ("prompt", "answer"))
    assert 0.6 < prompt["apgr"] < answer["apgr"]
    assert prompt["apgr_low"] < prompt["apgr"] < prompt["apgr_high"]
    assert set(figures["loop"]) == {"1000", "10000"}
    assert figures["loop"]["1000"] > 0.55
    assert figures["rows"]["dev"] + figures["rows"]["test"] == 600


def test_a_prompt_that_was_taught_is_never_scored(tmp_path: Path):
    folder = _write(tmp_path, _world(200))
    assert evaluate(folder, folder, None)["rows"]["test"] == 0


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["--dev", str(_write(tmp_path, _world(300, "other"))), "--fold", "1/4"]) == 0
    figures = msgspec.json.decode(capsys.readouterr().out)
    assert set(figures) == {"rows", "modes", "guarantee", "loop", "transfer"}


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(StartError, match="file is there"):
        run(["--dev", str(tmp_path), "--fold", "0/5"])


def test_a_broken_record_is_refused_without_showing_it(tmp_path: Path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"group": "secret"}\n'))
    with pytest.raises(StartError) as problem:
        run(["--dev", str(tmp_path), "--fold", "0/5"])
    assert "secret" not in str(problem.value)


@pytest.mark.parametrize("fold", ["5/5", "a/b", "1", "-1/5"])
def test_a_fold_that_is_none_is_refused(tmp_path: Path, fold: str):
    with pytest.raises(SystemExit):
        run(["--dev", str(tmp_path), f"--fold={fold}"])


def test_a_promise_is_kept_where_it_can_be():
    found = promises(_world(900), _world(600, seed=2), answer_view)
    assert found["8%"]["feasible"]
    assert all(promise["holds"] for promise in found.values() if promise["feasible"])
    assert found["40%"]["kept"] >= found["8%"]["kept"]


def test_a_promise_that_cannot_be_kept_says_why():
    blind = [
        msgspec.structs.replace(row, prompt="the same", weak_ok=float(at % 2))
        for at, row in enumerate(_world(200))
    ]
    found = promises(blind, blind, prompt_view)
    assert not found["1%"]["feasible"]
    assert "were wrong" in found["1%"]["evidence"]


def test_ninety_small_is_judged_by_what_is_surely_lost():
    equal = [Outcome(1, 1)] * 200
    wide = [Outcome(0, 1)] * 200
    assert ninety_small([0.0] * 200, equal)["feasible"]
    assert not ninety_small([0.0] * 200, wide)["feasible"]


def test_the_loop_is_the_same_for_the_same_seed():
    dev, test = _world(150), _world(100, seed=2)
    assert replay(dev, test, 3, [250]) == replay(dev, test, 3, [250])


def test_each_pair_is_tried_on_each_other():
    rows = {"a": _world(50), "b": _world(50, seed=3)}
    found = transfer({"a": NOTHING, "b": NOTHING}, rows)
    assert set(found) == {"b -> a", "a -> b"}
    assert all(area is not None and area > 0.5 for area in found.values())  # hard prompts are longer here


def test_the_router_can_be_fitted_and_asked_by_a_scorer():
    router = factory()
    assert router.predict(HARD) == 0.0
    router.fit([msgspec.to_builtins(row) for row in _world(400)])
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


def test_a_second_opinion_is_seen_as_agreement():
    right, wrong = (msgspec.structs.replace(_world(1)[0], weak_pred=pred) for pred in (4.0, 5.0))
    view = second_view("second")
    assert hashed(["agrees=True"]) <= view(right).shape
    assert hashed(["agrees=False"]) <= view(wrong).shape
    assert hashed(["agrees=None"]) <= second_view("nobody")(right).shape


def test_intents_are_scored(tmp_path: Path):
    train, test = tmp_path / "train.tsv.gz", tmp_path / "test.tsv"
    lines = [("play some music", "music"), ("turn the song up", "music"), ("is it raining", "weather"),
             ("will it snow", "weather")]  # fmt: skip
    train.write_bytes(gzip.compress("".join(f"{text}\t{label}\n" for text, label in lines).encode()))
    test.write_text("play the song\tmusic\nwill it rain\tweather\nzzz qqq\toos\n")
    figures = evaluate_intents(train, test)
    assert figures["in_scope_accuracy"] == 1.0
    assert figures["out_of_scope_recall"] in (0.0, 1.0)
