"""What adaptive conformal inference remembers from session to session, as plain data."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trading_assets.errors import DataError
from trading_assets.forecast_specs import ForecastSpec

Score = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class CoverageRule(_Kept):
    """What is promised, and how fast the promise is mended.

    Attributes
    ----------
    horizon_bars : int
        Bars that a label looks ahead.
    interval_coverage, set_coverage : float
        Share of returns meant to lie in intervals, and of classes in prediction sets.
    adaptation_rate : float
        Step by which levels move.
    """

    horizon_bars: int = Field(ge=1, le=10_000)
    interval_coverage: float = Field(gt=0, lt=1)
    set_coverage: float = Field(gt=0, lt=1)
    adaptation_rate: float = Field(ge=0)

    @classmethod
    def of(cls, spec: ForecastSpec) -> Self:
        """Return the rule that a forecaster declares."""
        return cls(**{name: getattr(spec, name) for name in cls.model_fields})


class WaitingForecast(_Kept):
    """A forecast whose outcome is not known yet: scaled return, and classes down, flat, up."""

    symbol: str
    mean: float
    deviation: float = Field(gt=0)
    probabilities: tuple[Probability, Probability, Probability]


class IssuedSession(_Kept):
    """What a session's forecasts were issued with, and those that wait for their outcome.

    `rows` counts all of its forecasts.
    """

    session: date
    quantile: float = Field(ge=0)
    threshold: float = Field(ge=0, le=1)
    rows: int = Field(ge=0)
    waiting: tuple[WaitingForecast, ...]

    def rename(self, current: Mapping[str, str]) -> Self:
        """Return the session with forecasts that wait under other symbols."""
        waiting = [
            forecast.model_copy(update={"symbol": current.get(forecast.symbol, forecast.symbol)})
            for forecast in self.waiting
        ]
        ordered = tuple(sorted(waiting, key=lambda forecast: forecast.symbol))
        return self.model_copy(update={"waiting": ordered})

    @model_validator(mode="after")
    def _waiting_fit(self) -> Self:
        symbols = [forecast.symbol for forecast in self.waiting]
        if symbols != sorted(set(symbols)):
            msg = f"waiting of {self.session} were not symbols in order, each once"
            raise ValueError(msg)
        if len(symbols) > self.rows:
            msg = f"{len(symbols)} forecasts of {self.session} wait; expected at most {self.rows}"
            raise ValueError(msg)
        return self


class ConformalState(_Kept):
    """Levels, scores and waiting forecasts after the close of a session.

    Attributes
    ----------
    rule : CoverageRule
        What is promised.
    session : date
        Session whose close the state is of.
    interval_alpha, set_alpha : float
        Levels of intervals and of prediction sets; may lie outside [0, 1].
    interval_scores, set_scores : tuple of float
        Newest scores of all symbols together, oldest first, both of the same forecasts.
    issued : tuple of IssuedSession
        The last sessions, oldest first.
    """

    kind: Literal["conformal_state"] = "conformal_state"
    rule: CoverageRule
    session: date
    interval_alpha: float
    set_alpha: float
    interval_scores: tuple[Score, ...] = Field(min_length=1)
    set_scores: tuple[Probability, ...] = Field(min_length=1)
    issued: tuple[IssuedSession, ...]

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if len(self.interval_scores) != len(self.set_scores):
            msg = (
                f"{len(self.interval_scores)} interval_scores and {len(self.set_scores)} set_scores"
                " were kept; expected as many of each"
            )
            raise ValueError(msg)
        sessions = [issued.session for issued in self.issued]
        if sessions != sorted(set(sessions)) or (sessions and sessions[-1] > self.session):
            msg = f"issued sessions were not in order up to {self.session}, each once"
            raise ValueError(msg)
        return self

    def rename(self, current: Mapping[str, str]) -> Self:
        """Return the state with forecasts that wait under other symbols, from old to new."""
        issued = tuple(each.rename(current) for each in self.issued)
        return self.model_copy(update={"issued": issued})

    def to_json(self) -> bytes:
        """Return the state as JSON with sorted keys; equal states are equal bytes."""
        values = self.model_dump(mode="json")
        return (json.dumps(values, sort_keys=True, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Return the state of `to_json`, every float as it was.

        Raises
        ------
        DataError
            Naming the first field that is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole"
            msg = (
                f"conformal state: {field} is wrong ({first['msg']}); expected a state as it was"
                " written: forecast again"
            )
            raise DataError(msg) from error
