import gzip
from pathlib import Path

import msgspec
import pytest

from penstock.cli.eval_routing import run
from penstock.clock import SYSTEM
from penstock.errors import StartError
from penstock.routing.evaluation.report import Mode, evaluate
from penstock.routing.evaluation.views import answer_view, prompt_view


def test_the_report_finds_what_is_to_be_found(world, write, tmp_path: Path):
    figures = evaluate(write(tmp_path, world(600)), None, (0, 5), SYSTEM)
    prompt, answer = (figures["modes"][f"routellm-mmlu/{mode}"] for mode in ("prompt", "answer"))
    assert 0.6 < prompt["apgr"] < answer["apgr"]
    assert prompt["apgr_low"] < prompt["apgr"] < prompt["apgr_high"]
    assert set(figures["loop"]) == {"1000", "10000"}
    assert figures["loop"]["1000"] > 0.55
    assert figures["rows"]["dev"] + figures["rows"]["test"] == 600


def test_each_mode_is_fully_told(world, write, tmp_path: Path):
    figures = evaluate(write(tmp_path, world(300, "other")), None, (1, 3))
    for mode in figures["modes"].values():
        assert 0 <= mode["cpt50"] <= mode["cpt80"] <= 1
        assert mode["calls_for_95%"] <= mode["calls_for_99%"]
        assert mode["us_p50"] <= mode["us_p99"]
        assert mode["small"] < mode["large"]
        assert set(mode["ninety_small"]) == {"loss", "at_least", "perfect", "feasible"}


def test_ninety_small_is_told_by_the_rows_that_were_learned_from(world, write, tmp_path: Path):
    dev = world(300, "other")
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    learned_from = write(tmp_path / "one", dev)
    kinder = [msgspec.structs.replace(row, weak_ok=1.0) for row in world(200, "other", seed=2)]
    told = evaluate(learned_from, write(tmp_path / "two", kinder), None)["modes"]["other/prompt"]
    assert not told["ninety_small"]["feasible"]
    assert told["loss_at_90_small"] <= 0


def test_only_the_mode_that_sees_most_of_a_pair_makes_promises(world, write, tmp_path: Path):
    figures = evaluate(write(tmp_path, world(300, "other")), None, (0, 3))
    assert set(figures["modes"]) == {"other/prompt", "other/answer"}
    assert set(figures["guarantee"]) == {"other/answer"}


def test_a_pair_without_answers_is_known_by_its_prompts(world, write, tmp_path: Path):
    rows = [msgspec.structs.replace(row, weak_chars=None, weak_answer=None) for row in world(300, "other")]
    figures = evaluate(write(tmp_path, rows), None, (0, 3))
    assert set(figures["modes"]) == set(figures["guarantee"]) == {"other/prompt"}


def test_a_second_opinion_is_scored_where_the_data_has_one(world, write, tmp_path: Path):
    rows = [
        msgspec.structs.replace(row, other_pred={"phi3-mini": 4.0}) for row in world(400, "mmlupro-llama")
    ]
    figures = evaluate(write(tmp_path, rows), None, (0, 4))
    assert figures["modes"]["mmlupro-llama/second phi3-mini"]["apgr"] > 0.75
    assert "mmlupro-llama/second phi3-mini" in figures["guarantee"]


def test_few_rows_of_a_pair_are_not_scored(world, write, tmp_path: Path):
    figures = evaluate(write(tmp_path, [*world(300, "other"), *world(40, "tiny", seed=3)]), None, (0, 3))
    assert not any(name.startswith("tiny") for name in figures["modes"])


def test_two_pairs_are_transferred_to_each_other(world, write, tmp_path: Path):
    rows = [*world(300, "one"), *world(300, "two", seed=3)]
    figures = evaluate(write(tmp_path, rows), None, (0, 3))
    assert set(figures["transfer"]["tried"]) == {"one -> two", "two -> one"}
    assert figures["transfer"]["lowest"]["untried"] > 0.5
    assert figures["loop"] == {}


def test_the_shape_of_an_answer_counts_for_more(world):
    rows = world(10)
    assert Mode("a", "prompt", prompt_view, rows, rows).shape_scale is None
    assert Mode("a", "answer", answer_view, rows, rows).shape_scale == 4.0
    assert Mode("a", "answer", answer_view, rows, rows).name == "a/answer"


def test_a_prompt_that_was_taught_is_never_scored(world, write, tmp_path: Path):
    folder = write(tmp_path, world(200))
    assert evaluate(folder, folder, None)["rows"]["test"] == 0


def test_the_command_prints_json(world, write, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["--dev", str(write(tmp_path, world(300, "other"))), "--fold", "1/4"]) == 0
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


def test_intents_may_be_scored_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = [f"{verb} the {noun}\t{verb}" for verb in ("sort", "sum", "shout") for noun in "abcdefgh"]
    for name in ("train", "test"):
        (tmp_path / name).write_text("\n".join([*lines, "zqx vrrm\toos\n"]))
    assert run(["--intents", str(tmp_path / "train"), str(tmp_path / "test")]) == 0
    figures = msgspec.json.decode(capsys.readouterr().out)
    assert set(figures) == {"intents"}
    assert figures["intents"]["in_scope_accuracy"] > 0.9


@pytest.mark.parametrize("words", [["--fold", "0/5"], ["--dev", "."], [], ["--test", "."]])
def test_rows_to_learn_from_and_rows_to_score_go_together(words: list[str]):
    with pytest.raises(SystemExit):
        run(words)
