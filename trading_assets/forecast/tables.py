"""What a forecaster learns from and predicts with."""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class ForecastTables:
    """Tables of a window and nothing later.

    Attributes
    ----------
    features : DataFrame
        Table `features`.
    bars, actions : DataFrame
        Tables `validated_bars` and `corporate_actions` of the same sessions; labels come from them.
    """

    features: pl.DataFrame
    bars: pl.DataFrame
    actions: pl.DataFrame
