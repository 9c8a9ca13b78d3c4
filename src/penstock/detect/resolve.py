"""Which of two findings that share characters stays: the checked, the one with words, the longer."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import islice
from operator import itemgetter, le

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
    ordered = sorted(findings, key=_start)
    if all(map(le, map(_end, ordered), map(_start, islice(ordered, 1, None)))):
        return ordered
    kept: list[Finding] = []
    knot: list[Finding] = []
    reach = -1
    for finding in ordered:
        if finding.start >= reach and knot:
            kept += _untied(knot)
            knot = []
        knot.append(finding)
        if finding.end > reach:
            reach = finding.end
    return kept + _untied(knot)


def _untied(knot: list[Finding]) -> list[Finding]:
    """Choose among findings that hang together."""
    if len(knot) < 2:
        return knot
    if len(knot) == 2:
        return [min(knot, key=_rank)]
    kept: list[Finding] = []
    for finding in sorted(knot, key=_rank):
        at = bisect_left(kept, finding.start, key=_start)
        if at < len(kept) and kept[at].start < finding.end:
            continue
        if at and kept[at - 1].end > finding.start:
            continue
        insort(kept, finding, key=_start)
    return kept


_start = itemgetter(0)  # a finding is a tuple: much faster than its attribute
_end = itemgetter(1)
