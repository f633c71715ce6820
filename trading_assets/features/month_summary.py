"""What is known of each feature of some months, a row each, as the UI shows it."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import feature_of, warm_up_bars
from trading_assets.features.compiled.scaling import CLIP

COLUMNS = {
    "feature": "name of the column",
    "group": "what kind of thing it says",
    "formula": "formula or source",
    "unit": "unit of the unscaled value",
    "lookback_bars": "bars, the row's own included, that decide the unscaled value",
    "warm_up_bars": "bars of a symbol from which the stored value is known",
    "missing_share": "share of the rows in which it is null",
    "drift": "mean of the stored values of a scaled feature: how many robust standard deviations"
    " these rows lie from their own last bars",
    "clipped_share": "share of the known rows of a scaled feature that stand at the clip",
}


def summarise_months(rows: pl.DataFrame, names: Sequence[str], spec: FeaturesSpec) -> pl.DataFrame:
    """Return a row a feature with the columns of `COLUMNS`.

    Parameters
    ----------
    rows : DataFrame
        Table features.
    names : sequence of str
        Features to describe.
    spec : FeaturesSpec
        Their declaration.

    Returns
    -------
    DataFrame
        Shares in 0..1; drift and clipped_share are null for features that are not scaled and for
        those without a value.
    """
    lines: list[tuple[object, ...]] = []
    for name in names:
        feature = feature_of(name, spec.module)
        known = rows[name].drop_nulls().cast(pl.Float64).to_numpy()
        is_measured = feature.is_scaled and len(known) > 0
        lines.append(
            (
                name,
                feature.group,
                feature.formula,
                feature.unit,
                feature.lookback_bars,
                warm_up_bars(name, spec),
                1.0 - len(known) / rows.height if rows.height else None,
                float(known.mean()) if is_measured else None,
                float((np.abs(known) >= CLIP).mean()) if is_measured else None,
            )
        )
    dtypes = [*[pl.String] * 4, *[pl.Int64] * 2, *[pl.Float64] * 3]
    return pl.DataFrame(lines, schema=dict(zip(COLUMNS, dtypes, strict=True)), orient="row")
