"""The forecaster's card: everything about it that is not a tensor, as one canonical JSON text."""

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from trading_assets.errors import DataError, shown
from trading_assets.forecast.class_rules import ClassRule
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.predictions import CandidateName
from trading_assets.forecast_specs import ForecastSpec, NetworkSizes

CODE_VERSION = "4"
# Far above any declared size: what a damaged card asks for is refused before it is built.
_MOST_BARS, _MOST_MEMBERS, _MOST_UNITS = 10_000, 1_000, 100_000
Interval = tuple[date, date]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class ArchitectureCard(_Written):
    """Sizes from which the network is rebuilt, whether or not it serves."""

    network: NetworkSizes
    window_bars: int = Field(ge=1, le=_MOST_BARS)
    members: int = Field(ge=1, le=_MOST_MEMBERS)
    dropout_passes: int = Field(ge=1, le=_MOST_MEMBERS)
    n_parameters: int = Field(ge=1)

    @model_validator(mode="after")
    def _sizes_can_be(self) -> Self:
        largest = max(*self.network.filters, self.network.dense_units)
        if largest > _MOST_UNITS:
            msg = f"a layer had {largest} units; expected at most {_MOST_UNITS}"
            raise ValueError(msg)
        return self


class CandidateCard(_Written):
    """How one candidate does on the judging rows, which have fitted nothing but its temperature.

    Log-losses in nats, intervals at 95 %; a correlation without variance is none.
    """

    log_loss: float
    uncalibrated_log_loss: float
    brier: float
    calibration_error: float
    accuracy: float = Field(ge=0, le=1)
    accuracy_interval: tuple[float, float]
    temperature: float = Field(gt=0)
    ic: float | None
    ic_t: float | None
    rank_ic: float | None
    rank_ic_t: float | None


class ComparisonCard(_Written):
    """Log-loss of the logistic model less that of the network, nats, with its 95 % interval.

    Of fewer than ten sessions, or than three horizons, interval and p are none.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    sessions: int


class MetricsCard(_Written):
    """Figures of every candidate on the judging rows, and of the rows themselves.

    `base_rate` is the accuracy of always naming the train rows' most frequent class;
    `both_touched_rows` are train rows whose barriers were touched within one bar.
    """

    candidates: dict[CandidateName, CandidateCard]
    network_over_logistic: ComparisonCard | None
    base_rate: float
    epoch_log_loss: tuple[tuple[float, ...], ...]
    train_rows: int
    stopping_rows: int
    judging_rows: int
    purged_rows: int
    both_touched_rows: int
    train_class_shares: tuple[float, float, float]
    judging_class_shares: tuple[float, float, float]


class InputsCard(_Written):
    """What was fitted between features and model inputs, but for the arrays.

    `dropped` were null in every train row, `masked` in some; `fractional_order` is that of the last
    name, if that is a fractional difference.
    """

    names: tuple[str, ...] = Field(min_length=1)
    dropped: tuple[str, ...]
    masked: tuple[str, ...]
    clip_quantile: float = Field(ge=0, lt=0.5)
    principal_components: int = Field(ge=0)
    fractional_order: float | None = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        strangers = sorted({*self.dropped, *self.masked} - {*self.names})
        both = sorted({*self.dropped} & {*self.masked})
        if strangers or both:
            msg = (
                f"dropped and masked held {', '.join(strangers or both)}; expected each of them"
                f" among names, and none twice"
            )
            raise ValueError(msg)
        known = len(self.names) - len(self.dropped)
        if self.principal_components > known:
            msg = (
                f"principal_components was {self.principal_components}; expected at most {known},"
                f" the names that are not dropped"
            )
            raise ValueError(msg)
        return self


class PartCard(_Written):
    """Stretches a model was trained on, (first session, last label end), inclusive."""

    trained: tuple[Interval, ...]


class ForecasterCard(_Written):
    """Card of a forecaster; the weights are in `weights.safetensors`."""

    kind: Literal["forecaster"] = "forecaster"
    code_version: str
    served: CandidateName
    reason: str
    architecture: ArchitectureCard
    feature_names: tuple[str, ...]
    features_sha256: str
    inputs: InputsCard
    horizon_bars: int = Field(ge=1, le=_MOST_BARS)
    class_rule: ClassRule
    train: Interval
    validation: Interval
    parts: dict[str, PartCard]
    seed: int = Field(ge=0, lt=2**63)
    declared: ForecastSpec
    metrics: MetricsCard
    conformal: ConformalState
    data_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    weights_sha256: str

    @model_validator(mode="after")
    def _served_is_known(self) -> Self:
        if self.served not in self.metrics.candidates:
            msg = f"served was {self.served}, of which metrics.candidates tells nothing"
            raise ValueError(msg)
        return self

    @property
    def temperature(self) -> float:
        """Temperature of the served model's probabilities."""
        return self.metrics.candidates[self.served].temperature

    def to_json(self) -> bytes:
        """Return the card with sorted keys, so that equal cards are equal bytes."""
        values = self.model_dump(mode="json")
        return (json.dumps(values, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def read_card(text: bytes) -> ForecasterCard:
    """Return the card, or refuse one that is damaged or of other features than it names.

    Raises
    ------
    DataError
        Naming the first field that is wrong.
    """
    try:
        card = ForecasterCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])[:80] or "card.json"
        told = shown(first["msg"])[1:-1]
        msg = f"forecaster card: {field} is wrong ({told}); train the forecaster again"
        raise DataError(msg) from error
    if card.features_sha256 != hash_names(card.feature_names):
        msg = (
            "forecaster card: features_sha256 does not fit feature_names; expected the hash of the"
            " names in order: train the forecaster again"
        )
        raise DataError(msg)
    declared = len(card.feature_names) + (card.inputs.fractional_order is not None)
    if (
        len(card.inputs.names) != declared
        or card.inputs.names[: len(card.feature_names)] != card.feature_names
    ):
        msg = (
            f"forecaster card: inputs.names were {len(card.inputs.names)}; expected the"
            f" {len(card.feature_names)} feature_names, and one more if there is a fractional"
            f" difference: train the forecaster again"
        )
        raise DataError(msg)
    if card.code_version != CODE_VERSION:
        msg = (
            f"forecaster card: code_version was {card.code_version}; expected {CODE_VERSION}: train"
            f" the forecaster again"
        )
        raise DataError(msg)
    return card


def hash_names(names: Sequence[str]) -> str:
    """Return the sha256 of feature names in order."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
