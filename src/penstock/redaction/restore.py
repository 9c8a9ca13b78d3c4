"""A whole answer with the client's own values in place of their placeholders."""

from typing import Any, Final

from penstock.openai.request import Endpoint, Json
from penstock.redaction.answer import AnswerRules
from penstock.redaction.around import FIXED, Around, is_media
from penstock.redaction.lane import read_and_restored, restored
from penstock.redaction.vault import Vault

# The client's own objects, in which such a name is no part of the API.
_OWN: Final = frozenset({"metadata", "variables", "user_location"})
# What the model said, as opposed to what the answer repeats of the request.
_ECHOES: Final = frozenset({"instructions", "tools", "metadata", "prompt", "user", "input", "text"})
_CALLED_WITH: Final = "arguments"


def wants_json(endpoint: Endpoint, body: Json) -> bool:
    """Whether a request asks for an answer that is a JSON text, so that values must be escaped in it."""
    if endpoint is Endpoint.RESPONSES:
        text = body.get("text")
        form = text.get("format") if isinstance(text, dict) else None
    else:
        form = body.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else None
    return kind in ("json_object", "json_schema")


def restore_body(
    endpoint: Endpoint,
    answer: Any,  # noqa: ANN401 - any JSON may come from upstream
    vault: Vault,
    *,
    json_text: bool = False,
    rules: AnswerRules | None = None,
) -> Any:  # noqa: ANN401
    """Give the answer as the client is to have it; parts that stay are shared with the one given.

    `json_text` is what `wants_json` says of the request; `rules` has the answer read as well.
    Raises Blocked.
    """
    if not vault.size and rules is None:
        return answer
    return Restorer(endpoint, vault, json_text=json_text, rules=rules).value(answer, "", "")


class Restorer:
    """Walks JSON of an answer."""

    def __init__(
        self, endpoint: Endpoint, vault: Vault, *, json_text: bool, rules: AnswerRules | None
    ) -> None:
        self._vault = vault
        self._rules = rules
        self._json_text = json_text
        self.around = Around(vault, rules)
        self._spoken = "text" if endpoint is Endpoint.RESPONSES else "content"

    def value(self, value: Any, name: str, pointer: str, *, read: bool = True) -> Any:  # noqa: ANN401
        """Give a value under this field name; the same object where nothing changes."""
        if isinstance(value, str):
            return self._string(value, name, pointer, escaped=name == _CALLED_WITH, read=read)
        if isinstance(value, dict):
            return self._object(value, name, pointer, read=read)
        if isinstance(value, list):
            new = [self.value(item, name, f"{pointer}/{at}", read=read) for at, item in enumerate(value)]
            same = all(one is other for one, other in zip(new, value, strict=True))
            return value if same else new
        return value

    def _object(self, value: Json, name: str, pointer: str, *, read: bool) -> Json:
        own = name in _OWN
        is_response = value.get("object") == "response"
        new: Json = {}
        same = True
        for told, item in value.items():
            echo = is_response and told in _ECHOES
            key = self.around.key(told, pointer) if read and not own else told
            here = f"{pointer}/{key}"
            if told == "logprobs":
                new[key] = item
                same = same and self.around.spells(item)
                continue
            new[key] = self._field(value, told, item, here, own=own, read=read and not echo)
            same = same and new[key] is item and key == told
        if same:
            return value
        if "logprobs" in new:  # its tokens spell what the model said, which is not what stands here now
            new["logprobs"] = [] if isinstance(new["logprobs"], list) else None
        return new

    def _field(self, of: Json, key: str, item: Any, pointer: str, *, own: bool, read: bool) -> Any:  # noqa: ANN401
        if not isinstance(item, str):
            return self.value(item, key, pointer, read=read)
        if key in FIXED and not own:
            return self.around.fixed(key, item, pointer) if read else item
        escaped = key == _CALLED_WITH
        if self._json_text and key == self._spoken:
            escaped = self._spoken == "content" or of.get("type") == "output_text"
        return self._string(item, key, pointer, escaped=escaped, read=read)

    def _string(self, text: str, name: str, pointer: str, *, escaped: bool, read: bool) -> str:
        if self._rules is not None and read and not is_media(text):
            call = name == _CALLED_WITH
            out = read_and_restored(self._vault, self._rules, text, pointer, escaped=escaped, call=call)
        elif self._vault.may_hit(text):
            out = restored(self._vault, text, escaped=escaped)
        else:
            return text
        return text if out == text else out
