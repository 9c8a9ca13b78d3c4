import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.policy.document import Document
from penstock.policy.yaml_compose import compose


def composed(text: str) -> Document:
    document = Document("p.yaml", text)
    compose(document)
    return document


def told(text: str) -> list[tuple[int, int, str]]:
    return [(each.line, each.column, each.message) for each in composed(text).problems()]


def value(text: str) -> object:
    document = composed(text)
    assert document.sound, [str(each) for each in document.problems()]
    assert document.root is not None
    return document.root.plain()


@pytest.mark.parametrize(
    "text", ["", "\n", "# a comment\n", "---\n", "---\n...\n", "\ufeff", "%YAML 1.2\n---\n"]
)
def test_nothing_is_an_empty_mapping(text: str) -> None:
    assert value(text) == {}


def test_flow_and_block_give_the_same() -> None:
    assert value("a: {b: [1, x]}\n") == value("a:\n  b:\n  - 1\n  - x\n") == {"a": {"b": [1, "x"]}}


def test_anchors_aliases_and_tags_are_all_told_at_once() -> None:
    assert told("a: &x 1\nb: *x\nc: !t 2\nd: &y !!str 3\n") == [
        (1, 4, "anchors and aliases are refused"),
        (2, 4, "anchors and aliases are refused"),
        (3, 4, "tags are refused"),
        (4, 4, "anchors and aliases are refused"),
        (4, 4, "tags are refused"),
    ]


def test_a_bomb_of_aliases_never_grows() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 12))
    document = composed(bomb)

    assert document.root is not None
    assert len(document.problems()) == 12 + 11 * 9


def test_an_alias_that_holds_itself_is_refused_like_any_other() -> None:
    assert told("a: &a [*a]\n") == [
        (1, 4, "anchors and aliases are refused"),
        (1, 8, "anchors and aliases are refused"),
    ]


@pytest.mark.parametrize("text", ["a: 1\n---\nb: 2\n", "---\n---\n", "a: 1\n--- [\n"])
def test_a_second_document_is_refused(text: str) -> None:
    (problem,) = told(text)

    assert problem[2] == "a second document begins here"
    assert problem[0] > 1


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_no_nesting_is_deep_enough_to_break_anything(opening: str) -> None:
    assert "the nesting is deeper than 32 levels" in [problem[2] for problem in told(opening * 20_000)]


def test_thirty_levels_are_well() -> None:
    assert composed("a: " + "[" * 30 + "]" * 30).sound


def test_control_characters_have_a_place() -> None:
    assert told("a: 1\nb: \x07\n") == [(2, 4, "a control character can't stand in YAML")]


@pytest.mark.parametrize("text", ['a: "\\UFFFFFFFF"', f"%YAML 1.{'9' * 5000}\n---\n"])
def test_what_pyyaml_itself_stumbles_over_is_a_problem_too(text: str) -> None:
    assert [problem[2] for problem in told(text)] == ["this is not valid YAML"]


def test_a_tab_in_the_indentation_is_named_wherever_pyyaml_notices_it() -> None:
    assert told("a:\n \tb: 1\n")[0][2] == "YAML is indented with spaces, and here is a tab"


def test_a_problem_before_the_syntax_error_is_kept() -> None:
    assert {problem[2] for problem in told("a: &x 1\nb: [\n")} == {
        "anchors and aliases are refused",
        "this bracket is never closed",
    }


LINES = st.lists(
    st.sampled_from(
        ["a:", " b: 1", "- x", "  - y: 2", "{", "}", "[", "]", "'", '"', "|", ">", "&a", "*a", "!t"]
    )
    | st.sampled_from(
        ["---", "...", "? k", ": v", "<<: x", "\t", "# c", "%YAML 1.1", "yes", "010", "a: b: c", "@"]
    )
    | st.text(max_size=6),
    max_size=12,
)


@settings(deadline=None)
@given(LINES, st.sampled_from(["\n", " ", "\r\n", "\r", "\x85", "\u2028"]))
@example(["\ufeff"], "\n")
@example(["a: \ufeffb", " c: d: e"], "\n")
def test_anything_like_yaml_gives_a_document(lines: list[str], end: str) -> None:
    document = composed(end.join(lines))

    assert document.root is not None or not document.sound
    for problem in document.problems():
        assert str(problem)
        assert problem.line >= 1
