"""What stands around a body: the query and the client's own headers."""

import re
from typing import Final
from urllib.parse import unquote_plus

from multidict import MultiMapping

from penstock.redaction.found import Find

# What one connection needs, and what no SDK lets anybody fill.
_PLAIN: Final = frozenset(
    "accept accept-encoding connection content-length content-type host transfer-encoding "
    "x-stainless-arch x-stainless-async x-stainless-lang x-stainless-os x-stainless-package-version "
    "x-stainless-read-timeout x-stainless-retry-count x-stainless-runtime x-stainless-runtime-version".split()
)
_ANSWERS: Final = frozenset(
    "content-length content-type connection date server transfer-encoding cf-ray cf-cache-status "
    "openai-processing-ms openai-version".split()
)
_WORDLESS: Final = frozenset({"idempotency-key"})  # its name would make a secret of every value
_SDK: Final = re.compile(r"[A-Za-z0-9 .,:;=*/+_-]{0,64}")


def telling_headers(headers: MultiMapping[str], find: Find) -> list[str]:
    """Give the names of a request's headers that hold something; they need not go upstream at all."""
    return _telling(headers, _PLAIN, find)


def telling_answer_headers(headers: MultiMapping[str], find: Find) -> list[str]:
    """Give the names of an answer's headers that hold something; no client needs them."""
    return _telling(headers, _ANSWERS, find)


def telling_query(query: str, find: Find) -> str | None:
    """Give the type of what a query holds; None where it holds nothing."""
    found = find(unquote_plus(query)) if query else ()
    return found[0].type if found else None


def _telling(headers: MultiMapping[str], plain: frozenset[str], find: Find) -> list[str]:
    """Read all lines at once, and where that finds something each alone; a name is words before its value."""
    lines: list[tuple[str, str]] = []
    for name, value in headers.items():
        if name.lower() not in plain or not _SDK.fullmatch(value):
            lines.append((name, f"{value}\n" if name.lower() in _WORDLESS else f"{name}: {value}\n"))
    if not lines or not find("".join(line for _, line in lines)):
        return []
    return list(dict.fromkeys(name for name, line in lines if find(line)))
