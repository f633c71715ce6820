"""Long-only weights of a covariance without a solver: what optimisers are checked by.

They take the place of an optimiser whose search fails. Each takes a positive definite covariance
float64 (N, N) and returns weights float64 (N,), not negative, with sum 1.
"""

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError

Floats = NDArray[np.float64]


def inverse_volatility(covariance: Floats) -> Floats:
    """Return `1 / sigma` over their sum."""
    _require_covariance(covariance)
    weights = 1.0 / np.sqrt(np.diag(covariance))
    return weights / weights.sum()


def minimum_variance(covariance: Floats) -> Floats:
    """Return the weights of least variance.

    Least `x' S x - 2 1' x` over x not negative is a least-squares problem in the root of S, and its
    solution over its sum the portfolio.
    """
    from scipy.optimize import nnls

    _require_covariance(covariance)
    # Scaled to a mean variance of 1, so that small numbers lose no digits.
    root = np.linalg.cholesky(covariance / np.diag(covariance).mean())
    found, _ = nnls(root.T, np.linalg.solve(root, np.ones(len(covariance))))
    return np.asarray(found / found.sum(), dtype=np.float64)


def hierarchical_risk_parity(covariance: Floats) -> Floats:
    """Return weights that halve variance down the tree of correlations.

    Distance `sqrt((1 - rho) / 2)`, Ward's linkage with leaves in optimal order, halves of the
    leaves weighed by one over the variances of their inverse-variance portfolios. Source: Lopez de
    Prado, Building Diversified Portfolios that Outperform Out of Sample, Journal of Portfolio
    Management 42 (2016).
    """
    _require_covariance(covariance)
    weights = np.ones(len(covariance))
    clusters = [_ordered_leaves(covariance)]
    while clusters:
        halves = [_halved(cluster) for cluster in clusters if len(cluster) > 1]
        for left, right in halves:
            of_left, of_right = (_cluster_variance(covariance, half) for half in (left, right))
            weights[left] *= of_right / (of_left + of_right)
            weights[right] *= of_left / (of_left + of_right)
        clusters = [half for pair in halves for half in pair]
    return weights


def _halved(cluster: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    middle = len(cluster) // 2
    return cluster[:middle], cluster[middle:]


def _ordered_leaves(covariance: Floats) -> NDArray[np.intp]:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(covariance) == 1:
        return np.zeros(1, np.intp)
    deviation = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    distance = squareform(np.sqrt(0.5 * (1.0 - correlation)), checks=False)
    return leaves_list(linkage(distance, method="ward", optimal_ordering=True)).astype(np.intp)


def _cluster_variance(covariance: Floats, members: NDArray[np.intp]) -> float:
    own = covariance[np.ix_(members, members)]
    weights = 1.0 / np.diag(own)
    weights /= weights.sum()
    return float(weights @ own @ weights)


def _require_covariance(covariance: Floats) -> None:
    is_square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1] > 0
    if not is_square or not np.isfinite(covariance).all():
        msg = f"covariance had the shape {covariance.shape}; expected finite numbers, N by N"
        raise DataError(msg)
    if not np.allclose(covariance, covariance.T, rtol=1e-9, atol=0.0):
        msg = "covariance was not symmetric; expected that of rows to be that of columns"
        raise DataError(msg)
    least = float(np.linalg.eigvalsh(covariance)[0])
    if least <= 0.0:
        msg = (
            f"covariance had the eigenvalue {least:.3g}; expected all above 0: shrink it, or leave"
            " out symbols that are the same"
        )
        raise DataError(msg)
