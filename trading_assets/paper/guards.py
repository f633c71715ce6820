"""What stops an account by itself: circuit breakers, the throttle, the drawdown ladder.

Their state is one small file in the account's folder, written before anything is sent on it. What
trips throws the kill switch; what a named person re-arms there is re-armed here with it.
"""

import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, cast

from trading_assets.errors import DataError, shown
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.log_folder import LogFolder
from trading_assets.risk.breaker_limits import BreakerLimits
from trading_assets.risk.breaker_texts import breaker_texts, read_breakers
from trading_assets.risk.breakers import BreakerState, Observations, evaluate
from trading_assets.risk.drawdown_ladder import (
    DrawdownState,
    Rung,
    advance_drawdown,
    rearm_ladder,
)
from trading_assets.risk.throttle import Throttle
from trading_assets.risk_specs import RiskSpec

GUARDS = "guards.json"


@dataclass(frozen=True, slots=True)
class Guards:
    """The state of everything that stops an account by itself.

    Attributes
    ----------
    breakers : BreakerState
        Circuit breakers.
    throttle : Throttle
        How often the strategy has acted since a person last looked.
    drawdown : DrawdownState or None
        Where on the ladder the account is; None before its first close.
    """

    breakers: BreakerState = field(default_factory=BreakerState)
    throttle: Throttle = field(default_factory=Throttle)
    drawdown: DrawdownState | None = None

    @property
    def rung(self) -> Rung:
        """What the drawdown ladder allows."""
        return "full_size" if self.drawdown is None else self.drawdown.rung

    def to_bytes(self) -> bytes:
        """Return canonical JSON."""
        drawdown = {}
        if self.drawdown is not None:
            drawdown = {
                "peak_equity_usd": str(self.drawdown.peak_equity_usd),
                "rung": self.drawdown.rung,
                "rearmed_by": self.drawdown.rearmed_by,
            }
        values = {
            "breakers": breaker_texts(self.breakers),
            "throttle": self.throttle.to_texts(),
            "drawdown": drawdown,
        }
        return json.dumps(values, sort_keys=True, indent=1).encode()

    @staticmethod
    def from_bytes(content: bytes) -> "Guards":
        """Return what `to_bytes` wrote.

        Raises
        ------
        DataError
            If it is not that: nothing may be sent on a state that nobody can read.
        """
        try:
            values = cast("dict[str, Any]", json.loads(content))
            drawdown = values["drawdown"]
            return Guards(
                read_breakers(values["breakers"]),
                Throttle.from_texts(values["throttle"]),
                None
                if not drawdown
                else DrawdownState(
                    Decimal(drawdown["peak_equity_usd"]), drawdown["rung"], drawdown["rearmed_by"]
                ),
            )
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            msg = (
                f"{GUARDS} was {shown(content[:80])}; expected the state of breakers, throttle and"
                " drawdown as it was stored: restore the file, or move it away to begin anew"
            )
            raise DataError(msg) from error


@dataclass(frozen=True, slots=True)
class Guard:
    """Holds an account against its declared guards.

    Attributes
    ----------
    strategy : str
        Name of the strategy.
    risk : RiskSpec
        What is declared.
    logs : LogFolder
        Folder of the account.
    switch : KillSwitch
        What a trip throws.
    """

    strategy: str
    risk: RiskSpec
    logs: LogFolder
    switch: KillSwitch

    def state(self) -> Guards:
        """Return the stored state, or a new one."""
        content = self.logs.read(GUARDS)
        return Guards.from_bytes(content) if content else Guards()

    def before_decision(self, observed: Observations) -> str:
        """Return why nothing may be decided, or an empty string if it may.

        An execution is counted. What was tripped before the switch was re-armed is re-armed.

        Parameters
        ----------
        observed : Observations
            What is known before the decision; equity at the last closes.
        """
        before = self.state()
        state = self._rearmed(before, observed)
        limits = BreakerLimits.from_declared(self.risk.breakers)
        state = replace(state, breakers=evaluate(observed, limits, state.breakers))
        most = self.risk.breakers.max_repeated_executions
        is_permitted = True
        if most is not None and not state.breakers.is_tripped:
            throttle, is_permitted = state.throttle.execute(self.strategy, most)
            state = replace(state, throttle=throttle)
        self._store(before, state)
        if not is_permitted:
            reason = (
                f"{self.strategy} has decided {most} times since a person last looked; expected at"
                f" most max_repeated_executions {most}"
            )
            self.switch.halt("throttle", reason)
            return reason
        return self._throw(state.breakers)

    def after_close(self, observed: Observations) -> None:
        """Observe a close: a breaker that trips halts, the ladder reduces.

        Parameters
        ----------
        observed : Observations
            Equity at the close and at the one before, and how orders fared.
        """
        before = self.state()
        limits = BreakerLimits.from_declared(self.risk.breakers)
        state = replace(before, breakers=evaluate(observed, limits, before.breakers))
        ladder, equity = self.risk.drawdown_ladder, observed.equity_usd
        if ladder is not None and equity is not None:
            known = state.drawdown or DrawdownState(observed.session_equity_usd or equity)
            state = replace(state, drawdown=advance_drawdown(known, equity, ladder))
        self._store(before, state)
        if state.rung in ("close_only", "flat"):
            self.switch.reduce("drawdown ladder", f"the drawdown has reached rung {state.rung}")
        self._throw(state.breakers)

    def after_sending(self) -> None:
        """Halt an account that has just sold everything because of its drawdown."""
        if self.state().rung == "flat":
            self.switch.halt("drawdown ladder", "the drawdown has reached rung flat")

    def _rearmed(self, state: Guards, observed: Observations) -> Guards:
        standing = self.switch.state()
        if standing.state != "ACTIVE" or not standing.by:
            return state
        by, reason, at = standing.by, standing.reason, standing.since or observed.at
        if state.breakers.is_tripped:
            state = replace(state, breakers=state.breakers.rearm(by, reason, at))
        if state.throttle.of(self.strategy).is_tripped:
            state = replace(state, throttle=state.throttle.rearm(self.strategy, by, reason, at))
        equity = observed.equity_usd
        if state.drawdown is not None and state.rung in ("close_only", "flat") and equity:
            state = replace(state, drawdown=rearm_ladder(state.drawdown, equity, by))
        return state

    def _store(self, before: Guards, state: Guards) -> None:
        if state != before:
            self.logs.replace(GUARDS, state.to_bytes())

    def _throw(self, breakers: BreakerState) -> str:
        if not breakers.is_tripped:
            return ""
        reason = "; ".join(trip.sentence for trip in breakers.trips.values())
        self.switch.halt("circuit breaker", reason)
        return reason
