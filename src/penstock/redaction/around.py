"""What stands around the texts of an answer: ids, names, keys, tokens. Nobody's value hides there.

Nothing is restored in such places, and a value that is not the client's own is taken out of them.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from penstock.redaction.answer import AnswerRules, apart
from penstock.redaction.text import Plain, spliced
from penstock.redaction.vault import Vault

# Never redacted on the way up, so never restored on the way down.
FIXED: Final = frozenset(
    "id object model role type name call_id item_id tool_call_id finish_reason status system_fingerprint "
    "service_tier encrypted_content signature previous_response_id obfuscation b64_json data result "
    "partial_image_b64 container_id file_id format".split()
)
_BINARY: Final = frozenset(
    "encrypted_content signature obfuscation b64_json data result partial_image_b64".split()
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_=-]*")
_MEDIA: Final = re.compile(r"data:(?:image|audio|video)/[a-z0-9.+-]{1,64};base64,[A-Za-z0-9+/_=-]*")
_PLAIN: Final = re.compile(r"[a-z][a-z_.]{0,40}")
"""The API's own words: neither digits nor capitals, nor what makes an address."""
_KEPT: Final = 256


class Around:
    """Reads the small parts of one answer; without rules, all of them stay as they are."""

    def __init__(self, vault: Vault, rules: AnswerRules | None) -> None:
        self._vault = vault
        self._rules = rules
        self._known: dict[str, str] = {}  # every chunk of a stream has the same id

    @property
    def reads(self) -> bool:
        """Whether the answer is read at all."""
        return self._rules is not None

    def fixed(self, name: str, text: str, pointer: str = "") -> str:
        """Read a field that is never restored. Raises Blocked."""
        if self._rules is None or _PLAIN.fullmatch(text):
            return text
        if name in _BINARY and _BASE64.fullmatch(text):
            return text
        return self._read(text, pointer)

    def key(self, name: str, pointer: str) -> str:
        """Read the name of a field. Raises Blocked."""
        return name if self._rules is None or _PLAIN.fullmatch(name) else self._read(name, pointer)

    def clean(self, text: str) -> bool:
        """Whether there is nothing in a text that may not go on."""
        if self._rules is None:
            return True
        return not apart(self._rules.marks(self._vault, Plain(text), 0), self._vault.hits(text))

    def spells(self, logprobs: Any, said: str | None = None) -> bool:  # noqa: ANN401
        """Whether tokens and their alternatives hold no value; `said` is the text that they must spell."""
        if self._rules is None or not logprobs:
            return True
        told = "".join(_tokens(logprobs))
        same = said is None or told == said
        return same and self.clean(told) and self.clean("\n".join(_strings(logprobs)))

    def _read(self, text: str, pointer: str) -> str:
        known = self._known.get(text)
        if known is not None:
            return known
        if self._rules is None or _MEDIA.fullmatch(text):
            return text
        whole = Plain(text)
        marks = apart(self._rules.marks(self._vault, whole, 0), self._vault.hits(text))
        edits = [edit for mark in marks for edit in self._rules.taken(self._vault, mark, whole, pointer)]
        if len(self._known) == _KEPT:
            self._known.clear()
        self._known[text] = out = spliced(text, edits)
        return out


def is_media(text: str) -> bool:
    """Whether a text is nothing but a picture, a sound or a film in base64."""
    return text.startswith("data:") and _MEDIA.fullmatch(text) is not None


def _tokens(logprobs: Any) -> Iterator[str]:  # noqa: ANN401
    """Give the tokens of any API's log probabilities: `content` and `refusal`, a bare list, or `tokens`."""
    if isinstance(logprobs, list):
        for one in logprobs:
            token = one.get("token") if isinstance(one, dict) else one
            if isinstance(token, str):
                yield token
    elif isinstance(logprobs, dict):
        for name in ("content", "refusal", "tokens"):
            yield from _tokens(logprobs.get(name))


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401
    """Give every string of log probabilities, and every name of a field that is not the API's."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        yield from (name for name in value if not _PLAIN.fullmatch(name))
        yield from _strings(list(value.values()))
