"""A bundle with the models in it, all of them read before any of it trades."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from trading_assets.errors import DataError, shown
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.policy.bundle import STATE_FILE, Bundle

if TYPE_CHECKING:
    from trading_assets.forecast.forecaster import Forecaster


def load_bundle(files: Mapping[str, bytes], digest: str | None) -> Bundle:
    """Return the bundle of files whose policies, forecaster and state can all be read.

    Parameters
    ----------
    files : mapping of str to bytes
        All files by nested name.
    digest : str, optional
        Digest that the champion's record names; without, only what the files say of one another is
        verified.

    Raises
    ------
    DataError
        If `Bundle.from_files` refuses it, its forecaster or state is damaged, or these need
        features or a window that the bundle does not compute.
    """
    bundle = Bundle.from_files(files, digest)
    forecaster = read_forecaster(bundle)
    read_start_state(bundle)
    needed = {*bundle.rules.observed_features}
    if forecaster is not None:
        needed |= {*forecaster.feature_names}
        if forecaster.window_bars != bundle.window_bars:
            msg = (
                f"a bundle computes {bundle.window_bars} bars; expected the"
                f" {forecaster.window_bars} of its forecaster: restore its files or train again"
            )
            raise DataError(msg)
    lacking = sorted(needed - {str(name) for name in bundle.features.names})
    if lacking:
        msg = (
            f"a bundle computes no {shown(lacking[0])}, which its models see; expected all of their"
            " features: restore its files or train again"
        )
        raise DataError(msg)
    return bundle


def read_forecaster(bundle: Bundle) -> "Forecaster | None":
    """Return the bundle's forecaster; None where its policies observe no forecasts.

    Raises
    ------
    DataError
        If its files are damaged or do not fit one another.
    """
    if not bundle.rules.uses_forecasts:
        return None
    from trading_assets.forecast.forecaster import Forecaster

    return Forecaster.from_files(dict(bundle.forecaster_files))


def read_start_state(bundle: Bundle) -> ConformalState | None:
    """Return the state that the first decision's intervals go on from, if the bundle has one.

    Raises
    ------
    DataError
        If its file is damaged.
    """
    if STATE_FILE not in bundle.forecaster_files:
        return None
    return ConformalState.from_json(bundle.forecaster_files[STATE_FILE])
