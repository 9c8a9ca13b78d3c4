"""What the tests of the detection room share: one engine, and a short way to ask it."""

from functools import cache

from penstock.detect import DetectConfig, Engine, UserPattern


@cache
def engine() -> Engine:
    return Engine()


def found(text: str, label: str = "") -> list[tuple[str, str]]:
    """Give (type, value) of each finding."""
    return [(item.type, text[item.start : item.end]) for item in engine().find(text, label)]


def types(text: str, label: str = "") -> set[str]:
    return {type for type, _ in found(text, label)}


def with_pattern(pattern: str, **more: object) -> Engine:
    return Engine(
        DetectConfig(
            types=frozenset({"TICKET"}), patterns=(UserPattern("ticket", "TICKET", pattern, **more),)
        )
    )  # type: ignore[arg-type]
