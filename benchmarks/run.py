"""Measures the gateway side by side with bare mitmdump; see README.md.

.venv/bin/python benchmarks/run.py [--repetitions 5] [--requests 2000] [--quick] [--json FILE]
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import report
from figures import Row, figures, memory_figures
from processes import BenchmarkError, Target, build, family, mitmdump, penstock, rss_mb, running, upstream
from scenarios import DIRECT, MITMDUMP, PENSTOCK, STREAMING_MITMDUMP, Load, Scenario, scenarios

# Bare mitmdump collects a stream before it passes it on; this is the documented way to let it through.
_STREAMING_ADDON: Final = '''\
"""Lets every answer through as it comes."""


def responseheaders(flow):
    flow.response.stream = True
'''
_PRIMING: Final = 20


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Penstock beside bare mitmdump, interleaved in one run.")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="per run of 16 connections")
    parser.add_argument(
        "--memory-requests", type=int, default=20_000, metavar="N", help="0: leave memory out"
    )
    parser.add_argument("--only", default="", metavar="NAME,NAME", help="these scenarios and no others")
    parser.add_argument("--without-penstock", action="store_true", help="to try the benchmark itself")
    parser.add_argument("--quick", action="store_true", help="see that it works; the figures mean little")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.repetitions, chosen.requests = min(chosen.repetitions, 1), min(chosen.requests, 300)
        chosen.memory_requests = min(chosen.memory_requests, 900)
    return chosen


class Bench:
    """The targets that run, and what was seen so far."""

    def __init__(self, chosen: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self._chosen = chosen
        self._folder = folder
        self._stack = stack
        self._upstream = stack.enter_context(upstream(build("upstream", folder)))
        self._load = Load(build("load", folder), self._upstream, folder)
        self._targets: dict[str, Target] = {DIRECT: Target(DIRECT, self._upstream.port)}
        quick = chosen.quick
        made = scenarios(chosen.requests, streams=10 if quick else 40, events=100 if quick else 1000)
        wanted = [name.strip() for name in chosen.only.split(",") if name.strip()]
        if unknown := set(wanted) - {scenario.name for scenario in made}:
            raise BenchmarkError(f"no scenario is called {', '.join(sorted(unknown))}")
        self._scenarios = [scenario for scenario in made if not wanted or scenario.name in wanted]

    @property
    def commands(self) -> dict[str, str]:
        """Give the command of each proxy."""
        return {name: target.command for name, target in self._targets.items() if target.command}

    def start(self) -> None:
        """Start the proxies and warm them up with a little of everything."""
        addon = self._folder / "stream_through.py"
        addon.write_text(_STREAMING_ADDON)
        self._proxy(MITMDUMP)
        self._proxy(STREAMING_MITMDUMP, "-s", str(addon))
        if not self._chosen.without_penstock:
            self._proxy(PENSTOCK)
        for scenario in self._scenarios:
            # Paced streams warm up with fewer and shorter ones; the rest with a tenth of the work.
            fewer = max(scenario.requests // 10, scenario.connections)
            for target in self._of(scenario):
                self._prime(scenario, target)
                row = self._load.run(replace(scenario, requests=fewer, skipped=0), target)
                if "void" in row:
                    report.warn(f"warm-up of {target.name}, {scenario.name}: {row['void']}")

    def _proxy(self, name: str, *words: str) -> Target:
        port = self._upstream.port
        recipe = (
            penstock(name, port, self._folder)
            if name.startswith(PENSTOCK)
            else mitmdump(name, port, self._folder, *words)
        )
        target = self._stack.enter_context(running(recipe, self._folder))
        self._targets[name] = target
        return target

    def _of(self, scenario: Scenario) -> list[Target]:
        return [self._targets[name] for name in scenario.targets if name in self._targets]

    def _prime(self, scenario: Scenario, target: Target) -> None:
        """Make sure that what should be in the cache is in the cache."""
        if not scenario.fresh:
            self._load.run(replace(scenario, connections=1, requests=_PRIMING, skipped=0), target)

    def measure(self) -> list[Row]:
        """Run every scenario once per repetition and target; each repetition begins with another target."""
        rows: list[Row] = []
        for repetition in range(1, self._chosen.repetitions + 1):
            for scenario in self._scenarios:
                targets = self._of(scenario)
                first = repetition % len(targets) if targets else 0
                for target in targets[first:] + targets[:first]:
                    self._prime(scenario, target)
                    row = {"repetition": repetition, **self._load.run(scenario, target)}
                    rows.append(row | {"load_average": os.getloadavg()[0]})
                    report.warn(f"repetition {repetition}: {scenario.name}, {target.name}")
        return rows

    def remember(self) -> list[Row]:
        """Follow the memory of fresh proxies through many misses, a tenth of them at a time."""
        step = self._chosen.memory_requests // 10
        if step < 16:
            return []
        names = [MITMDUMP, *([] if self._chosen.without_penstock else [PENSTOCK])]
        targets = {name: self._proxy(f"{name}-memory") for name in names}
        steps: list[Row] = []
        for so_far in range(0, 11):
            for name, target in targets.items():
                row: dict[str, Any] = {"target": name, "requests_so_far": so_far * step}
                if so_far:
                    scenario = Scenario("memory", "", (), 16, step)
                    row |= {
                        key: value for key, value in self._load.run(scenario, target).items() if key == "void"
                    }
                steps.append(row | self._rss(target))
            report.warn(f"memory: {so_far * step} requests")
        return steps

    def _rss(self, target: Target) -> dict[str, float]:
        assert target.pid is not None
        children = family(target.pid)[1:]
        return {"rss_mb": rss_mb(target.pid), "rss_children_mb": sum(map(rss_mb, children))}


def run(chosen: argparse.Namespace) -> bool:
    """Measure and print; say whether every run counts."""
    told = report.conditions({name: value for name, value in vars(chosen).items() if name != "json"})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-bench-")))
        bench = Bench(chosen, folder, stack)
        bench.start()
        rows = bench.measure()
        steps = bench.remember()
        told["commands"] = bench.commands
    made = figures(rows) + memory_figures([step for step in steps if step["requests_so_far"]])
    if chosen.json:  # first: the table may go into a pipe that closes early
        chosen.json.write_text(json.dumps(report.as_json(told, made, rows, steps), indent=1) + "\n")
    report.print_conditions(told)
    report.print_figures(made)
    report.print_rows(rows)
    if steps:
        report.print_memory(steps)
    return not any("void" in row for row in [*rows, *steps])


def main() -> int:
    """Run the benchmark; 1 where a run was void, 2 where nothing could be measured."""
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not sys.platform.startswith("linux") or (os.cpu_count() or 1) < 2:
        report.warn("the benchmark needs Linux and two cores")
        return 2
    os.sched_setaffinity(0, {1})
    try:
        return 0 if run(chosen) else 1
    except BenchmarkError as problem:
        report.warn(str(problem))
        return 2


if __name__ == "__main__":
    sys.exit(main())
