import pytest

from penstock.policy.document import Document
from penstock.policy.node import Loc, Span
from penstock.policy.yaml_compose import compose


def built(text: str) -> Document:
    document = Document("p.yaml", text)
    compose(document)
    return document


def told(text: str) -> list[tuple[int, int, str, str]]:
    return [(each.line, each.column, each.where, each.message) for each in built(text).problems()]


def test_every_value_knows_where_it_and_its_key_stand() -> None:
    root = built("a:\n  b: [1, 'xy']\n").root
    assert root is not None
    items = root.mapping["a"].mapping["b"]

    assert items.key == Span(1, 2, 1, 3)
    assert items.span == Span(1, 5, 1, 14)
    second = items.child(1)
    assert second is not None
    assert second.span == Span(1, 9, 1, 13)
    assert second.key is None


def test_keys_are_text_as_they_are_written() -> None:
    root = built("404: a\ntrue: b\n~: c\n1.0: d\n'010': e\nn: f\n").root
    assert root is not None

    assert list(root.mapping) == ["404", "true", "~", "1.0", "010", "n"]


def test_the_first_of_two_equal_keys_counts_and_the_second_is_refused() -> None:
    document = built("a: 1\nb: 2\na: 3\n'b': 4\n")
    assert document.root is not None

    assert document.root.plain() == {"a": 1, "b": 2}
    assert [(each.line, each.other.line if each.other else 0) for each in document.problems()] == [
        (3, 1),
        (4, 2),
    ]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: {<<: {b: 1}}", "a", "merge keys are refused"),
        ("a: {[b]: 1}", "a", "a key must be a single word or text"),
        ("a: {? {b: 1} : 1}", "a", "a key must be a single word or text"),
        ("a: {? : 1}", "a", "a key must be a single word or text"),
        ("on: 1", "", "key 'on': a boolean to some YAML readers and text to others"),
        ("12:30: 1", "", "key '12:30': a number to base 60 to some YAML readers and text to others"),
        ("a: [x, off]", "a[1]", "a boolean to some YAML readers and text to others"),
        ('a: "\\udfff"', "a", "half a surrogate pair is not a character"),
        ('"\\udfff": a', "", "key '\ufffd': half a surrogate pair is not a character"),
    ],
)
def test_what_a_policy_may_not_say_is_told_with_its_path(text: str, where: str, message: str) -> None:
    (problem,) = told(text)

    assert problem[2:] == (where, message)


def test_in_quotes_and_blocks_everything_is_text() -> None:
    root = built("a: 'yes'\nb: \"010\"\nc: |-\n  1e3\nd: >-\n  12:30\n'<<': x\n").root
    assert root is not None

    assert root.plain() == {"a": "yes", "b": "010", "c": "1e3", "d": "12:30", "<<": "x"}


def test_a_refused_value_is_marked_so_that_nobody_complains_twice() -> None:
    root = built("a: 1e3\nb: &x 1\nyes: 1\nc: 1\n").root
    assert root is not None

    assert [key for key, node in root.mapping.items() if node.refused] == ["a", "b"]
    assert root.refused_keys == {"yes"}


@pytest.mark.parametrize(
    ("text", "loc"), [("api_key: hush", ("api_key",)), ("a: {tokens: [1], token: [hush]}", ("a", "token", 0))]
)
def test_values_under_secret_names_are_hidden(text: str, loc: Loc) -> None:
    document = built(text)
    node = document.root
    for part in loc:
        node = node.child(part) if node else None

    assert node is not None
    assert node.hidden
    assert "hush" not in document.place(Span(0, 0, 0, 1)).source_line


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "5\n", "'quoted'\n", "~\n", "[]\n"])
def test_only_a_mapping_is_a_policy(text: str) -> None:
    document = built(text)

    assert document.root is None
    assert "a policy is a mapping" in document.problems()[0].message
