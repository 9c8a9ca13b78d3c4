import gzip
from pathlib import Path

import msgspec
import pytest

from penstock.cli.eval_routing import run
from penstock.clock import SYSTEM
from penstock.errors import StartError
from penstock.routing.evaluation.report import evaluate


def test_the_report_finds_what_is_to_be_found(world, write, tmp_path: Path):
    figures = evaluate(write(tmp_path, world(600)), None, (0, 5), SYSTEM)
    prompt, answer = (figures["modes"][f"routellm-mmlu/{mode}"] for mode in ("prompt", "answer"))
    assert 0.6 < prompt["apgr"] < answer["apgr"]
    assert prompt["apgr_low"] < prompt["apgr"] < prompt["apgr_high"]
    assert set(figures["loop"]) == {"1000", "10000"}
    assert figures["loop"]["1000"] > 0.55
    assert figures["rows"]["dev"] + figures["rows"]["test"] == 600


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
