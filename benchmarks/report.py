"""What the reader gets: the conditions, the table, the raw rows, and all of it as JSON."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from figures import Figure, Row
from processes import HERE
from scenarios import DIRECT, MITMDUMP, PENSTOCK, STREAMING_MITMDUMP

_PACKAGES: Final = ("penstock", "mitmproxy", "aiohttp")
_LINE: Final = "{:<41}{:>11}{:>11}{:>11}   {:<30}{:<22}"
_RAW: Final = "{:>3}  {:<11}{:<17}{:>9}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}"


def conditions(options: Mapping[str, Any]) -> dict[str, Any]:
    """Say where and with what this run was made; nothing in it names a path of the machine."""
    return {
        "options": dict(options),
        "commit": _commit(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "machine": {
            "cpu": _cpu_name(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "load_average": list(os.getloadavg()),
        },
    }


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(HERE), *words], capture_output=True, text=True).stdout.strip()

    return f"{git('rev-parse', '--short=12', 'HEAD') or 'none'}{' with changes' * bool(git('status', '-s'))}"


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def print_conditions(told: dict[str, Any]) -> None:
    """Print what figures without it would be worth nothing."""
    machine, versions = told["machine"], told["versions"]
    print(f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()) + f"; commit {told['commit']}")
    print(f"load average at the start: {machine['load_average'][0]:.2f}")
    print("proxies on core 0; upstream and load on core 1; 1.9 KB requests, 1.0 KB answers, plain HTTP")


def print_figures(made: Sequence[Figure]) -> None:
    """Print a line for each figure: medians of what was seen, and the median of what was compared."""
    print()
    print(_LINE.format("medians", PENSTOCK, MITMDUMP, DIRECT, "median of the comparisons", "bar"))
    for figure in made:
        did = {name: values for name, values in figure.did.items() if values}
        theirs = did.get(MITMDUMP) or did.get(STREAMING_MITMDUMP)
        print(
            _LINE.format(
                figure.what,
                _middle(did.get(PENSTOCK)),
                _middle(theirs),
                _middle(did.get(DIRECT)),
                _spread(figure),
                _bar(figure),
            ).rstrip()
        )


def _middle(values: list[float] | None) -> str:
    return _short(median(values)) if values else "-"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _spread(figure: Figure) -> str:
    low, high = _short(min(figure.compared)), _short(max(figure.compared))
    around = f"{low} to {high}, " if len(figure.compared) > 1 else ""
    return f"{_short(figure.median)} {figure.unit} ({around}n={len(figure.compared)})"


def _bar(figure: Figure) -> str:
    if figure.bar is None:
        return ""
    return f"{figure.bar.text}: {'reached' if figure.bar.reached(figure.median) else 'NOT reached'}"


def print_rows(rows: Sequence[Row]) -> None:
    """Print the raw rows; times in us. `conns` are connections that the upstream saw."""
    heads = ("req/s", "CPU/req", "p50", "p99", "1st event", "age p50", "events/s", "conns")
    print("\n" + _RAW.format("rep", "scenario", "target", *heads))
    for row in rows:
        names = row["repetition"], row["scenario"], row["target"]
        if "void" in row:
            print(f"{names[0]:>3}  {names[1]:<11}{names[2]:<17} VOID: {row['void']}")
            continue
        answer, first, age = (row.get(key, {}) for key in ("answer_us", "first_event_us", "event_age_us"))
        values = (
            *(row["rps"], row.get("cpu_us_per_request"), answer["p50"], answer["p99"]),
            *(first.get("p50"), age.get("p50"), row.get("events_per_s"), row["upstream_accepts"]),
        )
        print(_RAW.format(*names, *("-" if value is None else f"{value:.0f}" for value in values)))


def print_memory(steps: Sequence[Row]) -> None:
    """Print how RSS went, step by step."""
    print("\nRSS in MiB after so many misses on 16 connections (a fresh process; its children apart)")
    for step in steps:
        told = f"VOID: {step['void']}" if "void" in step else f"{step['rss_mb']:.1f}"
        apart = f"   children {step['rss_children_mb']:.1f}" if step.get("rss_children_mb") else ""
        print(f"{step['requests_so_far']:>7}  {step['target']:<17}{told}{apart}")


def as_json(told: dict[str, Any], made: Sequence[Figure], rows: Sequence[Row], steps: Sequence[Row]) -> Any:  # noqa: ANN401
    """Put everything into one value."""
    lines = [
        {
            "what": figure.what,
            "did": figure.did,
            "compared": figure.compared,
            "median": figure.median,
            "unit": figure.unit,
            "n": len(figure.compared),
            "bar": figure.bar.text if figure.bar else None,
        }
        for figure in made
    ]
    return {"conditions": told, "figures": lines, "rows": list(rows), "memory": list(steps)}


def warn(text: str) -> None:
    """Say something beside the table."""
    print(text, file=sys.stderr, flush=True)
