"""Counting tokens with the vocabularies of OpenAI's models (decision 0008).

The library is imported, and a vocabulary read, when the first text is counted: 0.25 to 0.6 s for each,
with the interpreter held. Who counts while serving calls `warm` first. Counting lets go of the
interpreter, so a long text may be counted in a thread: 5 µs for a kB of prose, 0.2 ms of random letters.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from penstock.models.policy import TokenizerName

_HALF: Final = re.compile("[\ud800-\udfff]")


def count_tokens(texts: Sequence[str], tokenizer: TokenizerName) -> int | None:
    """Give how many tokens the texts have, each counted by itself; None where there is no tokenizer.

    What looks like a special token counts as the text it is, which is never fewer tokens.
    """
    if tokenizer == "none":
        return None
    import toktok  # type: ignore[import-untyped, import-not-found, unused-ignore]

    try:
        counts: list[int] = toktok.batch_count(texts, tokenizer, threads=1)
    except UnicodeEncodeError:  # half an emoji: JSON may carry one, UTF-8 may not
        whole = [_HALF.sub("\ufffd", text) for text in texts]
        counts = toktok.batch_count(whole, tokenizer, threads=1)
    return sum(counts)


def warm(tokenizers: Iterable[TokenizerName]) -> None:
    """Read these vocabularies, about 60 MB each, so that no request has to wait for them."""
    for tokenizer in sorted(set(tokenizers)):
        count_tokens(("warm",), tokenizer)
