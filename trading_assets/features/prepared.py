"""Features of the sessions so far, and all that the next session's are computed from."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.compute import compute_features
from trading_assets.features.online import OnlineFeatures, tabulate
from trading_assets.features.scrambling import FeatureInputs

Values = NDArray[np.float32]


class PreparedFeatures:
    """Features up to a session's eve, from which the session's bars make its own at once.

    Parameters
    ----------
    tables : FeatureInputs
        Bars, actions and series up to the last known session.
    spec : FeaturesSpec
        Which features.
    sessions : sequence of date
        Sessions whose features are asked for, the last known one among them.
    next_session : date
        The session that comes.

    Raises
    ------
    DataError
        If there are bars of one session only, or its last session is not computed from the bars
        before it as it is from the whole.
    """

    def __init__(
        self,
        tables: FeatureInputs,
        spec: FeaturesSpec,
        sessions: Sequence[date],
        next_session: date,
    ) -> None:
        last = max(sessions)
        self.table = compute_features(tables.bars, tables.actions, tables.series, spec, sessions)
        earlier, own = pl.col("session") < last, pl.col("session") == last
        bars = tables.bars.filter(earlier)
        if bars.is_empty():
            msg = f"bars are known of {last} only; expected two sessions to prepare the next from"
            raise DataError(msg)
        self._online = OnlineFeatures(
            bars, tables.actions, tables.series.filter(earlier), spec, last
        )
        # The last known session goes the way of the next: that loads what it needs, and shows that
        # what is held gives the bytes of the batch.
        found = self._online.update(
            tables.bars.filter(own), tables.actions.clear(), tables.series.filter(own)
        )
        if not found.equals(self.table.filter(own)):
            msg = (
                f"features of {last} from the bars before it differ from those of the whole table;"
                " expected the same bytes: decide on the whole tables"
            )
            raise DataError(msg)
        self._online.prepare(next_session)

    @property
    def names(self) -> tuple[str, ...]:
        """The volatility, then the features in column order."""
        return self._online.names

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols whose next bar is computed at once, in order."""
        return self._online.symbols

    def keep(self, sessions: Sequence[date]) -> pl.DataFrame:
        """Return the table of some sessions, and forget those of others."""
        self.table = self.table.filter(pl.col("session").is_in(list(sessions)))
        return self.table

    def advance(self, arrived: FeatureInputs) -> tuple[pl.DataFrame, Values]:
        """Return a session's bars by symbol, and `names` (K, 1 + F) of each, nan where unknown.

        Raises
        ------
        DataError
            As `OnlineFeatures.update` does.
        """
        rows, values = self._online.advance(arrived.bars, arrived.actions, arrived.series)
        self._newest = rows, values
        return rows, values

    def prepare(self, next_session: date) -> None:
        """Take the session that came last to those before, and prepare the one after it."""
        rows, values = self._newest
        self.table = pl.concat([self.table, tabulate(rows, self.names, values)]).sort(
            "symbol", "session"
        )
        self._online.prepare(next_session)
