"""`experiment`: says how the arms do, stops an experiment, or gives everyone one of its arms."""

import argparse
import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from penstock.audit.record import stamp
from penstock.cli.table import table
from penstock.errors import Refusal, StartError, StoreUnavailable
from penstock.experiment.desk import Desk
from penstock.experiment.policy import Experiment, ExperimentPolicy
from penstock.experiment.report import Compared, Report
from penstock.experiment.sequential import FEWEST_BUCKETS
from penstock.experiment.tally import metrics_of
from penstock.gateway import Policies
from penstock.settings import Settings, options_parser
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

_TAKES: Final = {"status": (0, 1), "stop": (1, 1), "promote": (2, 2)}
_HEAD: Final = ("arm", "requests", "cache hits", "excluded", "metric", "observations", "mean")
_COMPARED: Final = ("arm", "metric", "difference", "from", "to", "allowed", "finding")


Verb = Callable[[argparse.Namespace, Mapping[str, Experiment], Desk], Awaitable[int]]


def run(words: Sequence[str]) -> int:
    """Do what is asked. Raises StartError."""
    options = _parser().parse_args(words)
    if options.what not in _TAKES:
        raise StartError("penstock experiment: say what to do: status, stop or promote")
    least, most = _TAKES[options.what]
    given = sum(1 for word in (options.name, options.arm) if word is not None)
    if not least <= given <= most:
        takes = {"status": "[NAME]", "stop": "NAME", "promote": "NAME ARM"}[options.what]
        raise StartError(f"penstock experiment {options.what} takes {takes}")
    if options.json and options.what != "status":
        raise StartError(f"penstock experiment {options.what} takes no --json")
    verbs: dict[str, Verb] = {"status": _status, "stop": _stop, "promote": _promote}
    return asyncio.run(_at_the_desk(verbs[options.what], options, Settings.of(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("penstock experiment", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("what", nargs="?", metavar="status|stop|promote", help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the experiment; status: all if left out")
    parser.add_argument("arm", nargs="?", metavar="ARM", help="promote: the arm that everyone gets")
    parser.add_argument("--json", action="store_true", help="status: print JSON")
    return parser


async def _at_the_desk(verb: Verb, options: argparse.Namespace, settings: Settings) -> int:
    """Open what the gateway opens: the keyring of its state folder, its policies and its store."""
    path = settings.state / "keyring.key"
    if not path.exists():  # to look at experiments must not make one
        raise StartError(f"{path}: no such file; --state names the gateway's state folder")
    keyring = Keyring.in_folder(settings.state)
    experiments = Policies(settings).read()[ExperimentPolicy].experiments
    ledger, records = await open_ledger(settings.store)
    try:
        return await verb(options, experiments, Desk(records, keyring, "cli"))
    except Refusal as refusal:
        raise StartError(refusal.message) from None
    except StoreUnavailable as problem:
        raise StartError(f"the store of experiments does not answer: {problem}") from None
    finally:
        await records.close()
        await ledger.close()


async def _status(options: argparse.Namespace, experiments: Mapping[str, Experiment], desk: Desk) -> int:
    reports = await desk.reports(experiments, options.name)
    if options.json:
        print(msgspec.json.encode({"experiments": [each.told() for each in reports]}).decode())
    elif reports:
        print("\n\n".join("\n".join(_lines(each)) for each in reports))
    else:
        print("experiment.yaml has no experiments")
    return 0


async def _stop(options: argparse.Namespace, experiments: Mapping[str, Experiment], desk: Desk) -> int:
    control = (await desk.stop(experiments, options.name)).control
    print(f"{options.name} is stopped: within a second everyone in it gets the arm {control!r}")
    print(f"take it out of experiment.yaml; to try again, give it a new name ({_next(options.name)})")
    return 0


async def _promote(options: argparse.Namespace, experiments: Mapping[str, Experiment], desk: Desk) -> int:
    experiment = await desk.promote(experiments, options.name, options.arm)
    whose = "of these tenants " if experiment.tenants else ""
    print(f"within a second everyone {whose}in {options.name} gets the arm {options.arm!r}")
    if settings := experiment.arms[options.arm].set:
        print(f"to keep it so, put this into the policies and take {options.name} out of experiment.yaml:")
    for file, tree in settings.items():
        print("\n".join([f"\n# policies/{file}.yaml", *_yaml(tree)]))
    return 0


def _next(name: str) -> str:
    stem, _, number = name.rpartition("-")
    return f"{stem}-{int(number) + 1}" if stem and number.isdigit() else f"{name}-2"


def _yaml(tree: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Write settings as they stand in a policy file; JSON's scalars and lists are YAML's, too."""
    for key, value in tree.items():
        name = key if re.fullmatch(r"[A-Za-z_][\w-]*", key) else msgspec.json.encode(key).decode()
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:"
            yield from _yaml(value, indent + "  ")
        else:
            yield f"{indent}{name}: {msgspec.json.encode(value).decode()}"


def _lines(told: Report) -> Iterator[str]:
    verdict, experiment = told.verdict, told.experiment
    state = "running" if verdict is None else f"{verdict.state} by {verdict.by} at {stamp(verdict.at)}"
    yield f"{told.name}: {state}; decided by {experiment.metric}, the control is {experiment.control}"
    if verdict is not None:
        yield f"everyone in it gets {verdict.arm}{': ' * bool(verdict.evidence)}{verdict.evidence}"
    yield table(_HEAD, [row for arm in told.counts for row in _rows(told, arm)])
    yield ""
    yield table(_COMPARED, [_compared(each) for each in (*told.deciding, *told.guardrails)])
    if any(each.finding == "too few" for each in told.deciding):
        yield (
            f"nothing is concluded before {experiment.min_sample} observations of each arm, from units in at "
            f"least {FEWEST_BUCKETS} of their 32 groups"
        )


def _rows(told: Report, arm: str) -> Iterator[tuple[str, ...]]:
    """Give a line for each metric; the arm's own figures stand on the first."""
    counts = told.counts[arm]
    first: tuple[str, ...] = (arm, str(counts.requests), str(counts.hits), str(counts.excluded))
    shown = [(str(metric), f"{its.n:.0f}", f"{its.mean:.6g}") for metric, its in metrics_of(counts)]
    for figures in shown or [("", "", "")]:
        yield (*first, *figures)
        first = ("", "", "", "")


def _compared(each: Compared) -> tuple[str, ...]:
    found = each.difference
    figures = (
        ("", "", "") if found is None else tuple(f"{x:+.6g}" for x in (found.value, found.low, found.high))
    )
    allowed = "" if each.limit is None else f"{each.limit:g} worse"
    return (each.arm, each.metric, *figures, allowed, each.finding)
