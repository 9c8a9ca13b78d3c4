"""YAML with positions: PyYAML composes, this file decides what may stand in a policy at all.

Refused are anchors, aliases, tags, a second document, and what is too deep; yaml_build.py reads the rest.
"""

from typing import Final, cast

from yaml.composer import Composer
from yaml.error import Mark, MarkedYAMLError
from yaml.events import AliasEvent, CollectionStartEvent, Event, NodeEvent, ScalarEvent, StreamEndEvent
from yaml.nodes import Node as YamlNode
from yaml.nodes import ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from penstock.policy.document import Document, after
from penstock.policy.node import Span
from penstock.policy.yaml_build import build, span_of
from penstock.policy.yaml_syntax import ANCHORS, TAB, TAGS, Broken, explain_syntax

_DEEPEST: Final = 32  # levels; PyYAML and pydantic recurse, and no policy needs more


def compose(document: Document) -> None:
    """Parse the text into `document.root`, or note in the document why that can't be."""
    try:
        source = _Source(document.text)
    except ReaderError as problem:
        span = after(document.text[: problem.position])
        document.fault(span, "", "a control character can't stand in YAML", remedy="escape it in quotes")
        return
    try:
        top = source.only_document()
    except _Stop as stop:
        _note(document, stop.broken)
    except MarkedYAMLError as problem:
        _note(document, explain_syntax(problem))
    except (ValueError, OverflowError):
        # PyYAML hands what it reads to chr() and int(): an escape or a version that is no number they know.
        _note(document, Broken(source.mark, "this is not valid YAML"))
    else:
        build(document, source.refused_nodes, top)
    for span, (message, remedy) in source.refused:
        document.fault(span, "", message, remedy=remedy)


def _note(document: Document, broken: Broken) -> None:
    """Note what stopped the parser; the rest of the file can't be judged."""
    mark = broken.mark
    if mark is not None and _tab_before(document.text, mark):
        broken = Broken(mark, TAB)
    document.fault(span_of(mark, mark) if mark else None, "", broken.message, remedy=broken.remedy)


def _tab_before(text: str, mark: Mark) -> bool:
    """Say whether the line up to the mark is blank and holds a tab."""
    lead = text[mark.index - mark.column : mark.index + 1]
    return not lead.strip(" \t") and "\t" in lead


class _Stop(Exception):
    """The parser need not go on."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(broken.message)
        self.broken = broken


class _Source(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's composer with a floor under it; notes what is refused and goes on. Raises _Stop."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.refused: list[tuple[Span, tuple[str, str]]] = []
        self.refused_nodes: set[YamlNode] = set()
        self._depth = 0

    @property
    def mark(self) -> Mark:
        """How far the text is read."""
        return self.get_mark()

    def only_document(self) -> YamlNode | None:
        """Give the top node; None for a text without any."""
        self._take()  # the stream's start
        top = None if self.check_event(StreamEndEvent) else cast(YamlNode, self.compose_document())
        if not self.check_event(StreamEndEvent):
            mark = cast(Mark, self._next().start_mark)
            raise _Stop(Broken(mark, "a second document begins here", "one policy is one document"))
        return top

    def compose_node(self, parent: YamlNode | None, index: int) -> YamlNode | None:
        """Compose one node and what is in it; PyYAML calls this for each."""
        event = self._next()
        if isinstance(event, AliasEvent):
            return self._alias(event)
        stripped = self._strip(event)
        if self._depth >= _DEEPEST:
            mark = cast(Mark, event.start_mark)
            raise _Stop(Broken(mark, f"the nesting is deeper than {_DEEPEST} levels"))
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if stripped and node is not None:
            self.refused_nodes.add(node)
        return node

    def _alias(self, event: AliasEvent) -> YamlNode:
        """Put an empty value in the place of an alias."""
        self._take()
        self._refuse(event, ANCHORS)
        start, end = cast(Mark, event.start_mark), cast(Mark, event.end_mark)
        node = ScalarNode("", "", start, end, style=None)
        self.refused_nodes.add(node)
        return node

    def _strip(self, event: Event) -> bool:
        """Take anchor and tag off an event and note them. Says whether there were any."""
        stripped = False
        if isinstance(event, NodeEvent) and event.anchor is not None:
            self._refuse(event, ANCHORS)
            event.anchor, stripped = None, True
        if isinstance(event, ScalarEvent | CollectionStartEvent) and event.tag is not None:
            self._refuse(event, TAGS)
            event.tag, stripped = None, True
        return stripped

    def _refuse(self, event: Event, why: tuple[str, str]) -> None:
        start = cast(Mark, event.start_mark)
        # The event of a mapping or a list ends where it begins; the caret then stands under its first sign.
        self.refused.append((span_of(start, cast(Mark, event.end_mark)), why))

    def _next(self) -> Event:
        return cast(Event, self.peek_event())  # type: ignore[no-untyped-call]

    def _take(self) -> None:
        self.get_event()  # type: ignore[no-untyped-call]
