import pytest

from penstock.errors import StartError
from penstock.policy.problems import Place, PolicyProblems, Problem, closest, printable, quoted

BUDGET = Place("policies/budget.yaml", 6, 5, "    warm_at: 0.8", 7)


def test_a_problem_reads_as_the_design_page_shows_it() -> None:
    problem = Problem.at(BUDGET, "tenants.acme", "unknown key 'warm_at'", suggestion="warn_at")

    assert str(problem) == (
        "policies/budget.yaml:6:5: tenants.acme: unknown key 'warm_at'\n"
        "     6 |     warm_at: 0.8\n"
        "       |     ^^^^^^^\n"
        "       = did you mean 'warn_at'?"
    )


def test_a_problem_about_a_whole_file_has_no_line() -> None:
    assert str(Problem.at(Place("policies/x.yaml"), "", "is missing")) == "policies/x.yaml: is missing"


def test_the_remedy_and_the_other_place_follow_the_caret() -> None:
    other = Place("policies/b.yaml", 2, 1, "upstreams:", 9)
    lines = str(Problem.at(BUDGET, "", "wrong", remedy="write it so", other=other)).split("\n")

    assert lines[3:] == [
        "       = write it so",
        "       = see policies/b.yaml:2:1",
        "     2 | upstreams:",
        "       | ^^^^^^^^^",
    ]


def test_a_problem_gives_its_place_back() -> None:
    assert Problem.at(BUDGET, "", "wrong").place == BUDGET


@pytest.mark.parametrize("column", [1, 50, 150, 290])
def test_a_long_line_is_cut_around_the_caret(column: int) -> None:
    line = "".join(chr(ord("a") + number % 26) for number in range(300))
    shown, carets = Place("x", 1, column, line, 3).excerpt()
    at = carets.index("^")

    assert len(shown) <= 9 + 102
    assert shown[at : at + 3] == line[column - 1 : column + 2]


def test_the_caret_keeps_under_its_value_behind_tabs() -> None:
    assert Place("x", 1, 3, "\t\tab", 2).excerpt()[1] == "       | \t\t^^"


@pytest.mark.parametrize("place", [Place("x", 1, 1, ""), Place("x", 1, 1, "   "), Place("x")])
def test_an_empty_line_is_not_shown(place: Place) -> None:
    assert place.excerpt() == []


def test_a_caret_beyond_the_line_still_points_at_its_end() -> None:
    assert Place("x", 1, 4, "ab:", 9).excerpt()[1] == "       |    ^"


def test_problems_stand_in_the_order_of_files_and_lines() -> None:
    places = [("b", 1, 1), ("a", 10, 1), ("a", 9, 5), ("a", 9, 2), ("a", 0, 0)]
    problems = PolicyProblems(Problem(*place, where="", message="m") for place in places)

    assert [(each.path, each.line, each.column) for each in problems.problems] == sorted(places)
    assert str(problems).split("\n")[0] == "a: m"


def test_problems_keep_the_gateway_from_starting() -> None:
    assert issubclass(PolicyProblems, StartError)


def test_a_flood_is_cut_in_the_text_and_kept_in_the_list() -> None:
    problems = PolicyProblems(Problem("a", line, 1, "", "m") for line in range(1, 1001))

    assert len(problems.problems) == 1000
    assert str(problems).endswith("a:200:1: m\nand 800 more")


def test_nothing_a_file_says_can_steer_a_terminal() -> None:
    problem = Problem("a\x1b[2J", 1, 1, "x\x07", "got '\x1b[31m'", source_line="\x1b]0;title\x07")

    assert all(char.isprintable() for char in str(problem).replace("\n", ""))


@pytest.mark.parametrize(
    ("word", "meant"),
    [("warm_at", "warn_at"), ("WARN_AT", "warn_at"), ("colour", None), ("w" * 100_000, None), ("", None)],
)
def test_closest_finds_what_was_mistyped(word: str, meant: str | None) -> None:
    assert closest(word, ["warn_at", "budget"]) == meant


def test_long_words_are_cut_in_quotes() -> None:
    assert quoted("a" * 65) == "'" + "a" * 64 + "…'"
    assert quoted("short") == "'short'"


def test_printable_leaves_tabs_and_umlauts() -> None:
    assert printable("ä\tb\x00") == "ä\tb\ufffd"
