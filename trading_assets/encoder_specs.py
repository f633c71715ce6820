"""The declarations of encoders: what turns windows of bars into a few numbers for each symbol."""

from typing import Annotated, Literal

from pydantic import Field

from trading_assets.declared import Declared


class CnnEncoderSpec(Declared):
    """Two convolutions along each symbol's window, of the same weights for all symbols."""

    kind: Literal["cnn"]
    channels: int = Field(default=16, ge=1, description="Channels of each convolution.")
    kernel_bars: int = Field(
        default=5, ge=2, description="Bars that a convolution looks at; it moves by two."
    )
    outputs: int = Field(default=8, ge=1, description="Numbers that are left of a window.")

    @property
    def least_window_bars(self) -> int:
        """Shortest window that both convolutions fit into."""
        return 3 * self.kernel_bars - 2


class LstmEncoderSpec(Declared):
    """A recurrent network along each symbol's window, of the same weights for all symbols."""

    kind: Literal["lstm"]
    hidden_units: int = Field(default=16, ge=1, description="Numbers that are left of a window.")

    @property
    def least_window_bars(self) -> int:
        """Shortest window that there is something to remember of."""
        return 2


class GraphEncoderSpec(Declared):
    """Two layers in which each symbol sees those that it is bound to, of the same weights for all.

    A symbol sees the mean of what its neighbours say, weighed by the graph.
    """

    kind: Literal["graph"]
    units: int = Field(default=8, ge=1, description="Numbers of a symbol in and after each layer.")
    edges: Literal["correlation", "sector"] = Field(
        default="correlation",
        description="What binds symbols: positive correlation in the train window, or one sector.",
    )
    attention: bool = Field(
        default=False, description="Whether a symbol's weights of its neighbours are learnt too."
    )

    @property
    def least_window_bars(self) -> int:
        """A single bar will do, as symbols are looked at side by side."""
        return 1


EncoderSpec = Annotated[
    CnnEncoderSpec | LstmEncoderSpec | GraphEncoderSpec, Field(discriminator="kind")
]
