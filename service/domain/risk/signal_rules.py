"""What a signal must be to become an order."""

from service.domain.decimals import decimal_text
from service.domain.risk.drafts import Draft, Judged, passes, refuses
from service.domain.risk.facts import Limits, Situation
from service.domain.signals import Proposal


def signal_age(draft: Draft, _p: Proposal, now: Situation, limits: Limits) -> Judged:
    limit, actual = str(limits.signal_max_age_s), f"{now.signal_age_s:.3f}"
    if now.signal_age_s > limits.signal_max_age_s:
        sentence = f"the signal is older than {limits.signal_max_age_s} s"
        return refuses(draft, sentence, limit=limit, actual=actual)
    return passes(draft, "the signal is fresh", limit=limit, actual=actual)


def confidence(draft: Draft, proposal: Proposal, _n: Situation, limits: Limits) -> Judged:
    limit, actual = decimal_text(limits.min_confidence), decimal_text(proposal.confidence)
    if proposal.confidence < limits.min_confidence:
        sentence = f"confidence {proposal.confidence} is below {limits.min_confidence}"
        return refuses(draft, sentence, limit=limit, actual=actual)
    return passes(draft, f"confidence {proposal.confidence}", limit=limit, actual=actual)
