"""From a document to a model; what pydantic finds wrong becomes problems in our words."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from penstock.policy.document import NOWHERE, OVERLAID, Document
from penstock.policy.node import Loc, Node, Span, dotted
from penstock.policy.problems import closest, quoted
from penstock.policy.shape import Shape

Overrides = Mapping[str, Any]
"""Values laid over a file's own, in the same nesting."""

# Errors that the key's shape explains better than pydantic does; beside them all that end in `_type`.
_SHAPED: Final = re.compile(
    r".*_type|literal_error|enum|const|none_required|finite_number|multiple_of|int_from_float|int_parsing"
    r"|(greater|less)_than(_equal)?|too_(long|short)|string_(too_(long|short)|pattern_mismatch)"
)


def read_model[M: BaseModel](
    kind: type[M], document: Document, overrides: Overrides | None = None
) -> M | None:
    """Read the model from its document, or note in the document why that can't be."""
    if document.root is None:
        return None
    root = _overlaid(document.root, overrides or {})
    try:
        # Of JSON, strict pydantic takes lists for tuples and words for enums, and still coerces nothing else.
        model = kind.model_validate_json(json.dumps(root.plain()), strict=True)
    except ValidationError as error:
        _Explainer(kind, document, root).explain(error)
        return None
    # A refused value is read as its text, and that may happen to fit: nobody should go on with it.
    return model if document.sound else None


def _overlaid(node: Node | None, over: Any) -> Node:  # noqa: ANN401 - an override is any JSON value
    if isinstance(over, Mapping):
        under = node.mapping if node else {}
        content = {**under, **{key: _overlaid(under.get(key), value) for key, value in over.items()}}
        if node is not None and isinstance(node.content, Mapping):
            return replace(node, content=content)
        return Node(OVERLAID, content, key=OVERLAID)
    if isinstance(over, list | tuple):
        return Node(OVERLAID, [_overlaid(None, each) for each in over], key=OVERLAID)
    return Node(OVERLAID, over, key=OVERLAID)


@dataclass(frozen=True, slots=True)
class _Trail:
    """An error, and where its path led: `loc` without pydantic's own words for the arms of a union."""

    error: ErrorDetails
    loc: Loc
    node: Node
    arm: bool  # the path ends in such a word: only one arm of a union speaks

    @property
    def kind(self) -> str:
        return self.error["type"]

    @property
    def last(self) -> str:
        return str(self.error["loc"][-1]) if self.error["loc"] else ""


class _Explainer:
    def __init__(self, kind: type[BaseModel], document: Document, root: Node) -> None:
        self._document = document
        self._root = root
        self._shape = Shape.of(kind)
        self._told: set[tuple[str, str]] = set()

    def explain(self, error: ValidationError) -> None:
        trails = [self._follow(each) for each in error.errors(include_url=False)]
        for trail in trails:
            self._hide(trail)
        follows = _followers(trails)
        for trail in trails:
            if not follows(trail):
                self._explain(trail)
        if self._document.sound:  # whatever happens, a policy that was not read has a problem
            self._document.fault(None, "", "can't be read as a policy")

    def _follow(self, error: ErrorDetails) -> _Trail:
        """Walk the document along an error's path as far as it goes."""
        node = self._root
        loc: Loc = ()
        about_key = error["type"] in ("missing", "extra_forbidden")
        arm = False
        for part in error["loc"][:-1] if about_key else error["loc"]:
            inner = node.child(part)
            arm = inner is None and part != "[key]"
            if inner is not None:
                node, loc = inner, (*loc, part)
        return _Trail(error, loc, node, arm and not about_key)

    def _hide(self, trail: _Trail) -> None:
        """Keep a secret that stands where its reference should, or under a mistyped name, out of sight."""
        shape = self._shape.at(trail.loc)
        if trail.kind == "extra_forbidden":
            meant = closest(trail.last, shape.names()) if shape else None
            shape = shape.child(meant) if shape and meant else None
            node = trail.node.child(trail.last)
        else:
            node = trail.node
        if shape is not None and shape.secret and node is not None:
            self._document.hide(node)

    def _explain(self, trail: _Trail) -> None:
        match trail.kind:
            case "extra_forbidden":
                self._unknown(trail)
            case "missing" if isinstance(trail.error["loc"][-1], str):
                self._missing(trail, trail.last)
            case "union_tag_not_found":
                self._missing(trail, _tag_key(trail))
            case "union_tag_invalid":
                self._tag(trail)
            case _ if trail.last == "[key]":
                self._key(trail)
            case "value_error" | "assertion_error":
                message = str(trail.error.get("ctx", {}).get("error", "")) or "is refused"
                self._tell(trail, trail.node.pointer, message)
            case _:
                self._wrong(trail)

    def _unknown(self, trail: _Trail) -> None:
        key, node = trail.last, trail.node.child(trail.last)
        if key in trail.node.refused_keys:
            return
        shape = self._shape.at(trail.loc)
        unused = [name for name in shape.names() if name not in trail.node.mapping] if shape else []
        span = node.key if node else None
        self._tell(trail, span, f"unknown key {quoted(key)}", closest(key, unused))

    def _missing(self, trail: _Trail, key: str) -> None:
        if trail.node.span == NOWHERE:
            why = "is empty" if self._document.exists else "is missing"
            self._tell(trail, None, f"the file {why}, and it must set {quoted(key)}")
            return
        self._tell(trail, trail.node.key or trail.node.span, f"missing key {quoted(key)}")

    def _tag(self, trail: _Trail) -> None:
        key = _tag_key(trail)
        node = trail.node.child(key) or trail.node
        shape = self._shape.at((*trail.loc, key))
        if node.refused or shape is None:
            return
        message = f"expected {shape.words(key)}, got {node.shown()}"
        self._tell(trail, node.pointer, message, _meant(node, shape), loc=(*trail.loc, key))

    def _key(self, trail: _Trail) -> None:
        pattern = trail.error.get("ctx", {}).get("pattern")
        why = f"must match {pattern}" if pattern else _ours(trail.error["msg"])
        key = str(trail.loc[-1]) if trail.loc else ""
        span = trail.node.key or trail.node.span
        self._tell(trail, span, f"key {quoted(key)}: {why}", loc=trail.loc[:-1])

    def _wrong(self, trail: _Trail) -> None:
        if trail.node.refused:
            return
        shape = self._shape.at(trail.loc)
        shaped = _SHAPED.fullmatch(trail.kind) or trail.arm or trail.kind == "missing"
        if shape is None or not shaped:
            self._tell(trail, trail.node.pointer, _ours(trail.error["msg"]))
            return
        name = next((part for part in reversed(trail.loc) if isinstance(part, str)), "")
        message = f"expected {shape.words(name)}, got {trail.node.shown()}"
        remedy = _quotes(trail.node, shape)
        self._tell(trail, trail.node.pointer, message, _meant(trail.node, shape), remedy)

    def _tell(
        self,
        trail: _Trail,
        span: Span | None,
        message: str,
        suggestion: str | None = None,
        remedy: str | None = None,
        *,
        loc: Loc | None = None,
    ) -> None:
        where = dotted(trail.loc if loc is None else loc)
        if (where, message) in self._told:
            return
        self._told.add((where, message))
        if span == OVERLAID:
            span, message = None, f"{message} (set by an override)"
        elif span == NOWHERE:
            span = None
        self._document.fault(span, where, message, suggestion=suggestion, remedy=remedy)


def _followers(trails: Sequence[_Trail]) -> Callable[[_Trail], bool]:
    """Say of an error whether it only follows from another one in the same value, which is the one to mend.

    That is so for the arms of a union that got less far, and for lists that are only too short
    because pydantic leaves out the items that have errors of their own.
    """
    spoken = {trail.loc[:end] for trail in trails if not trail.arm for end in range(len(trail.loc) + 1)}
    inside = {trail.loc[:end] for trail in trails for end in range(len(trail.loc))}
    return lambda trail: (
        trail.loc in spoken if trail.arm else trail.kind == "too_short" and trail.loc in inside
    )


def _tag_key(trail: _Trail) -> str:
    return str(trail.error.get("ctx", {}).get("discriminator", "")).strip("'")


def _meant(node: Node, shape: Shape) -> str | None:
    return (
        closest(node.content, shape.choices()) if isinstance(node.content, str) and not node.hidden else None
    )


def _quotes(node: Node, shape: Shape) -> str | None:
    """Say so when only the quotes are wrong."""
    value = node.content
    if isinstance(value, int | float) and shape.takes("string") and not (shape.choices() or shape.secret):
        return "in quotes it is text"
    numeric = isinstance(value, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value)
    if numeric and (shape.takes("integer") or shape.takes("number")):
        return "without quotes it is a number"
    return None


def _ours(message: str) -> str:
    """Bring a message of pydantic's into the form of ours."""
    plain = message.replace("Input should be", "expected", 1)
    plain = plain.replace("a valid integer, unable to parse string as an integer", "a whole number")
    return plain[:1].lower() + plain[1:]
