"""A score joined to the decision that it is about, as the router learns from it."""

import msgspec

from penstock.feedback.decided import Decided
from penstock.routing.answer_features import answer_of
from penstock.routing.feedback import Served
from penstock.routing.outcomes import Learned
from penstock.routing.outcomes import Outcome as Lesson

_NEITHER = 0.5


def lesson(decided: Decided, score: float, weight: float, *, first: bool = False) -> Lesson | None:
    """Give what a score teaches; None where no router had a choice.

    `score` is from 0 to 1; with less `weight` (above 0, at most 1) it says less and lies nearer to the
    middle. Where a large model was asked after a small one, the client saw the large one's answer; `first`
    says that the score is about the small one's all the same. Only what has its full weight says whether the
    small answer was right: promises rest on that.
    """
    try:
        learned = msgspec.msgpack.decode(decided.learned, type=Learned)
        served = Served(learned.served)
    except (msgspec.MsgspecError, ValueError):
        return None
    small = served is Served.SMALL and (first or not decided.escalated)
    told = _NEITHER + weight * (score - _NEITHER)
    about = learned if small else msgspec.structs.replace(learned, served=Served.LARGE.value)
    return Lesson(
        decided.tenant,
        decided.alias,
        about.packed(),
        small=told if small else None,
        large=None if small else told,
        answer_features=answer_of(learned) if small else b"",
        small_right=score > _NEITHER if small and weight >= 1 and score != _NEITHER else None,
    )
