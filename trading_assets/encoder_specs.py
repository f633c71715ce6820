"""The declarations of encoders: what turns a window of bars into a few numbers for each symbol."""

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


EncoderSpec = Annotated[CnnEncoderSpec | LstmEncoderSpec, Field(discriminator="kind")]
