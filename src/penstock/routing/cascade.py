"""Judging a small model's answer: by the gates, by a second opinion, and by the promise that was made."""

from dataclasses import dataclass

from penstock.openai.request import Json, Request
from penstock.routing.answer_shape import answer_shape
from penstock.routing.canonical import agree
from penstock.routing.features import Features
from penstock.routing.gates import Limits, judge
from penstock.routing.guarantee import Kept
from penstock.routing.judged import expected, judged
from penstock.routing.policy import Cascade
from penstock.routing.weights import Weights


@dataclass(frozen=True, slots=True)
class Trust:
    """What was learned of a small model's answers, and the threshold that keeps a promise, if one does."""

    weights: Weights
    promise: Kept | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the small model's answer may go out, why not, and how sure of it we are."""

    passed: bool
    reason: str
    confidence: float


def judgement(
    cascade: Cascade,
    request: Request,
    prompt: str,
    features: Features,
    answer: Json,
    trust: Trust,
    second: Json | None,
) -> Judgement:
    """Judge an answer. One that can't be read passes: then there is nothing to compare it with."""
    seen = judged(request, answer, prompt)
    if seen is None:
        return Judgement(True, "unreadable", 0.0)
    limits = Limits(cascade.least_mean_logprob, cascade.least_margin)
    failed = [verdict for verdict in judge(seen, cascade.gates, limits) if not verdict.passed]
    of_answer = features.with_answer(seen.text, answer_shape(prompt, seen.text))
    same = None
    if second is not None and (other := judged(request, second, prompt)) is not None:
        same = agree(seen.text, other.text, expected(prompt))
        of_answer = of_answer.with_shape([f"agrees={same}"])
    confidence = 0.0 - trust.weights.gain(of_answer)  # no -0 for the eye
    if failed:
        return Judgement(False, f"gate {failed[0].gate}: {failed[0].reason}", confidence)
    if same is False:
        return Judgement(False, "second opinion differs", confidence)
    if cascade.max_error is not None:
        if trust.promise is None:
            return Judgement(False, "promise infeasible so far", confidence)
        if confidence < trust.promise.threshold:
            return Judgement(False, "below the promise's threshold", confidence)
    return Judgement(True, "", confidence)
