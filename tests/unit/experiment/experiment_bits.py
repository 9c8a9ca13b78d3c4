"""Small experiments, and the policies around them."""

from typing import Any

from penstock import testing
from penstock.experiment.policy import Arm, Experiment, ExperimentPolicy, Guardrail
from penstock.models.policy import Model, ModelsPolicy
from penstock.policy.base import PolicySet
from penstock.routing.policy import RoutingPolicy
from penstock.stages.cache import CachePolicy
from penstock.stores.keyring import Keyring
from penstock.tenants.policy import TenantsPolicy

KEYRING = Keyring(bytes(32))
MODELS = ModelsPolicy(
    models={"m": Model(input_usd_per_million=1.0, output_usd_per_million=4.0, context_tokens=8_000)}
)


def experiment(treatment: Any = None, control: Any = None, **said: Any) -> Experiment:
    """Give two arms; `treatment` and `control` are what they set."""
    arms = {"control": Arm(set=control or {}), "treatment": Arm(set=treatment or {})}
    return Experiment(**{"arms": arms, **said})


def guarded(metric: str = "error", worse_by: float = 0.02, **said: Any) -> Experiment:
    """Give two equal arms with a guardrail."""
    return experiment(guardrails={metric: Guardrail(worse_by=worse_by)}, **said)


def policies(*given: Any, **experiments: Experiment) -> PolicySet:
    """Give a set with these experiments; underscores in names stand for hyphens."""
    named = {name.replace("_", "-"): each for name, each in experiments.items()}
    defaults = (ExperimentPolicy(experiments=named), CachePolicy(), RoutingPolicy(), TenantsPolicy(), MODELS)
    return testing.policies(*defaults, *given)
