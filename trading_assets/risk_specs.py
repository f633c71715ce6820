"""The declaration of limits: on weights, on orders and on how a paper account goes on."""

from typing import Self

from pydantic import Field, model_validator

from trading_assets.declared import Declared, SectorName, Symbol


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
        if self.max_sector_gross is not None and not self.sectors:
            msg = (
                f"max_sector_gross was {self.max_sector_gross:g} without sectors; expected"
                " `sectors` with the sector of each symbol"
            )
            raise ValueError(msg)
        return self
