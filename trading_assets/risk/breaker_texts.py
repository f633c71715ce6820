"""The state of circuit breakers as texts, for whatever stores it, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation

from trading_assets.errors import DataError, UserError, shown
from trading_assets.risk.breakers import BreakerState, Counts, Trip
from trading_assets.risk.rearming import Rearm

FORM = "1"
_TRIP_FIELDS = ("at", "limit", "observed", "sentence")


def breaker_texts(state: BreakerState) -> dict[str, str]:
    """Return a state as texts; `read_breakers` gives the same state back."""
    # Whether one has tripped is said twice: a part that is lost must not let orders out.
    texts = {"form": FORM, "tripped": " ".join(state.trips)}
    texts["equity_usd"] = "" if state.equity_usd is None else str(state.equity_usd)
    for group, counts in (("counts", state.counts), ("counted_from", state.counted_from)):
        texts |= {f"{group}.{name}": str(count) for name, count in asdict(counts).items()}
    if state.rearmed is not None:
        own = state.rearmed
        texts |= {"rearmed.by": own.by, "rearmed.reason": own.reason}
        texts["rearmed.at"] = own.at.isoformat()
    for breaker, trip in state.trips.items():
        values = (trip.at.isoformat(), trip.limit, trip.observed, trip.sentence)
        named = zip(_TRIP_FIELDS, values, strict=True)
        texts |= {f"trips.{breaker}.{name}": value for name, value in named}
    return texts


def read_breakers(texts: Mapping[str, str]) -> BreakerState:
    """Return the state that texts hold.

    Raises
    ------
    DataError
        If a text is missing, unknown or damaged: nothing may be sent on a state nobody can read.
    """
    try:
        state = _read(texts)
    except (KeyError, ValueError, InvalidOperation, UserError) as error:
        msg = f"state of the circuit breakers was {shown(dict(texts))}; expected what was stored"
        raise DataError(msg) from error
    # Whatever is unknown, or written in another way, is not there again.
    if breaker_texts(state) != dict(texts):
        msg = (
            f"state of the circuit breakers was {shown(dict(texts))}; expected form {FORM} and no"
            " further texts"
        )
        raise DataError(msg)
    return state


def _read(texts: Mapping[str, str]) -> BreakerState:
    trips = {
        name: Trip(
            datetime.fromisoformat(texts[f"trips.{name}.at"]),
            *(texts[f"trips.{name}.{part}"] for part in _TRIP_FIELDS[1:]),
        )
        for name in texts["tripped"].split()
    }
    equity = Decimal(texts["equity_usd"]) if texts["equity_usd"] else None
    rearmed = None
    if "rearmed.by" in texts:
        at = datetime.fromisoformat(texts["rearmed.at"])
        rearmed = Rearm.of(texts["rearmed.by"], texts["rearmed.reason"], at)
    return BreakerState(
        trips, equity, _counts(texts, "counts"), _counts(texts, "counted_from"), rearmed
    )


def _counts(texts: Mapping[str, str], group: str) -> Counts:
    return Counts(**{field.name: int(texts[f"{group}.{field.name}"]) for field in fields(Counts)})
