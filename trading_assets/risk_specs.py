"""The declaration of limits: on weights, on orders and on how a paper account goes on."""

from typing import Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared, SectorName, Symbol
from trading_assets.sizing_specs import DrawdownLadderSpec

# Alpaca answers 200 requests a minute and account; one more is refused.
MOST_MESSAGES_PER_MINUTE = 199
# Declared of a paper account alone: no weight, and so no training and no backtest, depends on it.
PAPER_LIMITS = ("orders", "breakers", "drawdown_ladder")


class OrderLimitsSpec(Declared):
    """Limits that each order of a paper account is held against before it is sent."""

    max_order_quantity_shares: float | None = Field(
        default=None, gt=0, description="Largest quantity of one order, if limited."
    )
    max_order_volume_pct: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Largest order, percent of the average daily volume known, if limited.",
    )
    price_collar_pct: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Largest distance of a limit from its reference price, percent, if limited.",
    )
    session_drift_collar_pct: float | None = Field(
        default=None,
        gt=0,
        lt=100,
        description="Largest distance of a reference price from the session's first, percent.",
    )
    max_position_notional_usd: float | None = Field(
        default=None, gt=0, description="Largest absolute position in one symbol, if limited."
    )
    max_sector_notional_usd: float | None = Field(
        default=None, gt=0, description="Largest sum of absolute positions in a sector, if limited."
    )
    max_gross_notional_usd: float | None = Field(
        default=None, gt=0, description="Largest sum of absolute positions, if limited."
    )
    max_net_notional_usd: float | None = Field(
        default=None, gt=0, description="Largest absolute sum of positions, if limited."
    )
    max_leverage: float | None = Field(
        default=None, gt=0, description="Largest sum of absolute positions by equity, if limited."
    )
    max_open_orders: int | None = Field(
        default=None, ge=1, description="Orders open at once, unknown ones included, if limited."
    )
    max_orders_per_session: int | None = Field(
        default=None, ge=1, description="Orders sent in one session, if limited."
    )
    restricted_symbols: tuple[Symbol, ...] = Field(
        default=(), description="Symbols in which nothing is ordered, not even to close."
    )
    max_messages_per_minute: int = Field(
        default=180,
        ge=1,
        le=MOST_MESSAGES_PER_MINUTE,
        description="Requests sent to the broker in any sixty seconds.",
    )
    cancel_reserve_messages: int = Field(
        default=20, ge=0, description="Requests of these that are kept for cancelling orders."
    )

    @model_validator(mode="after")
    def _positions_fit_the_gross(self) -> Self:
        gross = self.max_gross_notional_usd
        for name in _WITHIN_GROSS:
            own: float | None = getattr(self, name)
            if own is not None and gross is not None and own > gross:
                msg = (
                    f"{name} was {own:g}; expected at most max_gross_notional_usd {gross:g}, which"
                    " limits it too"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _reserve_leaves_messages(self) -> Self:
        if self.cancel_reserve_messages >= self.max_messages_per_minute:
            msg = (
                f"cancel_reserve_messages was {self.cancel_reserve_messages}; expected fewer than"
                f" max_messages_per_minute {self.max_messages_per_minute}, as nothing else could"
                " be sent"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _restricted_symbols_differ(self) -> Self:
        if len({*self.restricted_symbols}) < len(self.restricted_symbols):
            msg = (
                f"restricted_symbols were {', '.join(self.restricted_symbols)}; expected each once"
            )
            raise ValueError(msg)
        return self


class BreakersSpec(Declared):
    """What stops a paper account until a named person re-arms it."""

    max_daily_loss_pct: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Loss since the session's first equity that trips, percent, if limited.",
    )
    max_equity_jump_pct: float | None = Field(
        default=None,
        gt=0,
        description="Change of equity between two observations that trips, percent, if limited.",
    )
    max_order_reject_rate_pct: float | None = Field(
        default=None, gt=0, lt=100, description="Share of rejected orders that trips, percent."
    )
    max_error_rate_pct: float | None = Field(
        default=None, gt=0, lt=100, description="Share of failed requests that trips, percent."
    )
    min_rated_count: int = Field(
        default=20, ge=1, description="Orders or requests below which their rate is not judged."
    )
    max_model_age_sessions: int | None = Field(
        default=None, ge=1, description="Sessions since a model's last bar that trip, if limited."
    )
    max_feed_age_seconds: float | None = Field(
        default=None, gt=0, description="Seconds since the newest data that trip, if limited."
    )
    max_repeated_executions: int | None = Field(
        default=None,
        ge=1,
        description="Decisions a strategy may execute before a person re-arms it, if limited.",
    )


_WITHIN_GROSS = ("max_position_notional_usd", "max_sector_notional_usd", "max_net_notional_usd")


class RiskSpec(Declared):
    """Limits applied to weights before anything is traded, in training, backtest and paper."""

    max_weight: float = Field(
        default=0.35, gt=0, description="Largest absolute weight of one symbol."
    )
    max_gross: float = Field(default=0.98, gt=0, description="Largest sum of absolute weights.")
    min_net: float | None = Field(default=None, description="Least sum of weights, if limited.")
    max_net: float | None = Field(default=None, description="Largest sum of weights, if limited.")
    max_sector_gross: float | None = Field(
        default=None, gt=0, description="Largest sum of absolute weights in a sector, if limited."
    )
    max_turnover: float | None = Field(
        default=None,
        gt=0,
        description="Largest sum of changes of weight a decision, if limited; the others go first.",
    )
    sectors: dict[Symbol, SectorName] = Field(
        default_factory=dict,
        description="Sector of each symbol; one that is left out is a sector of its own.",
    )
    max_order_notional_usd: float = Field(
        default=500_000.0, gt=0, description="Largest notional of one order."
    )
    max_data_age_sessions: int = Field(
        default=1, ge=1, description="Sessions after which the newest bar is too old to trade on."
    )
    orders: OrderLimitsSpec = Field(default_factory=OrderLimitsSpec)
    breakers: BreakersSpec = Field(default_factory=BreakersSpec)
    drawdown_ladder: DrawdownLadderSpec | None = Field(
        default=None, description="What a drawdown of the paper account takes, if anything."
    )

    @model_validator(mode="after")
    def _limits_leave_room(self) -> Self:
        for name, net in (("min_net", self.min_net), ("max_net", self.max_net)):
            if net is not None and abs(net) > self.max_gross:
                msg = (
                    f"{name} was {net:g}; expected one from {-self.max_gross:g} to"
                    f" {self.max_gross:g}, since max_gross limits net weights too"
                )
                raise ValueError(msg)
        if self.min_net is not None and self.max_net is not None and self.min_net > self.max_net:
            msg = f"min_net {self.min_net:g} is above max_net {self.max_net:g}; expected it below"
            raise ValueError(msg)
        for name, limit in (
            ("max_sector_gross", self.max_sector_gross),
            ("orders.max_sector_notional_usd", self.orders.max_sector_notional_usd),
        ):
            if limit is not None and not self.sectors:
                msg = (
                    f"{name} was {limit:g} without sectors; expected `sectors` with the sector of"
                    " each symbol"
                )
                raise ValueError(msg)
        return self
