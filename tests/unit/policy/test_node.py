import pytest

from penstock.policy.node import Loc, Node, Scalar, Span, dotted

SPAN = Span(0, 3, 0, 5)


def leaf(content: Scalar) -> Node:
    return Node(SPAN, content)


TREE = Node(SPAN, {"a": Node(SPAN, [leaf(1), leaf("x")]), "404": leaf(None)})


def test_a_tree_gives_its_values_as_python_has_them() -> None:
    assert TREE.plain() == {"a": [1, "x"], "404": None}


@pytest.mark.parametrize(
    ("loc", "content"), [(("a", 0), 1), (("a", 1), "x"), (("404",), None), ((404,), None)]
)
def test_children_are_found_by_name_and_number(loc: Loc, content: Scalar) -> None:
    node: Node | None = TREE
    for part in loc:
        node = node.child(part) if node else None

    assert node is not None
    assert node.content == content


@pytest.mark.parametrize("part", ["b", 7, -1, ""])
def test_a_child_that_is_not_there_is_none(part: str | int) -> None:
    assert TREE.child(part) is None
    assert TREE.mapping["a"].child(part) is None
    assert leaf("text").child(part) is None


@pytest.mark.parametrize(
    ("node", "shown"),
    [
        (leaf(None), "nothing"),
        (leaf(True), "true"),
        (leaf(1), "1"),
        (leaf(0.5), "0.5"),
        (leaf("a"), "'a'"),
        (Node(SPAN, []), "an empty list"),
        (Node(SPAN, [leaf(1)]), "a list of 1 item"),
        (Node(SPAN, [leaf(1), leaf(2)]), "a list of 2 items"),
        (Node(SPAN, {}), "an empty mapping"),
        (TREE, "a mapping"),
        (Node(SPAN, "hush", hidden=True), "a value that is not shown"),
        (Node(SPAN, 123456, hidden=True), "a value that is not shown"),
        (Node(SPAN, True, hidden=True), "a value that is not shown"),
    ],
)
def test_what_stands_there_is_said_as_far_as_it_may_be(node: Node, shown: str) -> None:
    assert node.shown() == shown


def test_a_caret_stands_at_the_key_of_a_value_that_begins_below_it() -> None:
    key, below = Span(4, 0, 4, 3), Span(5, 2, 9, 0)

    assert Node(below, {}, key=key).pointer == key
    assert Node(Span(4, 5, 4, 9), "x", key=key).pointer == Span(4, 5, 4, 9)
    assert Node(below, {}).pointer == below


@pytest.mark.parametrize(
    ("loc", "text"),
    [
        ((), ""),
        (("tenants", "acme"), "tenants.acme"),
        (("models", 0, "name"), "models[0].name"),
        ((0,), "[0]"),
        (("models", "gpt-4.1"), "models.'gpt-4.1'"),
        (("a\x1bb",), "'a\ufffdb'"),
    ],
)
def test_paths_are_written_the_way_people_say_them(loc: Loc, text: str) -> None:
    assert dotted(loc) == text
