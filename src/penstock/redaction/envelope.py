"""What stands around a body: the query and the client's own headers."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from penstock.redaction.found import Find

# Words of the protocol and of the official SDKs, in which nothing of a person stands.
_PLAIN: Final = frozenset(
    "accept accept-encoding accept-language connection content-length content-type host openai-beta "
    "openai-organization openai-project transfer-encoding x-stainless-arch x-stainless-async "
    "x-stainless-lang x-stainless-os x-stainless-package-version x-stainless-read-timeout "
    "x-stainless-retry-count x-stainless-runtime x-stainless-runtime-version".split()
)


def telling_headers(headers: Mapping[str, str], find: Find) -> list[str]:
    """Give the names of the headers whose values hold something; they need not go upstream at all."""
    asked = {name: value for name, value in headers.items() if name.lower() not in _PLAIN}
    if not asked or not find("\n".join(asked.values())):
        return []
    return [name for name, value in asked.items() if find(value, name)]


def telling_query(query: str, find: Find) -> str | None:
    """Give the type of what a query holds; None where it holds nothing."""
    found = find(unquote_plus(query)) if query else ()
    return found[0].type if found else None
