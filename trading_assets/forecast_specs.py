"""The declaration of a forecaster: labels, network, ensemble, calibration."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from trading_assets.declared import Declared

LabelKind = Literal["fixed_horizon", "triple_barrier"]
NetworkName = Literal["small", "compact", "production"]
TrainForecasts = Literal["auto", "cross_fitted", "expanding"]
# Each of the two convolutions looks at so many bars.
KERNEL_BARS = 3
# Bars that the two convolutions take from the window's start.
CONVOLVED_BARS = 2 * (KERNEL_BARS - 1)


class NetworkSizes(Declared):
    """Two causal convolutions, an LSTM, attention of the last bar and a dense layer."""

    filters: tuple[int, int] = Field(description="Channels of the two convolutions.")
    lstm_units: int = Field(ge=1, le=1024, description="Units of the LSTM and of the attention.")
    attention_heads: int = Field(ge=1, description="Heads of the attention; divides lstm_units.")
    dense_units: int = Field(ge=1, description="Units of the layer before the two heads.")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if min(self.filters) < 1:
            msg = f"filters were {list(self.filters)}; expected two numbers of at least 1"
            raise ValueError(msg)
        if self.lstm_units % self.attention_heads:
            msg = (
                f"lstm_units was {self.lstm_units} with attention_heads {self.attention_heads};"
                " expected a multiple of the heads"
            )
            raise ValueError(msg)
        return self


PRESETS: Mapping[NetworkName, NetworkSizes] = {
    "small": NetworkSizes(filters=(8, 16), lstm_units=16, attention_heads=4, dense_units=24),
    "compact": NetworkSizes(filters=(16, 32), lstm_units=32, attention_heads=8, dense_units=45),
    "production": NetworkSizes(
        filters=(32, 64), lstm_units=256, attention_heads=8, dense_units=128
    ),
}


def _form_of(network: Any) -> str:  # noqa: ANN401  what stands in a file may be anything
    return "sizes" if isinstance(network, dict | NetworkSizes) else "preset"


DeclaredNetwork = Annotated[
    Annotated[NetworkName, Tag("preset")] | Annotated[NetworkSizes, Tag("sizes")],
    Discriminator(_form_of),
]


class ForecastSpec(Declared):
    """The forecaster: labels, network, ensemble and their training."""

    labels: LabelKind = Field(
        default="fixed_horizon",
        description="Classes by the return at the horizon, or by the first barrier touched.",
    )
    horizon_bars: int = Field(default=5, ge=1, le=63, description="Bars a label looks ahead.")
    window_bars: int = Field(default=60, ge=8, le=252, description="Bars the network sees.")
    sample_weights: Literal["uniqueness", "equal"] = Field(
        default="uniqueness",
        description="Whether a row counts by how little its label's life overlaps with others.",
    )
    network: DeclaredNetwork = Field(
        default="compact", description="A preset, or sizes of its own."
    )
    members: int = Field(default=5, ge=1, le=32, description="Networks of the ensemble.")
    resampling: Literal["blocks", "none"] = Field(
        default="none",
        description="Whether each member of an ensemble learns from blocks drawn anew.",
    )
    dropout: float = Field(
        default=0.2, ge=0, lt=1, description="Share of the last layer left out in training."
    )
    dropout_passes: int = Field(
        default=20,
        ge=2,
        le=256,
        description="Passes with dropout that tell the error of an ensemble of one.",
    )
    epochs: int = Field(default=10, ge=1, description="Passes over the train window.")
    patience_epochs: int = Field(
        default=3, ge=1, description="Epochs without progress after which a member stops."
    )
    batch_size: int = Field(default=256, ge=8, description="Windows a gradient step.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam's step size.")
    weight_decay: float = Field(default=0.1, ge=0, description="Decoupled decay of weights.")
    input_decay: float = Field(
        default=10.0, ge=0, description="Decoupled decay of the first layer's weights."
    )
    cross_fit_parts: int = Field(
        default=3,
        ge=2,
        description="Parts of the train window, each predicted by a model of the others.",
    )
    train_forecasts: TrainForecasts = Field(
        default="auto",
        description=(
            "What the train window's rows are predicted by: models of the other parts, of earlier"
            " parts only, or the first unless it does better than later rows allow."
        ),
    )
    embargo_share: float = Field(
        default=0.01,
        ge=0,
        le=0.2,
        description="Share of sessions left out after a predicted block, if more than the horizon.",
    )
    interval_coverage: float = Field(
        default=0.9, gt=0.5, lt=1, description="Share of returns meant to lie in the intervals."
    )
    set_coverage: float = Field(
        default=0.6, gt=0.4, lt=1, description="Share of classes meant to lie in prediction sets."
    )
    adaptation_rate: float = Field(
        default=0.05, ge=0, le=0.5, description="Step by which coverage corrects itself."
    )
    clip_quantile: float = Field(
        default=0.001,
        ge=0,
        lt=0.5,
        description="Share of train rows below and above that inputs are clipped to; 0: no clip.",
    )
    principal_components: int = Field(
        default=0, ge=0, description="Components of the inputs the models see; 0: the inputs."
    )
    fractional_difference: bool = Field(
        default=False,
        description="Whether the fractional difference of log prices is one more input.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of weights and batches.")

    @model_validator(mode="after")
    def _error_can_be_told(self) -> Self:
        if self.members == 1 and self.dropout == 0.0:
            msg = (
                "members was 1 with dropout 0; expected members above 1 or dropout above 0, which"
                " the error of a forecast is told by"
            )
            raise ValueError(msg)
        return self

    @property
    def sizes(self) -> NetworkSizes:
        """Sizes of the network, those of the preset where one is named."""
        return self.network if isinstance(self.network, NetworkSizes) else PRESETS[self.network]
