import pytest

from penstock.policy.document import NOWHERE, Document, after
from penstock.policy.node import Node, Span

TEXT = "api_key: hush\nttl_s: 5\r\nlast: x"


def document() -> Document:
    key = Node(Span(0, 9, 0, 13), "hush", key=Span(0, 0, 0, 7))
    ttl = Node(Span(1, 7, 1, 8), 5, key=Span(1, 0, 1, 5))
    return Document("p.yaml", TEXT, Node(Span(0, 0, 2, 7), {"api_key": key, "ttl_s": ttl}))


def test_a_place_counts_from_one_and_shows_its_line() -> None:
    place = document().place(Span(1, 7, 1, 8))

    assert (place.line, place.column, place.source_line, place.span) == (2, 8, "ttl_s: 5", 1)


def test_a_span_over_many_lines_is_marked_to_the_end_of_its_first() -> None:
    assert document().place(Span(1, 0, 2, 4)).span == len("ttl_s: 5")


def test_a_hidden_value_is_masked_even_by_a_problem_that_was_found_before() -> None:
    page = document()
    page.fault(Span(0, 0, 0, 7), "", "wrong")
    assert page.root is not None
    page.hide(page.root.mapping["api_key"])

    assert page.problems()[0].source_line == "api_key: ****"


def test_a_reference_to_a_secret_is_no_secret() -> None:
    page = Document("p", "key: env:NAME", Node(Span(0, 0, 0, 13), {}))
    page.hide(Node(Span(0, 5, 0, 13), "env:NAME"))

    assert page.place(Span(0, 0, 0, 3)).source_line == "key: env:NAME"


def test_hiding_goes_all_the_way_down_and_takes_names_without_value() -> None:
    text = "key: {hush: , b: [hush, hush]}"
    name = Node(Span(0, 11, 0, 11), None, key=Span(0, 6, 0, 10))
    items = [Node(Span(0, 18, 0, 22), "hush"), Node(Span(0, 24, 0, 28), "hush")]
    tree = Node(Span(0, 5, 0, 30), {"hush": name, "b": Node(Span(0, 17, 0, 29), items)})
    page = Document("p", text, tree)
    page.hide(tree)

    assert page.place(Span(0, 0, 0, 3)).source_line == "key: {****: , b: [****, ****]}"


def test_a_text_without_a_tree_is_masked_by_its_looks() -> None:
    assert Document("p", TEXT).place(Span(0, 0, 0, 1)).source_line == "api_key: ****"


def test_a_document_is_sound_until_something_is_wrong() -> None:
    page = document()
    assert page.sound
    page.fault(None, "", "wrong")
    assert not page.sound
    assert str(page.problems()[0]) == "p.yaml: wrong"


def test_finding_a_path_stops_at_what_is_written() -> None:
    page = document()

    assert page.find(("ttl_s",)) == Span(1, 7, 1, 8)
    assert page.find(("ttl_s", "deeper", 3)) == Span(1, 7, 1, 8)
    assert page.find(("missing",)) == Span(0, 0, 2, 7)


def test_in_a_file_that_is_empty_nothing_has_a_place() -> None:
    assert Document("p", "", Node(NOWHERE, {})).find(("a",)) is None


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("", 0, 0), ("ab", 0, 2), ("a\nb", 1, 1), ("a\r\nb", 1, 1), ("a\rb", 1, 1), ("a\u2028", 1, 0)],
)
def test_lines_end_where_yaml_says(text: str, line: int, column: int) -> None:
    assert (after(text).line, after(text).column) == (line, column)
