"""Secrets: tokens of a public format, keys named by their field, credentials in commands and addresses."""

from penstock.detect.probe import Probe
from penstock.detect.rules.secrets import (
    ai,
    assigned,
    cloud,
    code,
    commands,
    commerce,
    connections,
    keys,
    messaging,
    saas,
    watch,
)
from penstock.detect.rules.secrets.token import Named, Token, named_probe, token_probe

TABLES: tuple[tuple[Token | Named, ...], ...] = (
    ai.RULES, cloud.RULES, code.RULES, commerce.RULES, messaging.RULES, saas.RULES, watch.RULES,
)  # fmt: skip


def secret_probes() -> list[Probe]:
    """Give every rule about secrets."""
    rows = [row for table in TABLES for row in table]
    tokens = [token_probe(row) for row in rows if isinstance(row, Token)]
    named = [named_probe(row) for row in rows if isinstance(row, Named)]
    return [*keys.PROBES, *connections.PROBES, *tokens, *named, *commands.PROBES, *assigned.PROBES]
