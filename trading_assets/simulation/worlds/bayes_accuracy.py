"""World W5: how well tercile labels of a return can be forecast from a correlated normal signal.

Label and signal are jointly normal with correlation rho; the label is the tercile of the return.
No forecaster is more accurate, or has a lower log-loss, than the posterior of the label.
"""

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from scipy.special import entr, ndtr, ndtri

from trading_assets.errors import DataError

_SIGNAL_LIMIT = 10.0
_NODES = 20_001


@dataclass(frozen=True, slots=True)
class BayesForecast:
    """What the posterior of the label reaches.

    Attributes
    ----------
    accuracy : float
        Share of labels that are the most probable one.
    log_loss : float
        Mean negative log of the probability given to the label, in nats.
    """

    accuracy: float
    log_loss: float


def bayes_forecast(correlation: float) -> BayesForecast:
    """Return accuracy and log-loss of the posterior of tercile labels.

    `P(up | s) = Phi((rho s - c) / sqrt(1 - rho^2))` with c the upper tercile of a normal, `P(down |
    s)` the same of -s; both figures are means over s, by the trapezoidal rule (error below 1e-7).

    Parameters
    ----------
    correlation : float
        rho of the signal with the labelled return, between -1 and 1.

    Raises
    ------
    DataError
        If the correlation is not between -1 and 1, ends excluded.
    """
    if not -1.0 < correlation < 1.0:
        msg = f"correlation was {correlation}; expected between -1 and 1, ends excluded"
        raise DataError(msg)
    signal = np.linspace(-_SIGNAL_LIMIT, _SIGNAL_LIMIT, _NODES)
    weight = np.exp(-0.5 * signal**2) / sqrt(2.0 * pi) * (signal[1] - signal[0])
    edge = float(ndtri(2.0 / 3.0))
    deviation = sqrt(1.0 - correlation**2)
    up = ndtr((correlation * signal - edge) / deviation)
    down = ndtr((-correlation * signal - edge) / deviation)
    labels = np.stack([down, np.maximum(1.0 - up - down, 0.0), up])
    return BayesForecast(
        accuracy=float(weight @ labels.max(axis=0)),
        log_loss=float(weight @ entr(labels).sum(axis=0)),
    )


def correlation_with_return(
    persistence: float, information_coefficient: float, horizon_bars: int
) -> float:
    """Return the correlation of an AR(1) signal with the return of the next bars together.

    Parameters
    ----------
    persistence : float
        phi, AR(1) coefficient of the signal.
    information_coefficient : float
        beta / sigma of `r' = beta f + sigma u`.
    horizon_bars : int
        h; returns of h bars are added up.

    Notes
    -----
    `Cov = beta sum phi^k` over k from 0 to h - 1, and the variance of the sum of h signals is
    `h + 2 sum (h - k) phi^k` over k from 1 to h - 1.

    Raises
    ------
    DataError
        If the horizon is less than a bar.
    """
    if horizon_bars < 1:
        msg = f"horizon_bars was {horizon_bars}; expected at least 1"
        raise DataError(msg)
    lags = np.arange(horizon_bars)
    powers = persistence**lags
    summed = float(horizon_bars + 2.0 * ((horizon_bars - lags[1:]) * powers[1:]).sum())
    covariance = information_coefficient * float(powers.sum())
    return covariance / sqrt(horizon_bars + information_coefficient**2 * summed)
