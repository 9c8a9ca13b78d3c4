"""`check`: validates the policies and runs the cases of their _test.yaml files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from multidict import CIMultiDict

from penstock.chain import Chain
from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.gateway import Policies
from penstock.openai.request import request_of
from penstock.policy.base import PolicySet
from penstock.policy.cases import Case, judge, read_cases
from penstock.settings import Settings, options_parser


def run(words: Sequence[str]) -> int:
    """Print every problem, or what was checked. Raises StartError, PolicyProblems."""
    parser = argparse.ArgumentParser("penstock check", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("folder", nargs="?", metavar="DIR", help="the policies, in place of --policies")
    options = parser.parse_args(words)
    options.policies = options.folder or options.policies
    policies = Policies(Settings.of(options))
    live = policies.read()
    cases = read_cases(Path(options.policies))
    chain = policies.chain()
    failing = 0
    for case in cases:
        problems = judge(case, _decided(case, chain, live))
        failing += bool(problems)
        for problem in problems:
            print(problem, file=sys.stderr)
    files = len(policies.kinds)
    print(f"{files} policies are good; {len(cases) - failing} of {len(cases)} cases pass")
    return 1 if failing else 0


def _decided(case: Case, chain: Chain, policies: PolicySet) -> dict[str, tuple[str, str]]:
    body = b"" if case.request.body is None else msgspec.json.encode(case.request.body)
    try:
        request = request_of(case.request.method, case.request.path, CIMultiDict(case.request.headers), body)
    except Refusal as refusal:
        return {"request": ("refuse", f"{refusal.status} {refusal.code}: {refusal.message}")}
    decisions = chain.explain(Exchange(request, policies))
    return {decision.stage: (decision.action, decision.reason) for decision in decisions}
