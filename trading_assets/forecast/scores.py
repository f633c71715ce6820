"""How good class probabilities are: proper scores, calibration, and accuracy where one is sure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Classes = NDArray[np.int64]
Mask = NDArray[np.bool_]

# What a probability of 0 counts as, so that one sure mistake does not make a loss infinite.
LEAST_PROBABILITY = 1e-12
CALIBRATION_BINS = 15


def row_log_losses(probabilities: Array, classes: Classes) -> Array:
    """Return each row's negative log probability of its class, float64 (n,), nats.

    Parameters
    ----------
    probabilities : float64 (n, 3)
        Of the classes down, flat and up.
    classes : int64 (n,)
        What came true.
    """
    chosen = probabilities[np.arange(len(classes)), classes]
    return -np.log(np.maximum(chosen, LEAST_PROBABILITY))


def log_loss(probabilities: Array, classes: Classes) -> float:
    """Return the mean negative log probability of the classes (n,), nats."""
    return float(row_log_losses(probabilities, classes).mean())


def brier(probabilities: Array, classes: Classes) -> float:
    """Return the mean over rows of the sum over classes of (p - [class came true])^2, in [0, 2].

    Source: Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather
    Review 78 (1950).
    """
    came_true = np.eye(probabilities.shape[1])[classes]
    return float(((probabilities - came_true) ** 2).sum(axis=1).mean())


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often the most probable class came true, by how probable it was said to be.

    Attributes
    ----------
    confidence : float64 (b,)
        Mean probability of the most probable class of each bin, rising.
    accuracy : float64 (b,)
        Share of the bin's rows in which it came true.
    count : int64 (b,)
        Rows of each bin.
    """

    confidence: Array
    accuracy: Array
    count: Classes


def reliability_table(
    probabilities: Array, classes: Classes, bins: int = CALIBRATION_BINS
) -> Reliability:
    """Return confidence and accuracy in bins of equal mass.

    Rows are cut by their rank, so bins differ by at most one row, unless confidences are equal:
    such rows share the bin of their middle one, since nothing tells them apart but their order. Of
    classes that are equally probable the first counts.

    Parameters
    ----------
    probabilities : float64 (n, 3)
        Of the classes.
    classes : int64 (n,)
        What came true.
    bins : int
        At most; fewer where there are fewer rows or confidences.
    """
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == classes
    _, value, tied = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(tied) - (tied + 1) // 2
    n_bins = max(1, min(bins, len(confidence)))
    sizes = [len(part) for part in np.array_split(confidence, n_bins)]
    of_rank = np.repeat(np.arange(n_bins), sizes)
    _, place, count = np.unique(of_rank[middle][value], return_inverse=True, return_counts=True)
    return Reliability(
        np.bincount(place, weights=confidence) / count,
        np.bincount(place, weights=is_right) / count,
        count.astype(np.int64),
    )


def expected_calibration_error(
    probabilities: Array, classes: Classes, bins: int = CALIBRATION_BINS
) -> float:
    """Return the mean distance of accuracy from confidence, over 15 bins of equal mass.

    `sum_b n_b / n |accuracy_b - confidence_b|`. Of honest probabilities it is above 0 all the same,
    some `0.8 sqrt(p (1 - p) bins / n)`. Sources: Naeini, Cooper and Hauskrecht, Obtaining Well
    Calibrated Probabilities Using Bayesian Binning, AAAI 2015; bins of equal mass after Nguyen and
    O'Connor, Posterior Calibration and Exploratory Analysis for Natural Language Processing Models,
    EMNLP 2015.
    """
    table = reliability_table(probabilities, classes, bins)
    distance = np.abs(table.accuracy - table.confidence)
    return float((table.count * distance).sum() / table.count.sum())


def confusion_matrix(probabilities: Array, classes: Classes) -> Classes:
    """Return rows by class that came true (rows) and most probable class (columns), int64 (3, 3).

    Of classes that are equally probable the first counts.
    """
    size = probabilities.shape[1]
    cells = classes * size + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=size * size).reshape(size, size).astype(np.int64)


@dataclass(frozen=True, slots=True)
class AccuracyCurve:
    """Accuracy of the rows that are kept when one abstains from the least sure.

    Attributes
    ----------
    coverage : float64 (k,)
        Share of rows kept, rising to 1.
    accuracy : float64 (k,)
        Share of these in which the most probable class came true.
    """

    coverage: Array
    accuracy: Array


def accuracy_coverage_curve(
    probabilities: Array, classes: Classes, confidence: Array | None = None
) -> AccuracyCurve:
    """Return the accuracy of the most confident rows, by the share that is kept.

    Rows of equal confidence are kept or left together, so there is one point for each value. Also
    known as the risk-coverage curve: El-Yaniv and Wiener, On the Foundations of Noise-Free
    Selective Classification, JMLR 11 (2010).

    Parameters
    ----------
    probabilities : float64 (n, 3)
        Of the classes.
    classes : int64 (n,)
        What came true.
    confidence : float64 (n,), optional
        What rows are kept by, largest first; by default the probability of the most probable class.
    """
    by = probabilities.max(axis=1) if confidence is None else confidence
    is_right = probabilities.argmax(axis=1) == classes
    order = np.argsort(-by, kind="stable")
    ordered = by[order]
    is_last: Mask = np.append(ordered[1:] != ordered[:-1], np.True_)
    kept = np.arange(1, len(order) + 1)
    right = is_right[order].cumsum()
    return AccuracyCurve((kept / len(order))[is_last], (right / kept)[is_last])
