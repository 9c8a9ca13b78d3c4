"""All detectors over one text: one pass for the gates, then only the rules that can match."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice

from penstock.detect.config import DetectConfig
from penstock.detect.finding import Detector, Finding
from penstock.detect.keywords import keyword_places
from penstock.detect.prefilter import Prefilter
from penstock.detect.probe import LEAST_SCORE
from penstock.detect.resolve import resolve
from penstock.detect.rules import shipped_probes
from penstock.detect.source import Source
from penstock.detect.user_patterns import UserPatterns
from penstock.detect.warm import WARM
from penstock.errors import PenstockError

_WARM = Source(WARM)


class TooManyFindings(PenstockError):
    """A text holds more values than the configuration lets through; it is refused, never half redacted."""


class Engine:
    """Find values in texts. Made once for each configuration; any number of threads may call `find`.

    `detectors` are the plugged-in ones, such as a named-entity model. Raises PatternRefused.
    """

    def __init__(self, config: DetectConfig | None = None, detectors: Sequence[Detector] = ()) -> None:
        self.config = config or DetectConfig()
        self._detectors: tuple[Detector, ...] = tuple(detectors)
        if self.config.patterns:
            self._detectors += (UserPatterns(self.config.patterns),)
        self._probes = [p for p in shipped_probes() if any(self.config.wants(type) for type in p.types)]
        gates: dict[str, list[int]] = {}
        for index, probe in enumerate(self._probes):
            for gate in probe.gates:
                gates.setdefault(gate, []).append(index)
        self._least: dict[str, float] = {}
        self._choosy = self._refuses_any()
        self._opens = [tuple(indexes) for indexes in gates.values()]
        self._prefilter = Prefilter(tuple(gates)) if gates else None
        self._warm()

    def _warm(self) -> None:
        """Let every automaton read once, so that the first message is as fast as the others."""
        self._run(_WARM)
        keyword_places(_WARM.data)
        for probe in self._probes:
            for _ in probe.search(_WARM):
                pass

    def find(self, text: str, label: str = "") -> list[Finding]:
        """Give findings in the order of the text; they never overlap.

        `label` is the name of the field the text stands in, such as a JSON key: words before the text.
        Raises TooManyFindings.
        """
        if len(text) < 3:
            return []
        source = Source(text, label)
        found: list[Finding] = []
        for index in self._run(source):
            hits = self._probes[index].search(source)
            if self._choosy:
                hits = [hit for hit in hits if self._counts(source.plain, hit)]
            self._take(found, hits)
        found = self._as_given(source, found)
        for detector in self._detectors:
            self._take(found, (item for item in detector.find(text) if self._counts(text, item)))
        return resolve(found) if len(found) > 1 else found

    def _take(self, found: list[Finding], more: Iterable[Finding]) -> None:
        """Add findings, as many as the whole text may have."""
        most = self.config.max_findings
        found.extend(islice(more, most - len(found) + 1))
        if len(found) > most:
            raise TooManyFindings(f"more than {most} values in one text")

    def _run(self, source: Source) -> Sequence[int]:
        if self._prefilter is None:
            return ()
        opens = self._opens
        return sorted({index for gate in self._prefilter.scan(source.data) for index in opens[gate]})

    def _refuses_any(self) -> bool:
        """Say whether this configuration can refuse a finding of the shipped rules; the default one can't."""
        config = self.config
        strict = max([config.default_threshold, *config.thresholds.values()]) > LEAST_SCORE
        return strict or config.types is not None or bool(config.allow)

    def _counts(self, text: str, finding: Finding) -> bool:
        least = self._least.get(finding.type)
        if least is None:
            config = self.config
            least = config.threshold(finding.type) if config.wants(finding.type) else math.inf
            self._least[finding.type] = least
        allow = self.config.allow
        return finding.score >= least and not (allow and text[finding.start : finding.end] in allow)

    @staticmethod
    def _as_given(source: Source, found: list[Finding]) -> list[Finding]:
        if source.plain is source.text or len(source.plain) == len(source.text):
            return found
        return [Finding._make((*source.original(hit.start, hit.end), *hit[2:])) for hit in found]
