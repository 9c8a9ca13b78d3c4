import gzip
from pathlib import Path

import msgspec
import pytest

from penstock.routing.evaluation.rows import Row, by_benchmark, fold_of, load, with_small

ROW = Row(
    "ff",
    "maths",
    "1 + 1?",
    0.0,
    1.0,
    other_ok={"tiny": 1.0},
    other_pred={"tiny": 2.0},
    other_chars={"tiny": 3},
)


def _write(folder: Path, name: str, *rows: Row) -> None:
    lines = b"\n".join(msgspec.json.encode(row) for row in rows)
    (folder / name).write_bytes(gzip.compress(lines))


def test_rows_come_back_from_their_files(tmp_path: Path):
    _write(tmp_path, "b.jsonl.gz", ROW)
    _write(tmp_path, "a.jsonl.gz", msgspec.structs.replace(ROW, benchmark="law"), ROW)
    assert [row.benchmark for row in load(tmp_path)] == ["law", "maths", "maths"]


def test_columns_that_are_not_known_are_left_out(tmp_path: Path):
    line = b'{"id":"x","group":"1","benchmark":"b","prompt":"p","weak_ok":0,"strong_ok":1,"turns":["p"]}\n'
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line))
    (row,) = load(tmp_path)
    assert (row.gain, row.outcome.small, row.weak_answer) == (1.0, 0.0, None)


def test_a_line_that_is_no_row_is_refused(tmp_path: Path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"group": 3}\n'))
    with pytest.raises(msgspec.ValidationError):
        load(tmp_path)


def test_a_group_is_in_one_fold():
    assert fold_of(ROW, 5) == 255 % 5
    assert {fold_of(msgspec.structs.replace(ROW, prompt=text), 5) for text in "abc"} == {0}


def test_benchmarks_are_sorted_by_name():
    other = msgspec.structs.replace(ROW, benchmark="law")
    assert list(by_benchmark([ROW, other, ROW])) == ["law", "maths"]


def test_another_model_can_be_the_small_one():
    (row,) = with_small([ROW], "tiny")
    assert (row.weak_ok, row.weak_pred, row.weak_chars) == (1.0, 2.0, 3)
    assert not with_small([ROW], "huge")


def test_the_text_of_the_small_model_is_not_taken_for_that_of_another():
    told = msgspec.structs.replace(ROW, weak_answer="It is 2.", weak_tail="2.")
    (row,) = with_small([told], "tiny")
    assert (row.weak_answer, row.weak_tail) == (None, None)
    assert row.strong_ok == told.strong_ok


def test_a_model_whose_answer_is_not_known_can_be_the_small_one():
    (row,) = with_small([msgspec.structs.replace(ROW, other_pred={}, other_chars={})], "tiny")
    assert (row.weak_ok, row.weak_pred, row.weak_chars) == (1.0, None, None)


def test_an_empty_folder_has_no_rows(tmp_path: Path):
    (tmp_path / "README.md").write_text("not rows")
    assert load(tmp_path) == []
