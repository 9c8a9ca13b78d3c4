"""What the tests of this room share: a model and a request of any body."""

from typing import Any

from multidict import CIMultiDict

from penstock.models.policy import Model
from penstock.openai import wire_json
from penstock.openai.request import Request, request_of

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"


def model(**fields: Any) -> Model:
    usual = {"input_usd_per_million": 0.15, "output_usd_per_million": 0.6, "context_tokens": 1_000_000}
    return Model(**{**usual, **fields})


def request(path: str = CHAT, **body: Any) -> Request:
    return request_of("POST", path, CIMultiDict(), wire_json.encode({"model": "m", **body}))


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}
