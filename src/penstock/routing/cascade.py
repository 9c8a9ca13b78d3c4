"""Judging a small model's answer: by the gates, by a second opinion, and by the promise that was made."""

from dataclasses import dataclass

from penstock.openai.request import Json, Request
from penstock.routing.answer_features import answer_features
from penstock.routing.answer_shape import opinion_shape
from penstock.routing.canonical import canonical
from penstock.routing.features import Features
from penstock.routing.gates import Judged, Limits, judge
from penstock.routing.guarantee import Kept
from penstock.routing.judged import expected, judged
from penstock.routing.policy import Cascade
from penstock.routing.weights import NOTHING, Weights


@dataclass(frozen=True, slots=True)
class Trust:
    """What was learned of a small model's answers: which are wrong, and what asking the large one gains.

    `promise` is the threshold that keeps the promise, if one does.
    """

    weights: Weights
    promise: Kept | None = None
    gain: Weights = NOTHING


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the small model's answer may go out, why not, and how sure of it we are.

    `gain` is what the large one is expected to do better. `features` are those by which all this is known;
    None of an answer that can't be read.
    """

    passed: bool
    reason: str
    confidence: float
    gain: float = 0.0
    features: Features | None = None


def judgement(
    cascade: Cascade,
    request: Request,
    prompt: str,
    features: Features,
    answer: Json,
    trust: Trust,
    second: Json | None,
) -> Judgement:
    """Judge an answer. One that can't be read passes: then there is nothing to compare it with.

    A second opinion is asked for only where it can be compared; one that can't be all the same differs.
    """
    seen = judged(request, answer, prompt)
    if seen is None:
        return Judgement(True, "unreadable", 0.0)
    limits = Limits(cascade.least_mean_logprob, cascade.least_margin)
    failed = [verdict for verdict in judge(seen, cascade.gates, limits) if not verdict.passed]
    of_answer, agrees = answer_features(prompt, features, seen), True
    if second is not None:
        own, other = _value(seen, prompt), _value(judged(request, second, prompt), prompt)
        agrees = own is not None and own == other
        of_answer = of_answer.with_shape(opinion_shape(prompt, own, other, agrees))
    confidence = 0.0 - trust.weights.gain(of_answer)  # no -0 for the eye
    reason = ""
    if failed:
        reason = f"gate {failed[0].gate}: {failed[0].reason}"
    elif not agrees and not scored(cascade, trust):
        reason = "second opinion differs"
    elif cascade.max_error is not None:
        reason = _broken_promise(trust.promise, confidence)
    return Judgement(not reason, reason, confidence, trust.gain.gain(of_answer), of_answer)


def scored(cascade: Cascade, trust: Trust) -> bool:
    """Say whether the trained score decides how many answers of the large model there are."""
    return cascade.large_share is not None and len(trust.gain) > 0


def _value(answer: Judged | None, prompt: str) -> str | None:
    """Give what an answer comes to, in the one form that all its spellings share."""
    found = canonical(answer.text, expected(prompt)) if answer is not None else None
    return found.value if found is not None else None


def _broken_promise(promise: Kept | None, confidence: float) -> str:
    if promise is None:
        return "promise infeasible so far"
    return "below the promise's threshold" if confidence < promise.threshold else ""
