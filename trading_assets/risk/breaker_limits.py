"""The limits of circuit breakers, as a strategy declares them."""

from dataclasses import dataclass, fields
from decimal import Decimal

from trading_assets.risk_specs import BreakersSpec


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """Where breakers trip; None where there is none. Attributes are those of `BreakersSpec`.

    `max_repeated_executions` is no breaker's but the throttle's.
    """

    max_daily_loss_pct: Decimal | None = None
    max_equity_jump_pct: Decimal | None = None
    max_order_reject_rate_pct: Decimal | None = None
    max_error_rate_pct: Decimal | None = None
    min_rated_count: int = 20
    max_model_age_sessions: Decimal | None = None
    max_feed_age_seconds: Decimal | None = None

    @classmethod
    def from_declared(cls, spec: BreakersSpec) -> "BreakerLimits":
        """Return the limits that a strategy declares, as the Decimals they are written as."""
        declared = {field.name: getattr(spec, field.name) for field in fields(cls)}
        numbers = {
            name: None if value is None else Decimal(repr(value))
            for name, value in declared.items()
            if name != "min_rated_count"
        }
        return cls(min_rated_count=spec.min_rated_count, **numbers)
