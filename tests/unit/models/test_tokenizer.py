"""The tokenizers: counts that are known, texts that are hostile, and nothing paid before the first text."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.models.tokenizer import count_tokens, warm


@pytest.mark.parametrize(
    ("text", "o200k", "cl100k"),
    [
        ("", 0, 0),
        ("hello world", 2, 2),
        ("tiktoken is great!", 6, 6),
        ("antidisestablishmentarianism", 6, 6),
        ("2 + 2 = 4", 7, 7),
        ("お誕生日おめでとう", 8, 9),
        ("a" * 1_000, 125, 125),
    ],
)
def test_known_counts(text: str, o200k: int, cl100k: int) -> None:
    """The figures of OpenAI's own cookbook, and one of a run."""
    assert count_tokens((text,), "o200k_base") == o200k
    assert count_tokens((text,), "cl100k_base") == cl100k


def test_texts_are_counted_apart() -> None:
    assert count_tokens(("hello", " world", ""), "o200k_base") == 2
    assert count_tokens(("hel", "lo"), "o200k_base") == 2
    assert count_tokens((), "o200k_base") == 0


def test_without_a_tokenizer_nothing_is_counted() -> None:
    assert count_tokens(("hello",), "none") is None
    warm(["none"])


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|im_end|>", "<|im_start|>"])
def test_a_special_token_in_a_text_is_text(mark: str) -> None:
    count = count_tokens((mark,), "o200k_base")
    assert count is not None
    assert 1 < count <= len(mark)


def test_half_an_emoji_counts_as_what_replaces_it() -> None:
    assert count_tokens(("a\ud83d",), "o200k_base") == count_tokens(("a\ufffd",), "o200k_base")
    assert count_tokens(("ok", "\udc00\ud800"), "o200k_base") == count_tokens(
        ("ok", "\ufffd\ufffd"), "o200k_base"
    )


@pytest.mark.parametrize("piece", ["a", " ", "\n", "aA", "!", "1", "中", "a\u0301", "👩‍👩‍👧", " \t", "\x00"])
def test_a_megabyte_of_one_thing_is_counted(piece: str) -> None:
    text = piece * (1_000_000 // len(piece.encode()))
    count = count_tokens((text,), "o200k_base")
    assert count is not None
    assert len(text) // 128 <= count <= len(text.encode())


@given(st.text(max_size=300), st.sampled_from(["o200k_base", "cl100k_base"]))
def test_a_text_never_has_more_tokens_than_bytes(text: str, name: str) -> None:
    count = count_tokens((text,), name)  # type: ignore[arg-type]
    assert count is not None
    assert (count > 0) is bool(text)
    assert count <= len(text.encode("utf-8", "replace" if text.isascii() else "surrogatepass"))


def test_a_gateway_that_counts_nothing_does_not_load_the_library() -> None:
    code = (
        "import sys, penstock.models.prompt, penstock.models.calibrate; "
        "from penstock.models.tokenizer import count_tokens; count_tokens(['a'], 'none'); "
        "sys.exit('toktok' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
