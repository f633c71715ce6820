"""What a member's reason for leaving says about the return after its last bar."""

from typing import Literal

Cause = Literal["performance", "fair_value", "still_listed"]

# Mean return after a performance-related delisting from NYSE and AMEX. Source: Shumway, The
# Delisting Bias in CRSP Data, J. Finance 52 (1997).
PERFORMANCE_DELISTING_RETURN = -0.30

# Read in this order: a merger out of bankruptcy is a bankruptcy.
_WORDS: tuple[tuple[Cause, tuple[str, ...]], ...] = (
    (
        "performance",
        (
            "bankrupt",
            "liquidat",
            "insolv",
            "chapter 7",
            "chapter 11",
            "administration",
            "receivership",
            "default",
            "fraud",
            "delinquent",
            "noncompliance",
            "non-compliance",
            "price below",
            "minimum price",
            "minimum bid",
            "insufficient",
            "failure",
            "failed",
            "performance",
        ),
    ),
    (
        "fair_value",
        (
            "merge",
            "acqui",
            "takeover",
            "taken over",
            "buyout",
            "bought",
            "voluntar",
            "private",
            "privati",
            "tender",
            "conversion",
            "converted",
            "expired",
            "matured",
        ),
    ),
    (
        "still_listed",
        (
            "index",
            "reconstitution",
            "universe",
            "selection",
            "moved",
            "transfer",
            "renam",
            "ticker change",
        ),
    ),
)


def delisting_cause(reason: str) -> Cause | None:
    """Return what `reason` says, by its words; None where no word is known.

    `performance`: the company failed. `fair_value`: holders were paid the last price, as in a
    merger or a voluntary delisting. `still_listed`: it left the universe and trades on.
    """
    text = reason.lower()
    return next((cause for cause, words in _WORDS if any(w in text for w in words)), None)
