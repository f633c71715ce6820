"""The decision for one session at once, from what was prepared before its bars came.

It is the decision of `decide` to the last bit. Where what came does not fit what was prepared, it
is made by `decide` itself, on the whole tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Self

from trading_assets.errors import DataError
from trading_assets.features.prepared import PreparedFeatures
from trading_assets.features.scrambling import FeatureInputs
from trading_assets.policy.acting import Carried
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import Account, Decision, decide
from trading_assets.policy.prepared_session import Asked, PreparedSession
from trading_assets.policy.prepared_tables import PreparedTables, UnpreparedError, merge_arrived
from trading_assets.simulation.trackers.remembered import Remembered

DecisionPath = Literal["online", "batch"]


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """All that `decide` takes; see there.

    Attributes
    ----------
    bundle : Bundle
        What decides.
    tables : FeatureInputs
        Bars, actions and series; rows after the session are ignored.
    held_weights : mapping of str to float
        Weights held at the close.
    session : date
        Session at whose close is decided.
    symbols : sequence of str, optional
        What the bundle's symbols are called now.
    remembered, carried, forecast_state : optional
        What trackers, members and intervals go on from.
    """

    bundle: Bundle
    tables: FeatureInputs
    held_weights: Mapping[str, float]
    session: date
    symbols: Sequence[str] | None = None
    remembered: Remembered | None = None
    carried: Carried | None = None
    forecast_state: Mapping[str, Any] | None = None

    @property
    def asked(self) -> Asked:
        """What has to be known before the session's bars come."""
        names = self.bundle.rules.symbols if self.symbols is None else tuple(self.symbols)
        return Asked(self.bundle, self.session, names, self.forecast_state or {})

    @property
    def account(self) -> Account:
        """What is known of the account."""
        return Account(self.held_weights, self.remembered, self.carried)


@dataclass(frozen=True, slots=True)
class OnlineDecision:
    """A decision, and how it was made.

    Attributes
    ----------
    decision : Decision
        What `decide` returns.
    path : {"online", "batch"}
        Whether it was made from what was prepared, or by `decide`.
    why : str
        What did not fit, where it was made by `decide`; else empty.
    """

    decision: Decision
    path: DecisionPath
    why: str = ""


class OnlineDecider:
    """Decides one session, from its rows and what was prepared before; made by `prepare`.

    A session that could not be prepared, was decided before, or gets rows that do not fit, is
    decided by `decide`.
    """

    def __init__(
        self, asked: Asked, tables: FeatureInputs, prepared: PreparedSession | None, why: str
    ) -> None:
        self._asked, self._tables = asked, tables
        self._prepared, self._why = prepared, why
        self._decided: tuple[PreparedSession, FeatureInputs] | None = None

    @classmethod
    def prepare(cls, asked: Asked, tables: FeatureInputs, after: "Self | None" = None) -> Self:
        """Do all of a session's decision that does not depend on its bars.

        Parameters
        ----------
        asked : Asked
            Bundle, session, names of symbols and what intervals go on from.
        tables : FeatureInputs
            Bars, actions and series, as far back as `decide` would be given them; rows of the
            session and later ones, if there are any, are left out, but for actions, of which those
            up to the session are known.
        after : OnlineDecider, optional
            What decided the session before; its features are gone on from where tables are those
            it knew, which is quicker. It decides no more.
        """
        try:
            known = PreparedTables.of(tables, asked.session)
            features = None if after is None else after._features_for(known, asked)
            return cls(asked, tables, PreparedSession(asked, known, features), "")
        except (DataError, UnpreparedError) as error:
            return cls(asked, tables, None, f"the session was not prepared: {error}")

    @property
    def bundle(self) -> Bundle:
        """What decides, loaded."""
        return self._asked.bundle

    @property
    def is_prepared(self) -> bool:
        """Whether a decision can be made at once."""
        return self._prepared is not None

    def decide(self, inputs: DecisionInputs) -> OnlineDecision:
        """Return the decision on whole tables.

        What was known before has to be in them row by row as it was, or they are decided on as a
        whole; so they may be read anew after the session's bars came.

        Raises
        ------
        DataError
            As `decide` does.
        """
        try:
            prepared = self._require_asked(inputs.asked)
            arrived = prepared.tables.rows_new_in(inputs.tables)
            return self._decide(prepared, arrived, inputs.account)
        except UnpreparedError as error:
            return _decide_whole(inputs, str(error))

    def decide_arrived(self, arrived: FeatureInputs, account: Account) -> OnlineDecision:
        """Return the decision on the rows that came with the session, as it was prepared.

        Parameters
        ----------
        arrived : FeatureInputs
            Bars of the session, and actions and series that were not given before. Rows that
            revise earlier ones take their place, and the whole tables are decided on.
        account : Account
            Weights held, and what trackers and members go on from.

        Raises
        ------
        DataError
            As `decide` does.
        """
        try:
            prepared = self._require_asked(self._asked)
            rows = prepared.tables.rows_to_use(arrived)
            return self._decide(prepared, rows, account)
        except UnpreparedError as error:
            whole = merge_arrived(self._tables, arrived, self._asked.session)
            asked = self._asked
            inputs = DecisionInputs(
                asked.bundle,
                whole,
                account.held_weights,
                asked.session,
                asked.symbols,
                account.remembered,
                account.carried,
                asked.forecast_state,
            )
            return _decide_whole(inputs, str(error))

    def _decide(
        self, prepared: PreparedSession, arrived: FeatureInputs, account: Account
    ) -> OnlineDecision:
        # What is held moves on with the rows, also where the account is refused then.
        self._prepared, self._why = None, "the session was decided before"
        decision = prepared.decide(arrived, account)
        self._decided = prepared, arrived
        return OnlineDecision(decision, "online")

    def _require_asked(self, asked: Asked) -> PreparedSession:
        """Return what was prepared, or refuse if it was for something else."""
        own = self._asked
        for name, found, held in (
            ("session", asked.session, own.session),
            ("bundle", asked.bundle.digest, own.bundle.digest),
            ("symbols", asked.symbols, own.symbols),
        ):
            if found != held:
                msg = f"{name} {found} is asked for and {held} was prepared"
                raise UnpreparedError(msg)
        if asked.forecast_state != own.forecast_state:
            msg = "intervals go on from another state than was prepared"
            raise UnpreparedError(msg)
        if self._prepared is None:
            raise UnpreparedError(self._why)
        return self._prepared

    def _features_for(self, known: PreparedTables, asked: Asked) -> PreparedFeatures | None:
        """Return the features of the session decided here, prepared for one after it."""
        if self._decided is None or asked.bundle.features != self.bundle.features:
            return None
        prepared, arrived = self._decided
        try:
            rows = prepared.tables.rows_new_in(known.known)
        except UnpreparedError:
            return None
        if known.last != self._asked.session or not _are_equal(rows, arrived):
            return None
        self._decided = None
        prepared.features.prepare(asked.session)
        return prepared.features


def _decide_whole(inputs: DecisionInputs, why: str) -> OnlineDecision:
    tables = inputs.tables
    decision = decide(
        inputs.bundle,
        tables.bars,
        tables.actions,
        tables.series,
        inputs.held_weights,
        inputs.session,
        inputs.symbols,
        inputs.remembered,
        inputs.carried,
        inputs.forecast_state,
    )
    return OnlineDecision(decision, "batch", why)


def _are_equal(rows: FeatureInputs, others: FeatureInputs) -> bool:
    """Return whether two sets of rows are the same in any order."""
    return all(
        one.sort(one.columns).equals(other.sort(other.columns))
        for one, other in (
            (rows.bars, others.bars),
            (rows.actions, others.actions),
            (rows.series, others.series),
        )
    )
