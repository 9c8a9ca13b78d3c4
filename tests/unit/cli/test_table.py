from penstock.cli.table import table


def test_columns_are_aligned_and_the_last_runs_free():
    rows = [("a", "long enough", "x"), ("longer", "b", "y z")]
    assert table(("one", "two", "three"), rows).splitlines() == [
        "one     two          three",
        "──────  ───────────  ─────",
        "a       long enough  x",
        "longer  b            y z",
    ]


def test_no_rows_leave_the_heads():
    assert table(("one", "two"), []) == "one  two\n───  ───"


def test_no_line_ends_in_blanks():
    assert table(("one", "two"), [("x", "")]).splitlines()[-1] == "x"
