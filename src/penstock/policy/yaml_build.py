"""Turns PyYAML's nodes into ours: duplicate keys, merge keys and ambiguous scalars are refused here."""

from collections.abc import Iterator
from typing import Final

from yaml.error import Mark
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.nodes import Node as YamlNode

from penstock.policy.document import NOWHERE, Document
from penstock.policy.node import Loc, Node, Scalar, Span, dotted
from penstock.policy.problems import quoted
from penstock.policy.secret_words import secret_key, secret_value
from penstock.policy.yaml_scalars import Trap, read_plain, read_text

# Booleans in the letter of YAML 1.1 that no reader takes for one; `n` is a parameter of the OpenAI API.
_SHORT_KEYS: Final = ("y", "Y", "n", "N")


def build(document: Document, refused: set[YamlNode], top: YamlNode | None) -> None:
    """Give the document its values; `refused` are the nodes that a problem is already told about."""
    builder = _Builder(document, refused)
    if top is None or (isinstance(top, ScalarNode) and not top.value and not top.style):
        document.root = Node(NOWHERE, {})
        return
    root = builder.build(top, ())
    if isinstance(top, MappingNode):
        document.root = root
    else:
        document.fault(root.span, "", f"a policy is a mapping, and this is {_noun(top)}")


def _noun(node: YamlNode) -> str:
    return "a list" if isinstance(node, SequenceNode) else "a single value"


class _Builder:
    """Turns PyYAML's nodes into ours and notes what a policy may not say."""

    def __init__(self, document: Document, refused: set[YamlNode]) -> None:
        self._document = document
        self._refused = refused

    def build(self, source: YamlNode, loc: Loc) -> Node:
        span = span_of(source.start_mark, source.end_mark)
        node = Node(span, None, refused=source in self._refused)
        if isinstance(source, MappingNode):
            node.content = dict(self._entries(source, node, loc))
        elif isinstance(source, SequenceNode):
            node.content = [self.build(item, (*loc, number)) for number, item in enumerate(source.value)]
        else:
            node.content = self._scalar(source, node, loc)
        if isinstance(node.content, str) and secret_value(node.content):
            self._document.hide(node)
        return node

    def _entries(self, source: MappingNode, mapping: Node, loc: Loc) -> Iterator[tuple[str, Node]]:
        first: dict[str, Span] = {}
        for key_source, value_source in source.value:
            span = span_of(key_source.start_mark, key_source.end_mark)
            key = self._key(key_source, span, mapping, loc)
            node = self.build(value_source, loc if key is None else (*loc, key))
            node.key = span
            if key is None:
                continue
            if secret_key(key):
                self._document.hide(node)
            if key in first:
                other = (self._document, first[key])
                self._document.fault(span, dotted(loc), f"duplicate key {quoted(key)}", other=other)
                continue
            first[key] = span
            yield key, node

    def _key(self, source: YamlNode, span: Span, mapping: Node, loc: Loc) -> str | None:
        """Read a key as the text it is written as; None where it can't be one."""
        if source in self._refused:
            return None
        if not isinstance(source, ScalarNode) or (not source.value and not source.style):
            self._document.fault(span, dotted(loc), "a key must be a single word or text")
            return None
        if source.value == "<<" and not source.style:
            self._document.fault(span, dotted(loc), "merge keys are refused", remedy="write the keys out")
            return None
        key = str(source.value)
        try:
            if source.style:
                read_text(key)
            elif key not in _SHORT_KEYS:
                read_plain(key)
        except Trap as trap:
            self._document.fault(
                span, dotted(loc), f"key {quoted(key)}: {trap.reason}", remedy="put the key in quotes"
            )
            mapping.refused_keys.add(key)
        return key

    def _scalar(self, source: YamlNode, node: Node, loc: Loc) -> Scalar:
        text = str(source.value)
        if node.refused:
            return None
        try:
            return read_text(text) if getattr(source, "style", None) else read_plain(text)
        except Trap as trap:
            node.refused = True
            self._document.fault(node.span, dotted(loc), trap.reason, remedy=trap.remedy)
            return text.encode("utf-8", "replace").decode()


def span_of(start: Mark, end: Mark) -> Span:
    """Give the stretch between two of PyYAML's marks."""
    return Span(start.line, start.column, end.line, end.column)
