"""What is done with a value, and the record of it that holds nothing of the value."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from penstock.errors import Refusal
from penstock.redaction.found import Found
from penstock.redaction.placeholder import label
from penstock.redaction.vault import Vault


class Action(StrEnum):
    """What is done with a value. STRUCTURAL is never asked for: it reports that nothing could be replaced."""

    PLACEHOLDER = "placeholder"
    MASK = "mask"
    HASH = "hash"
    SYNTHETIC = "synthetic"
    BLOCK = "block"
    ALLOW = "allow"
    STRUCTURAL = "structural"


class FileRule(StrEnum):
    """What is done with files and images in base64; SCAN reads text files and blocks what it can't read."""

    ALLOW = "allow"
    BLOCK = "block"
    SCAN = "scan"


_BREAKS_JSON: Final = frozenset('"\\')  # a mask may stand in a JSON text
Actions = Mapping[str, Action]
"""The action for each type; `*` for those that are not named, which else get placeholders."""


class Blocked(Refusal):
    """A value that the policy does not let through. It names the type and the place, never the value."""

    def __init__(self, type: str, pointer: str) -> None:
        where = f" at {pointer}" if pointer else ""
        super().__init__(
            400, "redaction_blocked", f"The policy does not let {type} through{where}.", param=pointer or None
        )
        self.type = type
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Redaction:
    """One finding and what was done with it.

    `start` and `end` count characters of the string that the client sent, at `pointer` (RFC 6901).
    `put` is what stands there now, empty where nothing was replaced; `mac` knows the value again.
    """

    pointer: str
    start: int
    end: int
    type: str
    detector: str
    version: str
    checked: bool
    action: Action
    mac: str
    put: str = ""


def action_for(actions: Actions, type: str) -> Action:
    """Give the action for a type."""
    return actions.get(type) or actions.get("*", Action.PLACEHOLDER)


def replacement(vault: Vault, action: Action, type: str, value: str) -> tuple[Action, str]:
    """Give what takes the value's place, and the action that was really taken. Raises Indistinct."""
    if action is Action.MASK:
        return action, masked(value)
    if action is Action.HASH:
        return action, f"#{label(type)}:{vault.audit_mac(type, value)[:16]}#"
    if action is Action.SYNTHETIC and (made := vault.stand_in(type, value)):
        return action, made
    return Action.PLACEHOLDER, vault.placeholder(type, value)


def masked(value: str) -> str:
    """Hide every letter and digit; the rest keeps the form. `#` is no part of any placeholder."""
    return "".join("#" if char.isalnum() or char in _BREAKS_JSON else char for char in value)


def record(
    vault: Vault, found: Found, value: str, place: tuple[str, int, int], action: Action, put: str = ""
) -> Redaction:
    """Make the record of a finding; `place` is the pointer and the span in what the client sent."""
    pointer, start, end = place
    return Redaction(
        pointer,
        start,
        end,
        found.type,
        getattr(found, "detector", ""),
        getattr(found, "version", ""),
        getattr(found, "checked", False),
        action,
        vault.audit_mac(found.type, value),
        put,
    )
