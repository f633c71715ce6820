"""All of a decision that does not depend on its session's bars, made before they come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.adjustment import list_actions
from trading_assets.features.prepared import PreparedFeatures
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.forecast.session_forecast import SessionForecast, SessionForecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.confidence import confidence_columns, factors_of
from trading_assets.policy.decision import (
    Account,
    Decision,
    SeenSession,
    asked_sessions,
    decide_on_what_is_seen,
    past_forecasts,
    rules_now,
    shown_sessions,
    tradable_at,
)
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.loaded_bundle import read_forecaster
from trading_assets.policy.observation import FORECAST_COLUMNS, build_context, context_of
from trading_assets.policy.prepared_tables import (
    PreparedTables,
    UnpreparedError,
    require_one_bar_a_symbol,
)
from trading_assets.schema import TABLES
from trading_assets.simulation.core import Floats
from trading_assets.simulation.trackers.remembered import remember_nothing

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a session is prepared for.

    Attributes
    ----------
    bundle : Bundle
        What decides.
    session : date
        Session at whose close is decided.
    symbols : tuple of str
        What the bundle's symbols are called now, in its order.
    forecast_state : mapping
        What intervals go on from; empty for the bundle's own.
    """

    bundle: Bundle
    session: date
    symbols: tuple[str, ...]
    forecast_state: Mapping[str, Any]


class PreparedSession:
    """A session that waits for its bars.

    Parameters
    ----------
    asked : Asked
        What is prepared for.
    tables : PreparedTables
        What is known before the session.
    features : PreparedFeatures, optional
        Those of the session before, prepared for this one; made anew without.

    Raises
    ------
    DataError
        As `decide` does, of what is known so far.
    """

    def __init__(
        self, asked: Asked, tables: PreparedTables, features: PreparedFeatures | None = None
    ) -> None:
        self.asked, self.tables = asked, tables
        bundle, known = asked.bundle, tables.known
        self._rules = rules = rules_now(bundle, asked.symbols)
        sessions = [*known.bars["session"].unique().sort().to_list(), asked.session]
        shown = shown_sessions(sessions, rules)
        forecaster = read_forecaster(bundle)
        past = past_forecasts(bundle, rules.symbols, asked.forecast_state, sessions)
        forecast = asked_sessions(sessions, shown, past)
        needed = forecaster.count_sessions(len(forecast)) if forecaster else len(shown)
        before = sessions[-needed:-1] if needed > 1 else []
        self.features = _usable(features, before) or PreparedFeatures(
            known, bundle.features, before or sessions[-2:-1], asked.session
        )
        self._places = _places(self.features.names, rules)
        table = self.features.keep(before)
        self._forecaster: SessionForecaster | None = None
        forecasts = TABLES["forecasts"].empty()
        if forecaster is not None:
            self._forecaster = SessionForecaster(
                forecaster,
                ForecastTables(table, known.bars, known.actions),
                forecast,
                past,
                self.features.names,
                self.features.symbols,
            )
            forecasts = self._forecaster.rows
        earlier = shown[:-1]
        self._context = np.zeros((0, len(rules.symbols) * rules.n_symbol_inputs), np.float32)
        if earlier:
            tradable = [tradable_at(known.bars, rules.symbols, day) for day in earlier]
            days = np.array(earlier, dtype="datetime64[D]")
            self._context = build_context(table, forecasts, rules, days, np.array(tradable))
        self._columns = {name: place for place, name in enumerate(rules.symbols)}
        self._rehearse()

    def decide(self, arrived: FeatureInputs, account: Account) -> Decision:
        """Return the decision on the session's rows; may be asked for once.

        Raises
        ------
        UnpreparedError
            If bars came of other symbols than are held, none of the bundle's, or a symbol twice.
        DataError
            As `decide` does.
        """
        require_one_bar_a_symbol(arrived.bars, self.features.symbols)
        names = arrived.bars["symbol"].to_list()
        if not self._columns.keys() & set(names):
            msg = f"no bar of {self.asked.session} is of a symbol of the bundle"
            raise UnpreparedError(msg)
        # Each symbol that is held had a bar before.
        tradable = np.isin(np.array(self._rules.symbols), names)
        rows, values = self.features.advance(arrived)
        forecast: SessionForecast | None = None
        if self._forecaster is not None:
            forecast = self._forecaster.forecast(rows, values, list_actions(arrived.actions))
        return decide_on_what_is_seen(
            self.asked.bundle, self._rules, self._see(rows, values, tradable, forecast), account
        )

    def _see(
        self,
        rows: pl.DataFrame,
        values: Values,
        tradable: NDArray[np.bool_],
        forecast: SessionForecast | None,
    ) -> SeenSession:
        rules = self._rules
        symbols: list[str] = rows["symbol"].to_list()
        features = {name: values[:, place] for name, place in self._places.items()}
        shown = _panels(features, symbols, self._columns)
        said: dict[str, Floats] = {}
        if forecast is not None:
            said = _panels(forecast.columns, forecast.symbols, self._columns)
        volatility = {VOLATILITY_COLUMN: shown[VOLATILITY_COLUMN]}
        newest = context_of(shown, {**said, **volatility}, rules, tradable[None])
        factors = None
        columns = confidence_columns(rules)
        if columns:
            unknown = np.full((1, len(rules.symbols)), np.nan)
            factors = factors_of({name: said.get(name, unknown) for name in columns}, rules)
        return SeenSession(
            session=self.asked.session,
            context=np.concatenate((self._context, newest)).reshape(1, -1),
            tradable=tradable,
            factors=factors,
            forecasts=TABLES["forecasts"].empty() if forecast is None else forecast.rows,
            forecast_state={} if forecast is None else forecast.state,
        )

    def _rehearse(self) -> None:
        """Decide on a session of nulls, so that machine code is loaded and weights are at hand."""
        rules, count = self._rules, len(self._rules.symbols)
        tradable = np.ones(count, dtype=np.bool_)
        unknown = np.full((1, count), np.nan)
        observed = dict.fromkeys(rules.observed_features, unknown)
        columns: list[str] = [*FORECAST_COLUMNS, VOLATILITY_COLUMN]
        said: dict[str, Floats] = dict.fromkeys(columns, unknown)
        newest = context_of(observed, said, rules, tradable[None])
        context = np.concatenate((self._context, newest)).reshape(1, -1)
        none = TABLES["forecasts"].empty()
        seen = SeenSession(self.asked.session, context, tradable, None, none, {})
        account = Account({}, remember_nothing(rules.trackers))
        decide_on_what_is_seen(self.asked.bundle, rules, seen, account)


def _usable(features: PreparedFeatures | None, sessions: Sequence[date]) -> PreparedFeatures | None:
    """Return features that reach back over all sessions, if they do."""
    if features is None:
        return None
    return features if {*sessions} <= {*features.table["session"].unique().to_list()} else None


def _places(names: Sequence[str], rules: DecisionRules) -> dict[str, int]:
    """Return where the observed features and the volatility stand among computed ones."""
    missing = [name for name in rules.observed_features if name not in names]
    if missing:
        msg = (
            f"observed features {', '.join(missing)} are not computed; list them under"
            " features.names or take them out of policy.observed_features"
        )
        raise DataError(msg)
    return {name: names.index(name) for name in (VOLATILITY_COLUMN, *rules.observed_features)}


def _panels(
    columns: Mapping[str, Values], symbols: Sequence[str], places: Mapping[str, int]
) -> dict[str, Floats]:
    """Lay columns (K,) of symbols out as rows, float64 (1, N), nan where there is none."""
    kept = [k for k, name in enumerate(symbols) if name in places]
    at = [places[symbols[k]] for k in kept]
    panels: dict[str, Floats] = {}
    for name, values in columns.items():
        panels[name] = np.full((1, len(places)), np.nan)
        panels[name][0, at] = values[kept]
    return panels
