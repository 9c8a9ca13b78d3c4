"""policies/redaction.yaml: what holds for whom, and what is refused before anybody asks."""

import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from penstock import testing
from penstock.policy.base import Finding
from penstock.policy.load import load
from penstock.policy.problems import PolicyProblems
from penstock.redaction import Action, FileRule
from penstock.redaction.policy import Pattern, RedactionPolicy, Tuning

SHIPPED = Path(__file__).parents[3] / "policies"


def found(policy: RedactionPolicy) -> list[Finding]:
    return list(policy.check(testing.policies(policy)))


# Rules by tenant


def test_without_a_word_everything_gets_a_placeholder():
    rules = RedactionPolicy().rules("anybody")
    assert rules.actions == {"*": Action.PLACEHOLDER}
    assert rules.files is FileRule.SCAN
    assert rules.config.types is None
    assert rules.config.threshold("EMAIL") == 0.5
    assert not rules.config.allow


def test_the_shipped_file_reads_everything_but_names(tmp_path: Path):
    shutil.copy(SHIPPED / "redaction.yaml", tmp_path)
    policy = load(tmp_path, [RedactionPolicy])[RedactionPolicy]
    assert policy == RedactionPolicy(actions={"PERSON": "allow"})


def test_a_tenants_words_lie_over_those_of_all():
    policy = RedactionPolicy(
        default_action="mask",
        actions={"EMAIL": "block", "IBAN": "hash"},
        thresholds={"PHONE": 0.6, "PERSON": 0.7},
        allow=("help@example.org",),
        files="block",
        tenants={
            "acme": Tuning(
                actions={"EMAIL": "allow"}, thresholds={"PHONE": 0.9}, allow=("sales@example.org",)
            )
        },
    )
    own, others = policy.rules("acme"), policy.rules("other")
    assert own.actions == {"*": Action.MASK, "EMAIL": Action.ALLOW, "IBAN": Action.HASH}
    assert others.actions == {"*": Action.MASK, "EMAIL": Action.BLOCK, "IBAN": Action.HASH}
    assert own.config.thresholds == {"PHONE": 0.9, "PERSON": 0.7}
    assert others.config.thresholds == {"PHONE": 0.6, "PERSON": 0.7}
    assert own.config.allow == {"help@example.org", "sales@example.org"}
    assert others.config.allow == {"help@example.org"}
    assert own.files is others.files is FileRule.BLOCK


def test_only_the_types_that_are_named_are_looked_for():
    config = RedactionPolicy(types=("EMAIL", "IBAN")).rules("").config
    assert config.wants("IBAN")
    assert not config.wants("PHONE")
    assert not RedactionPolicy(types=()).rules("").config.wants("EMAIL")


def test_a_pattern_becomes_a_rule_for_every_tenant():
    pattern = Pattern(name="badge", type="BADGE", pattern="B-[0-9]{4}", words=("badge",))
    policy = RedactionPolicy(patterns=(pattern,), tenants={"acme": Tuning()})
    for tenant in ("acme", "other"):
        (rule,) = policy.rules(tenant).config.patterns
        assert (rule.name, rule.type, rule.pattern, rule.words) == (
            "badge",
            "BADGE",
            "B-[0-9]{4}",
            ("badge",),
        )


# Patterns


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(?=a)b", "linear-time"),
        (r"(?<!a)b", "linear-time"),
        (r"(a)\1", "linear-time"),
        (r"(unclosed", "linear-time"),
        (r"a*", "empty text"),
    ],
)
def test_a_pattern_that_cant_run_is_found_where_it_stands(pattern: str, why: str):
    good = Pattern(name="good", type="BADGE", pattern="B-[0-9]{4}")
    bad = Pattern(name="bad", type="BADGE", pattern=pattern)
    (finding,) = found(RedactionPolicy(patterns=(good, bad)))
    assert finding.loc == ("patterns", 1, "pattern")
    assert "'bad'" in finding.message
    assert why in finding.message


def test_every_bad_pattern_is_found():
    bad = [Pattern(name=f"bad_{at}", type="BADGE", pattern="(?=a)b") for at in range(3)]
    assert [finding.loc[1] for finding in found(RedactionPolicy(patterns=tuple(bad)))] == [0, 1, 2]


def test_patterns_that_would_need_forever_elsewhere_are_none_of_our_troubles():
    assert found(RedactionPolicy(patterns=(Pattern(name="slow", type="X", pattern="(a+)+b"),))) == []


def test_a_refused_pattern_is_told_with_line_and_column(tmp_path: Path):
    text = "patterns:\n  - name: badge\n    type: BADGE\n    pattern: '(a)\\1'\n"
    (tmp_path / "redaction.yaml").write_text(text)
    with pytest.raises(PolicyProblems) as problems:
        load(tmp_path, [RedactionPolicy])
    (problem,) = problems.value.problems
    assert (problem.line, problem.column) == (4, 14)
    assert "linear-time" in str(problem)


# What may pass unread


@pytest.mark.parametrize("path", ["/files", "/files/file-1", "/files/file-1/content", "/audio/speech"])
def test_a_listed_path_passes_with_all_below_it(path: str):
    assert RedactionPolicy(unread=("/files", "/audio/")).lets_pass_unread(path)


@pytest.mark.parametrize("path", ["/", "", "/file", "/filesystem", "/x/files", "/FILES", "/messages"])
def test_other_paths_do_not(path: str):
    assert not RedactionPolicy(unread=("/files", "/audio/")).lets_pass_unread(path)


def test_nothing_passes_unread_if_nothing_is_listed():
    assert not RedactionPolicy().lets_pass_unread("/files")


# What the schema refuses


@pytest.mark.parametrize(
    "given",
    [
        {"on_failure": "skip"},
        {"direction": "sideways"},
        {"default_action": "structural"},
        {"actions": {"EMAIL": "delete"}},
        {"actions": {"email": "mask"}},
        {"actions": {"*": "mask"}},
        {"thresholds": {"EMAIL": 1.5}},
        {"types": ("e mail",)},
        {"unread": ("files",)},
        {"structural": "mask"},
        {"files": "mask"},
        {"time_budget_ms": 0.0},
        {"tenants": {"acme": {"files": "allow"}}},
        {"patterns": ({"name": "Bad Name", "type": "X", "pattern": "a"},)},
        {"patterns": ({"name": "a", "type": "X", "pattern": ""},)},
        {"patterns": ({"name": "a", "type": "X", "pattern": "a" * 1001},)},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object]):
    with pytest.raises(ValidationError):
        RedactionPolicy(**given)
