"""The house keeps its own rules: short files, documented functions, a test for each, and arrows one way."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "penstock"
UNIT = Path(__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# What a unit test could only repeat, and where it is tested instead.
TESTED_ELSEWHERE = {
    "admin/*": "as a process, in tests/integration/house",
    "cli/*": "as processes, in tests/integration/house and tests/policies",
    "openai/unfold_choice.py": "through openai/unfold.py",
    "policy/base.py": "through every policy",
    "proxy/beside.py": "as a process, in tests/integration/house",
    "proxy/loader.py": "in stock mitmproxy, in tests/addons",
    "proxy/run.py": "as a process, in tests/integration/road",
    "detect/*": "by families of values, in tests/unit/detect",
    "redaction/*": "by what its parts do together, in tests/unit/redaction",
    "routing/evaluation/*": "on labelled data, in tests/unit/routing/evaluation",
    "sample/*": "over sockets, in tests/integration/sample",
    "stores/protocol.py": "a protocol; its contract is tests/integration/stores",
    "stores/redis.py": "on a real server, in tests/integration/stores",
    "stores/lane.py": "through tests/unit/stores/test_sqlite.py",
}
# A room, or "" for what stands beside the rooms, and the only rooms that may import this package.
ONLY_IN = {
    "mitmproxy": {"proxy"},
    "redis": {"stores"},
    "sqlite3": {"stores"},
    "yaml": {"policy"},
    "prometheus_client": {"telemetry", "admin"},
    "aiohttp": {"upstream", "stages", "sample", "admin", "budget"},
}
INPUT_OUTPUT = {
    "asyncio",
    "aiohttp",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
}


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room(path: Path) -> str:
    return name(path).rpartition("/")[0].partition("/")[0]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_is_short_and_has_a_test(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400
    elsewhere = any(fnmatch(name(path), pattern) for pattern in TESTED_ELSEWHERE)
    test = UNIT / path.relative_to(SOURCE).with_name(f"test_{path.stem}.py")
    assert lines <= 25 or path.stem == "__init__" or elsewhere or test.exists(), (
        f"no {test.relative_to(ROOT)}"
    )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_functions_are_short_and_the_public_ones_documented(path: Path) -> None:
    assert ast.get_docstring(tree(path))
    for node in functions(path):
        assert (node.end_lineno or 0) - node.lineno < 60, node.name
    module = tree(path)
    for holder in (module, *(node for node in module.body if isinstance(node, ast.ClassDef))):
        private = isinstance(holder, ast.ClassDef) and holder.name.startswith("_")
        for node in holder.body if not private else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node) or ast.unparse(node.body[-1]) == "...", node.name


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_package_is_imported_only_where_it_belongs(path: Path) -> None:
    for module in imports(path):
        allowed = ONLY_IN.get(module.partition(".")[0])
        assert allowed is None or room(path) in allowed, module


def test_the_domain_does_no_input_or_output_and_reads_no_clock() -> None:
    for path in SOURCE.glob("domain/*.py"):
        assert not {module.partition(".")[0] for module in imports(path)} & INPUT_OUTPUT, name(path)
        assert not any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree(path))), (
            name(path)
        )


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("stages", "penstock.stages"),
        ("stages", "penstock.chain"),
        ("stages", "penstock.proxy"),
        ("stores", "penstock.stages"),
        ("upstream", "penstock.stages"),
        ("openai", "penstock.stages"),
        ("domain", "penstock.stores"),
        ("admin", "penstock.chain"),
        ("admin", "penstock.stages"),
        ("", "penstock.proxy"),
    ],
)
def test_the_arrows_go_one_way(above: str, below: str) -> None:
    for path in (path for path in FILES if room(path) == above):
        assert not any(module == below or module.startswith(f"{below}.") for module in imports(path)), name(
            path
        )


def test_addons_hold_no_logic() -> None:
    for path in (ROOT / "addons").glob("*.py"):
        kinds = {type(node) for node in ast.walk(tree(path))}
        assert not kinds & {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda}, path.name
