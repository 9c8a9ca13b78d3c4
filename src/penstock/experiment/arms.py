"""Arms: what an arm sets, merged into the policies and read as strictly as the files themselves."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import JsonValue

from penstock.policy.base import Finding, Policy, PolicySet
from penstock.policy.document import Document
from penstock.policy.node import Loc, Node, Scalar, Span
from penstock.policy.problems import Problem, closest
from penstock.policy.shape import Shape
from penstock.policy.validate import read_model

Settings = Mapping[str, Mapping[str, JsonValue]]
"""By the name of a file without `.yaml`, what is different in it."""

_PRIVACY: Final = "no experiment may change who is known, what is hidden and what is kept"
_PAYING: Final = "no experiment may change who pays, and how much"
_EARLIER: Final = "it is read before anybody has an arm"
LOCKED: Final[Mapping[str, str]] = {
    "identify": _PRIVACY,
    "tenants": _PAYING,
    "budget": _PAYING,
    "models": _PAYING,
    "redaction": _PRIVACY,
    "ephemeral": _PRIVACY,
    "feedback": _EARLIER,
    "chain": _EARLIER,
    "experiment": _EARLIER,
}
"""Files that no arm may set, and why."""

_TAUGHT: Final = "what is learned is learned for everyone at once"
_LOCKED_KEYS: Final[Mapping[tuple[str, str], str]] = {
    (
        "upstreams",
        "upstreams",
    ): "addresses and keys stand in upstreams.yaml alone; an arm may choose among them",
    ("routing", "learn"): _TAUGHT,
}


def merged(under: Any, over: Any) -> Any:  # noqa: ANN401 - any JSON
    """Lay one JSON value over another: mappings are merged, all else is replaced."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    return {**under, **{key: merged(under.get(key), value) for key, value in over.items()}}


def leaves(tree: Mapping[str, Any], at: Loc = ()) -> Iterator[Loc]:
    """Give the paths of what is set; an empty mapping is none."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key)


def with_settings(policies: PolicySet, settings: Sequence[Settings]) -> PolicySet:
    """Give the set in which all of these are laid over the files. Raises ValueError where one is none."""
    for file in dict.fromkeys(file for each in settings for file in each):
        read = _read(policies, file, [each[file] for each in settings if file in each])
        if read.policy is None:
            raise ValueError(f"{file}.yaml: " + "; ".join(problem.message for problem in read.problems))
        policies = policies.replacing(read.policy)
    return policies


def findings(at: Loc, settings: Settings, policies: PolicySet) -> Iterator[Finding]:
    """Find what is wrong with an arm's settings, which stand at this place; `policies` are without them."""
    live, sound = policies, True
    for file, over in settings.items():
        if (refusal := _refused(file, over, policies)) is not None:
            sound = False
            yield Finding((*at, *refusal.loc), refusal.message, refusal.suggestion)
            continue
        read = _read(policies, file, [over])
        for problem in read.problems:
            loc = read.loc(problem)
            meant = problem.suggestion or _meant(policies.by_file[file], loc, over)
            yield Finding((*at, file, *loc), problem.message, meant)
        if read.policy is None:
            sound = False
        else:
            live = live.replacing(read.policy)
    if sound and settings:
        yield from _cross_check(at, settings, policies, live)


def _refused(file: str, over: Mapping[str, JsonValue], policies: PolicySet) -> Finding | None:
    if file in LOCKED:
        return Finding((file,), f"no arm may set {file}.yaml: {LOCKED[file]}")
    if file not in policies.by_file:
        known = [name for name in policies.by_file if name not in LOCKED]
        near = next(iter(difflib.get_close_matches(file, known)), None)
        return Finding((file,), f"there is no policy {file}.yaml", near)
    for key in over:
        if why := _LOCKED_KEYS.get((file, key)):
            return Finding((file, key), f"no arm may set this: {why}")
    return None


def _meant(policy: Policy, loc: Loc, over: Mapping[str, JsonValue]) -> str | None:
    """Name the key that an unknown one was meant to be, of those that the arm does not set beside it."""
    beside: Any = over
    for part in loc[:-1]:
        beside = beside.get(part) if isinstance(beside, Mapping) else None
    shape = Shape.of(type(policy)).at(loc[:-1])
    if not loc or shape is None or not isinstance(beside, Mapping) or loc[-1] in shape.names():
        return None
    return closest(str(loc[-1]), [name for name in shape.names() if name not in beside])


def _cross_check(at: Loc, settings: Settings, before: PolicySet, live: PolicySet) -> Iterator[Finding]:
    """Let every policy look at the others, and tell what they did not find without the arm."""
    for file, policy in live.by_file.items():
        if file == "experiment":
            continue
        known = {(found.loc, found.message) for found in before.by_file[file].check(before)}
        for found in policy.check(live):
            if (found.loc, found.message) in known:
                continue
            here = (*at, file, *found.loc) if file in settings else at
            message = found.message if file in settings else f"{file}.yaml: {found.message}"
            yield Finding(here, message, found.suggestion)


@dataclass(slots=True)
class _Read:
    """A policy with settings laid over it, or what is in the way of it."""

    policy: Policy | None
    problems: Sequence[Problem] = ()
    locs: list[Loc] = field(default_factory=list)

    def loc(self, problem: Problem) -> Loc:
        """Give the path of what a problem is about: each value stands on a line of its own number."""
        return self.locs[problem.line - 1] if problem.line else ()


def _read(policies: PolicySet, file: str, over: Sequence[Mapping[str, JsonValue]]) -> _Read:
    policy = policies.by_file[file]
    # Only what the file itself says: a policy may ask which of its keys were set.
    tree: Any = policy.model_dump(mode="json", exclude_unset=True)
    for each in over:
        tree = merged(tree, each)
    locs: list[Loc] = []
    document = Document(f"{file}.yaml", root=_node(tree, (), locs))
    model = read_model(type(policy), document)
    return _Read(model, document.problems(), locs)


def _node(value: Any, loc: Loc, locs: list[Loc]) -> Node:  # noqa: ANN401 - any JSON
    """Make the nodes of a tree, each at a line of its own, by which its path is found again."""
    span = Span(len(locs), 0, len(locs), 1)
    locs.append(loc)
    content: Scalar | list[Node] | Mapping[str, Node]
    if isinstance(value, Mapping):
        content = {key: _node(inner, (*loc, key), locs) for key, inner in value.items()}
    elif isinstance(value, list):
        content = [_node(inner, (*loc, place), locs) for place, inner in enumerate(value)]
    else:
        content = value
    return Node(span, content, key=span)
