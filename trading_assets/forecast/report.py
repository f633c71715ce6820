"""What the UI and MLflow are shown of a forecaster: curves, picture, and the network as ONNX."""

from collections.abc import Iterator, Mapping

import numpy as np

from trading_assets.errors import DataError
from trading_assets.forecast.evaluation import show_believability
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.independent_rows import count_independent
from trading_assets.forecast.networks.serving import NetworkEnsemble
from trading_assets.forecast.plots import Believability, plot_forecaster

ONNX_FILE, PLOT_FILE, TEST_PLOT_FILE = "network.onnx", "forecaster.png", "forecasts.png"


def show_judging(forecaster: Forecaster) -> Believability:
    """Return how far the served candidate could be believed on the judging days.

    Raises
    ------
    DataError
        If the forecaster was read from files, which do not keep the judging rows.
    """
    training = forecaster.training
    if training is None:
        msg = "the forecaster was read from files; expected one that was just trained: train again"
        raise DataError(msg)
    said, judging = training.judged.probabilities, training.judging
    is_right = (said.argmax(axis=1) == judging.classes).astype(np.float64)
    independent = count_independent(is_right, judging.rows.session, forecaster.horizon_bars)
    return show_believability(
        f"judging days, {forecaster.served} serves",
        said,
        judging.classes,
        float(forecaster.card["metrics"]["base_rate"]),
        len(judging) / independent,
    )


def draw_forecaster(forecaster: Forecaster, shown: Believability) -> bytes:
    """Return a PNG of how the network learned and how the served candidate judged."""
    return plot_forecaster(forecaster.card["metrics"]["epoch_log_loss"], shown)


def logged_files(forecaster: Forecaster, plot: bytes) -> dict[str, bytes]:
    """Return what MLflow keeps beside the forecaster's own files: picture and ONNX model."""
    files = {PLOT_FILE: plot}
    network = forecaster.training.candidates.get("network") if forecaster.training else None
    if isinstance(network, NetworkEnsemble):
        files[ONNX_FILE] = network.to_onnx()
    return files


def logged_curves(forecaster: Forecaster) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Give each epoch, from 1, with the stopping log-loss of every member that reached it."""
    curves = forecaster.card["metrics"]["epoch_log_loss"]
    for epoch in range(max((len(curve) for curve in curves), default=0)):
        reached = {
            f"stopping_log_loss_member_{member}": curve[epoch]
            for member, curve in enumerate(curves)
            if epoch < len(curve)
        }
        yield epoch + 1, reached


def logged_kept(shown: Believability) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Give the accuracy of the most confident 5, 10 .. 100 % of the rows, by per cent kept."""
    for percent in range(5, 101, 5):
        at = int(np.searchsorted(shown.kept_share, percent / 100.0 - 1e-12))
        yield percent, {"accuracy_of_most_confident": float(shown.kept_accuracy[at])}


def logged_tags(forecaster: Forecaster) -> dict[str, str]:
    """Return what a forecaster was made of: digests of data and features, who serves and why."""
    card = forecaster.card
    names = ("data_sha256", "features_sha256", "weights_sha256", "served", "reason", "code_version")
    return {name: str(card[name])[:500] for name in names}
