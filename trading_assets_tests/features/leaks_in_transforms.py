"""Planted leaks of filters and models that see a symbol's whole series at once."""

import numpy as np

from trading_assets_tests.features.planted_columns import by_array, catalogue
from trading_assets_tests.features.regimes import filter_regimes, smooth_regimes


@by_array
def smoothed_regime(log_close: np.ndarray) -> np.ndarray:
    """The HMM's state probabilities are smoothed over the whole series, as predict_proba gives."""
    return smooth_regimes(np.diff(log_close, prepend=log_close[0]))


@by_array
def regime_fitted_on_all(log_close: np.ndarray) -> np.ndarray:
    """The probabilities are filtered, but the HMM's variances come from the whole series."""
    returns = np.diff(log_close, prepend=log_close[0])
    return filter_regimes(returns / max(returns.std(), 1e-9) * 0.015)


@by_array
def savitzky_golay(log_close: np.ndarray) -> np.ndarray:
    """The polynomial is fitted to the bars on both sides."""
    from scipy.signal import savgol_filter

    return savgol_filter(log_close, 11, 2) if len(log_close) >= 11 else log_close


@by_array
def zero_phase_filter(log_close: np.ndarray) -> np.ndarray:
    """The low-pass runs forwards and then backwards."""
    from scipy.signal import butter, filtfilt

    return filtfilt(*butter(2, 0.1), log_close, padlen=min(9, len(log_close) - 1))


@by_array
def fourier_denoised(log_close: np.ndarray) -> np.ndarray:
    """High frequencies of the whole series are cut off."""
    spectrum = np.fft.rfft(log_close)
    spectrum[20:] = 0.0
    return np.fft.irfft(spectrum, len(log_close))


@by_array
def wavelet_denoised(log_close: np.ndarray) -> np.ndarray:
    """Haar details within blocks of eight bars are cut off, so a block knows its end."""
    block = np.arange(len(log_close)) // 8
    return (np.bincount(block, log_close) / np.bincount(block))[block]


@by_array
def detrended_on_all(log_close: np.ndarray) -> np.ndarray:
    """The trend taken out is a line through all bars."""
    place = np.arange(float(len(log_close)))
    centred = place - place.mean()
    slope = (centred * log_close).sum() / max((centred**2).sum(), 1.0)
    return log_close - log_close.mean() - slope * centred


@by_array
def lag_chosen_by_future(log_close: np.ndarray) -> np.ndarray:
    """Of 40 lagged returns, the one that correlates best with the next return is kept."""
    returns = np.diff(log_close, prepend=log_close[0])
    lags = range(1, 41)
    if len(returns) <= max(lags):
        return returns
    scores = [abs((returns[lag:] * returns[: len(returns) - lag]).sum()) for lag in lags]
    lag = 1 + int(np.argmax(scores))
    return np.concatenate((np.zeros(lag - 1), returns[: len(returns) - lag + 1]))


LEAKS = catalogue(
    smoothed_regime,
    regime_fitted_on_all,
    savitzky_golay,
    zero_phase_filter,
    fourier_denoised,
    wavelet_denoised,
    detrended_on_all,
    lag_chosen_by_future,
)
