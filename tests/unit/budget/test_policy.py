"""budget.yaml: defaults that refuse, and values that are refused."""

import pytest
from pydantic import ValidationError

from penstock.budget.policy import BudgetPolicy, Leases, Webhook


def test_the_defaults_refuse_rather_than_overrun():
    policy = BudgetPolicy()
    assert policy.on_failure == "reject"
    assert (policy.warn_at, policy.hard_stop, policy.store_gone) == (0.8, 429, "refuse")
    assert not policy.leases.enabled
    assert not policy.unmetered_tools
    assert policy.webhook is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"warn_at": 0},
        {"warn_at": 1.1},
        {"hard_stop": 402},
        {"least_output_tokens": 0},
        {"max_choices": 0},
        {"reservation_s": 1},
        {"reservation_s": 7200},
        {"shared_calls": "nobody"},
        {"store_gone": "allow"},
        {"warm_at": 0.5},
    ],
    ids=str,
)
def test_wrong_values(wrong: dict):
    with pytest.raises(ValidationError):
        BudgetPolicy(**wrong)


@pytest.mark.parametrize("url", ["ftp://x/y", "hooks.example.com", "https://", "http://user:pw@x/y", ""])
def test_wrong_webhooks(url: str):
    with pytest.raises(ValidationError):
        Webhook(url=url)


def test_a_webhooks_secret_is_a_reference():
    assert Webhook(url="https://x.example/y", secret="env:HOOK").secret == "env:HOOK"
    with pytest.raises(ValidationError):
        Webhook(url="https://x.example/y", secret="in the clear")


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 0.5}, {"idle_s": 0}], ids=str)
def test_wrong_leases(wrong: dict):
    with pytest.raises(ValidationError):
        Leases(**wrong)
