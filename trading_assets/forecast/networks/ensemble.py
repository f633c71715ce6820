"""What members of an ensemble say, put together: one prediction with its noise and its error."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.predictions import Predictions

Array = NDArray[np.float64]
Floats = NDArray[np.floating]


class MemberOutputs(NamedTuple):
    """Logits (M, n, 3), means (M, n) and log variances (M, n) of M members or dropout passes."""

    logits: Floats
    mean: Floats
    log_variance: Floats


def combine_members(outputs: MemberOutputs) -> Predictions:
    """Return the mixture of the members' predictions.

    The mixture's variance is `mean(sigma_i^2) + var(mu_i)`, what members expect and how far they
    are apart; the entropy of its classes is the mean of the members' entropies and the mutual
    information between member and class.

    Sources: Lakshminarayanan et al., Simple and Scalable Predictive Uncertainty Estimation, NeurIPS
    2017; Gal and Ghahramani, Dropout as a Bayesian Approximation, ICML 2016.
    """
    logits = outputs.logits.astype(np.float64)
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    each = shifted / shifted.sum(axis=-1, keepdims=True)
    probabilities = each.mean(axis=0)
    mean = outputs.mean.astype(np.float64)
    variance = np.exp(outputs.log_variance.astype(np.float64)).mean(axis=0)
    n_members = len(mean)
    error = mean.std(axis=0, ddof=1) if n_members > 1 else np.zeros(mean.shape[1])
    information = _entropy(probabilities) - _entropy(each).mean(axis=0)
    return Predictions(
        probabilities=probabilities,
        mean=mean.mean(axis=0),
        noise=np.sqrt(variance),
        error=error,
        mutual_information=np.maximum(information, 0.0),
    )


def join_members(parts: Iterable[MemberOutputs]) -> MemberOutputs:
    """Return outputs of rows that were computed in parts, one after the other."""
    columns = zip(*parts, strict=True)
    return MemberOutputs(*(np.concatenate(column, axis=1) for column in columns))


def _entropy(probabilities: Array) -> Array:
    return -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=-1)
