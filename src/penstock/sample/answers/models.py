"""The models that the sample upstream names; it answers for any other name as well."""

from typing import Final

from penstock.errors import Refusal
from penstock.sample.answers.words import Json

NAMES: Final = (
    "gpt-4.1",
    "gpt-4.1-mini",
    "gpt-4o",
    "gpt-4o-mini",
    "text-embedding-3-large",
    "text-embedding-3-small",
)
_CREATED: Final = 1_715_367_049


def listing() -> Json:
    """Give the list object."""
    return {"object": "list", "data": [model(name) for name in NAMES]}


def model(name: str) -> Json:
    """Give one model. Raises Refusal (404)."""
    if name not in NAMES:
        raise Refusal(404, "model_not_found", "The model does not exist.", param="model")
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "penstock-sample"}
