"""policies/models.yaml: which entry a name goes by, and what can't be meant."""

from pathlib import Path
from typing import Any

import pytest
from models_house import model
from pydantic import ValidationError

from penstock.models.policy import Model, ModelsPolicy
from penstock.models.price import Prices
from penstock.openai.request import Endpoint
from penstock.openai.usage import Usage
from penstock.policy.validate import read_model
from penstock.policy.yaml_source import read_document
from penstock.sample.answers import models as sample
from penstock.settings import shipped_policies

LISTED = ModelsPolicy(models={"a": model(), "a-mini": model(), "a-2024-01-01": model()})
WITH_ANY = ModelsPolicy(models={**LISTED.models, "*": model()})


def shipped() -> ModelsPolicy:
    document = read_document(shipped_policies() / "models.yaml")
    policy = read_model(ModelsPolicy, document)
    assert document.problems() == []
    assert policy is not None
    return policy


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("a", "a"),
        ("a-mini", "a-mini"),
        ("a-2024-01-01", "a-2024-01-01"),
        ("a-2025-12-31", "a"),
        ("a-mini-2024-07-18", "a-mini"),
        ("a-nano-2024-07-18", None),
        ("a-2024-07-18-preview", None),
        ("a-20240718", None),
        ("a-2024-07-18\n", None),
        ("a-\u0662\u0660\u0662\u0664-07-18", None),
        ("-2024-07-18", None),
        ("A", None),
        ("ft:a-2024-07-18:org::id", None),
        ("", None),
        (None, None),
    ],
)
def test_a_name_goes_by_its_own_entry_or_by_its_familys(name: str | None, listed: str | None) -> None:
    assert LISTED.listed_name(name) == listed
    assert LISTED.find(name) is (None if listed is None else LISTED.models[listed])
    assert WITH_ANY.find(name) is WITH_ANY.models[listed or "*"]


def test_without_a_file_no_model_is_known() -> None:
    assert ModelsPolicy().find("gpt-4o") is None


def test_prices_left_out_are_the_ones_they_are_part_of() -> None:
    assert model().prices == Prices(150_000, 150_000, 600_000, 600_000)
    full = model(cached_input_usd_per_million=0.0, reasoning_usd_per_million=2.5)
    assert full.prices == Prices(150_000, 0, 600_000, 2_500_000)
    assert (full.output_rate, full.prices.input_rate) == (2_500_000, 150_000)


def test_a_model_tells_what_an_answer_costs_and_may_cost() -> None:
    assert model().cost_usd_micros(Usage(1_000, 1_000)) == 750
    assert model().input_bound_usd_micros(1_001) == 151
    assert model().output_bound_tokens == 1_000_000
    assert model(max_output_tokens=5).output_bound_tokens == 5


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [
        (Endpoint.CHAT, "max_completion_tokens"),
        (Endpoint.RESPONSES, "max_output_tokens"),
        (Endpoint.COMPLETIONS, "max_tokens"),
        (Endpoint.EMBEDDINGS, None),
        (Endpoint.OTHER, None),
    ],
)
def test_each_endpoint_has_a_field_that_limits_its_answers(endpoint: Endpoint, field: str | None) -> None:
    assert model(limit_field="max_completion_tokens").limit_field_at(endpoint) == field


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_usd_per_million": -0.1}, "greater than or equal to 0"),
        ({"output_usd_per_million": 0.1234567}, "at most 6 decimals"),
        ({"input_usd_per_million": float("nan")}, "input_usd_per_million"),
        ({"output_usd_per_million": float("inf")}, "less than or equal to"),
        ({"context_tokens": 0}, "greater than 0"),
        ({"max_output_tokens": 1_000_001}, "larger than context_tokens"),
        ({"tokenizer": "gpt2"}, "o200k_base"),
        ({"limit_field": "limit"}, "max_completion_tokens"),
        ({"image_tokens": 1.5}, "valid integer"),
        ({"vision": True}, "Extra inputs"),
    ],
)
def test_what_cant_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        model(**fields)


@pytest.mark.parametrize("left_out", ["input_usd_per_million", "output_usd_per_million", "context_tokens"])
def test_a_price_is_never_assumed(left_out: str) -> None:
    fields = model().model_dump(exclude={left_out})
    with pytest.raises(ValidationError, match="Field required"):
        Model(**fields)


def test_the_shipped_file_prices_every_model_it_lists_and_no_other() -> None:
    policy = shipped()
    assert policy.find("some-model-of-tomorrow") is None
    for name, listed in policy.models.items():
        assert listed.prices.input > 0, name
        assert listed.prices.cached_input <= listed.prices.input, name
        assert (listed.prices.output > listed.prices.input) is not name.startswith("text-embedding"), name
        assert listed.image_tokens >= 2_000, name


def test_the_shipped_file_knows_what_the_sample_upstream_and_the_demo_name() -> None:
    policy = shipped()
    demo = (Path(__file__).parents[3] / "src/penstock/cli/demo.py").read_text(encoding="utf-8")
    asked = {part.partition('"')[0] for part in demo.split('model="')[1:]}
    assert len(asked) >= 2
    assert [name for name in {*sample.NAMES, *asked} if policy.find(name) is None] == []
