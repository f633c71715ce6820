"""What rewards need of covariances, book by book."""

from trading_assets.compiling import bare_entry_point
from trading_assets.simulation.compiled.environment import Array, Rows, spread_of
from trading_assets.simulation.compiled.layout import POSITION_WEIGHT


@bare_entry_point
def vary_positions(
    fills: Array, covariance: Array, rows: Rows, product: Array, variance: Array
) -> None:
    """Write the variance `x' Sigma x` of positions, float64 (K,).

    `covariance`, float64 (T or 1, N, N), is read at the rows of the decisions; `product`, float64
    (N,), is room to calculate in.
    """
    for k in range(len(variance)):
        row = rows[k] if len(covariance) > 1 else 0
        variance[k] = spread_of(fills, k, POSITION_WEIGHT, covariance, row, product)
