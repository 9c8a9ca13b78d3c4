"""The shipped rules, one file for each family."""

from functools import cache

from penstock.detect.probe import Probe
from penstock.detect.rules import (
    address,
    birth,
    cards,
    contact,
    documents,
    ids,
    money,
    mrz,
    network,
    numbers,
    person,
    phone,
)
from penstock.detect.rules.secrets import secret_probes


@cache
def shipped_probes() -> tuple[Probe, ...]:
    """Give every shipped rule. They hold no state, so all engines share them."""
    families = (
        contact.PROBES, network.PROBES, cards.PROBES, money.PROBES, numbers.PROBES, phone.PROBES, ids.PROBES,
        mrz.PROBES, documents.PROBES, birth.PROBES, person.PROBES, address.PROBES, secret_probes(),
    )  # fmt: skip
    return tuple(probe for family in families for probe in family)


def known_types() -> frozenset[str]:
    """Give every type that a shipped rule can find."""
    return frozenset(type for probe in shipped_probes() for type in probe.types)
