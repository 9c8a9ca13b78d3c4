"""Records: what one line of the trail says. There is no field in which a client's text could stand."""

import re
import time
from typing import Final, Literal

import msgspec
from msgspec.structs import force_setattr

from penstock.audit.pointer import shown

Direction = Literal["request", "response"]

_MOST: Final = 2**31
_TENANT: Final = r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}"
_TYPE: Final = r"[A-Za-z][A-Za-z0-9_]{0,63}"
_DIGEST: Final = r"[0-9a-z]{1,64}"
_WORDS: Final = {
    "tenant": _TENANT,
    "request": r"req_[0-9a-f]{24}",
    "direction": r"request|response",
    "type": _TYPE,
    "detector": r"[A-Za-z0-9_.-]{1,80}",
    "version": r"[A-Za-z0-9_.+-]{1,40}",
    "action": r"[a-z_]{1,20}",
    "policy": _DIGEST,
    "value_mac": r"[0-9a-f]{32,64}",
}
# One match for all fields: no pattern takes a line end.
_ALL: Final = re.compile("\n".join(f"(?:{pattern})" for pattern in _WORDS.values()))


class _Kind(msgspec.Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    """One kind of record."""


class Record(_Kind, frozen=True, tag="redaction"):
    """One value that was found, and what was done with it.

    `start` and `end` count characters of the string at `pointer`, end exclusive; `value_mac` is hex, keyed
    with the tenant's own key (`Trail.tenant_mac`); `policy` is the policy set's digest. Sequence and time
    are the trail's to give. Raises ValueError for a field that is not a word of ours; the pointer's names
    that are not the API's own are hidden instead.
    """

    tenant: str
    request: str
    direction: Direction
    pointer: str
    start: int
    end: int
    type: str
    detector: str
    version: str
    checked: bool
    action: str
    policy: str
    value_mac: str

    def __post_init__(self) -> None:
        source = (self.tenant, self.request, self.direction, self.type, self.detector, self.version)
        if not _ALL.fullmatch("\n".join((*source, self.action, self.policy, self.value_mac))):
            raise ValueError(f"an audit record's {self._wrong()} is not a word of ours")
        if type(self.start) is not int or type(self.end) is not int or type(self.checked) is not bool:
            raise TypeError("an audit record's span is of integers, and checked is true or false")
        if not 0 <= self.start <= self.end < _MOST:
            raise ValueError("an audit record's span is not a span")
        force_setattr(self, "pointer", shown(self.pointer))

    def _wrong(self) -> str:
        return next(
            name for name, pattern in _WORDS.items() if not re.fullmatch(pattern, getattr(self, name))
        )


class Tally(_Kind, frozen=True, tag="tally"):
    """All that an ephemeral request leaves: how many values of a type there were. Raises ValueError."""

    tenant: str
    type: str
    count: int
    policy: str

    def __post_init__(self) -> None:
        _check_words(self, "tenant", "type", "policy")
        if type(self.count) is not int or not 0 < self.count < _MOST:
            raise ValueError("an audit tally counts from one")


class Erased(_Kind, frozen=True, tag="erased"):
    """A tenant's key was dropped: MACs before this line tell nothing any more. Raises ValueError."""

    tenant: str

    def __post_init__(self) -> None:
        _check_words(self, "tenant")


class Opens(_Kind, frozen=True, tag="opens"):
    """The first line of every file.

    `trail` names the trail, at random. Where the file before ends in a line that a crash left unfinished,
    `torn_bytes` is that line's length and `torn_mac` its keyed MAC.
    """

    trail: str
    software: str
    torn_bytes: int = 0
    torn_mac: str = ""


class Checkpoint(_Kind, frozen=True, tag="checkpoint"):
    """A head of this number was written for this very line."""

    number: int


AnyRecord = Record | Tally | Erased | Opens | Checkpoint
Given = Record | Tally
"""What a stage may add."""

encode: Final = msgspec.json.Encoder(order="sorted").encode
"""Give canonical JSON (RFC 8785): sorted names, no white space; our numbers are integers."""


def stamp(seconds: float) -> str:
    """Give a time since the epoch as `2027-01-15T08:00:00.000Z`; texts sort as times do."""
    whole, ms = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{ms:03d}Z"


def is_tenant(name: str) -> bool:
    """Whether a tenant of this name can stand in a record."""
    return re.fullmatch(_TENANT, name) is not None


def _check_words(record: _Kind, *names: str) -> None:
    for name in names:
        if not re.fullmatch(_WORDS[name], getattr(record, name)):
            raise ValueError(f"an audit record's {name} is not a word of ours")
