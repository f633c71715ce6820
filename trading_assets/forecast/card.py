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
    JsonValue,
    ValidationError,
    model_validator,
)

from trading_assets.errors import DataError
from trading_assets.forecast.class_rules import ClassRule

CODE_VERSION = "3"
ServedModel = Literal["network", "logistic"]
Interval = tuple[date, date]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ArchitectureCard(_Written):
    """Sizes from which the network is rebuilt."""

    hidden_units: int = Field(ge=1)
    kernel_bars: int = Field(ge=1)
    attention_heads: int = Field(ge=1)
    window_bars: int = Field(ge=1)
    n_parameters: int = Field(ge=1)


class ModelMetrics(_Written):
    """How one model does on the judging rows."""

    log_loss: float
    uncalibrated_log_loss: float
    accuracy: float = Field(ge=0, le=1)
    accuracy_interval: tuple[float, float]
    temperature: float = Field(gt=0)


class MetricsCard(_Written):
    """Validation figures of every candidate; log-loss in nats, intervals at 95 %."""

    network: ModelMetrics
    logistic: ModelMetrics
    prior_log_loss: float
    epoch_log_loss: tuple[float, ...]
    train_rows: int
    validation_rows: int
    purged_rows: int
    train_class_shares: tuple[float, float, float]
    validation_class_shares: tuple[float, float, float]


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
    served: ServedModel
    architecture: ArchitectureCard
    feature_names: tuple[str, ...]
    features_sha256: str
    inputs: InputsCard
    horizon_bars: int = Field(ge=1)
    class_rule: ClassRule
    train: Interval
    validation: Interval
    parts: dict[str, PartCard]
    seed: int
    declared: dict[str, JsonValue]
    metrics: MetricsCard
    data_sha256: str
    weights_sha256: str

    @property
    def temperature(self) -> float:
        """Temperature of the served model's logits."""
        is_network = self.served == "network"
        return (self.metrics.network if is_network else self.metrics.logistic).temperature

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
        field = ".".join(str(part) for part in first["loc"]) or "card.json"
        msg = f"forecaster card: {field} is wrong ({first['msg']}); train the forecaster again"
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
