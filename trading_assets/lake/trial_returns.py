"""What a counted trial earned in one window, as the manifest keeps it."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.lake.records import Trial

_DAY, _RETURN = np.dtype("<i4"), np.dtype("<f8")


@dataclass(frozen=True, eq=False, slots=True)
class TrialReturns:
    """Net returns of one trial in one window.

    Attributes
    ----------
    window : str
        Name of the window, such as `test 2020-01-01`.
    sessions : datetime64[D] (T,)
        Sessions, ascending.
    returns : float64 (T,)
        Net simple returns, one a session.
    """

    window: str
    sessions: NDArray[np.datetime64]
    returns: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class CountedTrial:
    """A trial with what is known of its returns: one entry a window, in order of their names.

    Empty of a trial that was pruned, refused or killed, or counted before returns were kept.
    """

    trial: Trial
    returns: tuple[TrialReturns, ...]


@dataclass(frozen=True, slots=True)
class PackedReturns:
    """Sessions and returns as little-endian bytes, with the sha256 over both."""

    sessions: bytes
    returns: bytes
    sha256: str


def pack_returns(own: TrialReturns) -> PackedReturns:
    """Return the bytes that the manifest keeps.

    Raises
    ------
    DataError
        If there is no session, sessions do not ascend, or a return is missing or not finite.
    """
    n_sessions, n_returns = len(own.sessions), len(own.returns)
    days = own.sessions.astype("datetime64[D]").astype(np.int64)
    broken = int((~np.isfinite(own.returns)).sum())
    if not n_sessions or n_sessions != n_returns or broken or bool((np.diff(days) <= 0).any()):
        msg = (
            f"a trial had {n_sessions} sessions and {n_returns} returns in window {own.window},"
            f" {broken} of them not finite; expected one finite return for each of some ascending"
            " sessions"
        )
        raise DataError(msg)
    sessions = days.astype(_DAY).tobytes()
    returns = own.returns.astype(_RETURN).tobytes()
    return PackedReturns(sessions, returns, _sha256(sessions, returns))


def unpack_returns(window: str, packed: PackedReturns, label: str) -> TrialReturns:
    """Return what was packed.

    Parameters
    ----------
    window : str
        Name of the window.
    packed : PackedReturns
        As the manifest has it.
    label : str
        What a message calls the trial.

    Raises
    ------
    DataError
        If the bytes are not those that were kept.
    """
    found = _sha256(packed.sessions, packed.returns)
    if found != packed.sha256:
        msg = (
            f"the returns of trial {label} in window {window} are damaged: their sha256 is"
            f" {found[:12]}; expected {packed.sha256[:12]}, so restore the manifest, or backtest"
            " that configuration again"
        )
        raise DataError(msg)
    days = np.frombuffer(packed.sessions, _DAY).astype(np.int64)
    returns = np.frombuffer(packed.returns, _RETURN).astype(np.float64)
    return TrialReturns(window, days.astype("datetime64[D]"), returns)


def _sha256(*parts: bytes) -> str:
    # The length keeps a byte from moving from one part to the other.
    framed = b"".join(len(part).to_bytes(8, "little") + part for part in parts)
    return hashlib.sha256(framed).hexdigest()
