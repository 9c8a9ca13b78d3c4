"""Which of two findings that share characters stays: the checked, the one with words, the longer."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from operator import attrgetter

from penstock.detect.finding import Finding


def _rank(finding: Finding) -> tuple[bool, bool, int, float, int]:
    return (
        not finding.checked,
        not finding.context,
        finding.start - finding.end,
        -finding.score,
        finding.start,
    )


def resolve(findings: Iterable[Finding]) -> list[Finding]:
    """Give findings that don't overlap, in the order of the text."""
    kept: list[Finding] = []
    knot: list[Finding] = []
    reach = -1
    for finding in sorted(findings, key=_start):
        if finding.start >= reach and knot:
            kept += knot if len(knot) == 1 else _untied(knot)
            knot = []
        knot.append(finding)
        reach = max(reach, finding.end)
    kept += knot if len(knot) < 2 else _untied(knot)
    return kept


def _untied(knot: Iterable[Finding]) -> list[Finding]:
    """Choose among findings that hang together."""
    kept: list[Finding] = []
    for finding in sorted(knot, key=_rank):
        at = bisect_left(kept, finding.start, key=_start)
        if at < len(kept) and kept[at].start < finding.end:
            continue
        if at and kept[at - 1].end > finding.start:
            continue
        insort(kept, finding, key=_start)
    return kept


_start = attrgetter("start")
