"""A whole answer with the client's own values in place of their placeholders."""

from typing import Any, Final

from penstock.openai.request import Endpoint, Json
from penstock.redaction.answer import AnswerRules
from penstock.redaction.lane import read_and_restored, restored
from penstock.redaction.vault import Vault

# Never redacted on the way up, so never restored on the way down.
FIXED: Final = frozenset(
    "id object model role type name call_id item_id tool_call_id finish_reason status system_fingerprint "
    "service_tier encrypted_content signature previous_response_id obfuscation b64_json data result "
    "partial_image_b64 container_id file_id format".split()
)
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
        for key, item in value.items():
            if key in FIXED and not own and isinstance(item, str):
                new[key] = item
                continue
            here = f"{pointer}/{key}"
            if self._json_text and key == self._spoken and isinstance(item, str):
                escaped = self._spoken == "content" or value.get("type") == "output_text"
                new[key] = self._string(item, key, here, escaped=escaped or key == _CALLED_WITH, read=read)
            elif key == "logprobs":
                new[key] = item
                continue
            else:
                new[key] = self.value(item, key, here, read=read and not (is_response and key in _ECHOES))
            same = same and new[key] is item
        if same:
            return value
        if "logprobs" in new:  # its tokens spell what the model said, which is not what stands here now
            new["logprobs"] = [] if isinstance(new["logprobs"], list) else None
        return new

    def _string(self, text: str, name: str, pointer: str, *, escaped: bool, read: bool) -> str:
        if self._rules is not None and read:
            call = name == _CALLED_WITH
            out = read_and_restored(self._vault, self._rules, text, pointer, escaped=escaped, call=call)
        elif self._vault.may_hit(text):
            out = restored(self._vault, text, escaped=escaped)
        else:
            return text
        return text if out == text else out
