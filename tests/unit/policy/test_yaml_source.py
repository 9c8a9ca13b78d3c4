import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.policy.document import Document
from penstock.policy.yaml_source import LIMIT_BYTES, read_document


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache.yaml"


def only_problem(document: Document) -> str:
    (problem,) = document.problems()
    return problem.message


def test_a_file_is_read_with_its_values_and_its_text(file: Path) -> None:
    file.write_text("a: 1\n")
    document = read_document(file)

    assert document.sound
    assert document.exists
    assert document.path == str(file)
    assert document.root is not None
    assert document.root.plain() == {"a": 1}


def test_a_missing_file_reads_as_an_empty_mapping_that_does_not_exist(file: Path) -> None:
    document = read_document(file)

    assert document.sound
    assert not document.exists
    assert document.root is not None
    assert document.root.plain() == {}


def test_a_dangling_link_is_a_missing_file(file: Path) -> None:
    file.symlink_to(file.parent / "gone")

    assert not read_document(file).exists


def test_a_folder_is_no_file(file: Path) -> None:
    file.mkdir()

    assert "can't be read" in only_problem(read_document(file))


def test_a_pipe_does_not_keep_us_waiting(file: Path) -> None:
    os.mkfifo(file)

    assert only_problem(read_document(file)) == "can't be read: not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(file: Path) -> None:
    file.write_text("a: 1\n")
    file.chmod(0)

    assert only_problem(read_document(file)) == "can't be read: Permission denied"


def test_a_circle_of_links_says_so(file: Path) -> None:
    file.symlink_to(file)

    assert "can't be read" in only_problem(read_document(file))


def test_the_limit_is_exact(file: Path) -> None:
    head = b"a: 1\n#"
    file.write_bytes(head + b"x" * (LIMIT_BYTES - len(head)))
    assert read_document(file).sound

    file.write_bytes(head + b"x" * (LIMIT_BYTES - len(head) + 1))
    assert only_problem(read_document(file)) == "is larger than 1024 KiB"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused_with_the_place(file: Path, encoding: str) -> None:
    file.write_bytes("a: 1\nb: ä\n".encode(encoding))
    (problem,) = read_document(file).problems()

    assert problem.message == "the file is not UTF-8"
    assert problem.line == (2 if encoding == "latin-1" else 1)


def test_a_broken_secret_in_another_encoding_is_not_shown(file: Path) -> None:
    file.write_bytes("api_key: hüsh\n".encode("latin-1"))

    assert "sh" not in str(read_document(file).problems()[0]).replace(str(file), "")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_document(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(raw)
    document = read_document(file)

    assert document.sound is (not document.problems())
    assert document.root is not None or not document.sound
