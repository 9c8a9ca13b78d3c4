import pytest

from penstock.cli import VERBS


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_names_every_verb(run, word):
    told = run(word)
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("usage: penstock [VERB] [OPTIONS]\n")
    for verb, what in VERBS.items():
        assert f"  {verb:16} {what}\n" in told.out


@pytest.mark.parametrize("word", ["start", "Check", "", "up\n", "../up", "table"])
def test_an_unknown_verb(run, word):
    told = run(word)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"penstock: unknown verb {word!r}")
    assert "\nusage: penstock [VERB] [OPTIONS]\n" in told.err


@pytest.mark.parametrize(
    ("word", "meant"), [("Check", "check"), ("explian", "explain"), ("schemas", "schema")]
)
def test_a_mistyped_verb_is_guessed(run, word, meant):
    assert run(word).err.startswith(f"penstock: unknown verb {word!r}; did you mean {meant!r}?\n")


def test_a_word_like_no_verb_is_not(run):
    assert "did you mean" not in run("zzz").err


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_flag(run, verb):
    needed = {"eval": ("redaction", "--data", "x"), "audit": ("verify",)}.get(verb, ())
    told = run(verb, *needed, "--polices", "x")
    assert (told.code, told.out) == (2, "")
    assert "unrecognized arguments: --polices" in told.err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_the_same_options(run, verb):
    told = run(verb, *(["redaction"] if verb == "eval" else []), "--help")
    assert told.code == 0
    for flag in ("--policies", "--state", "--store", "--upstream", "--stage-dir"):
        assert f"{flag} " in told.out
    assert f"usage: penstock {verb} " in told.out


def test_no_verb_is_up(run):
    assert "usage: penstock up " in run("--admin", "nonsense").err


@pytest.mark.parametrize("words", [["check"], ["explain", "request.json"]])
def test_a_missing_folder_is_code_2(run, words, tmp_path):
    (tmp_path / "request.json").write_text("{}")
    told = run(*words, "--policies", "nowhere")
    assert (told.code, told.out) == (2, "")
    assert "nowhere" in told.err
    assert told.err.count("\n") == 1


def test_eval_says_what_it_can_score(run):
    assert "routing" in run("eval", "--help").out
    assert run("eval", "rooting").err == (
        "penstock eval: say what to score: redaction or routing; did you mean 'routing'?\n"
    )
