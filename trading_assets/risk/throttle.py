"""The throttle of repeated automated execution: a strategy acts so often, then a person looks.

The count goes on over restarts and days; only a named person's re-arm starts it anew. Whoever calls
stores the throttle before what it permitted is done, so that a crash between counts once too often
rather than once too few.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from trading_assets.errors import DataError, UserError, shown
from trading_assets.risk.rearming import Rearm


@dataclass(frozen=True, slots=True)
class Executions:
    """How often one strategy has acted since it was last re-armed.

    Attributes
    ----------
    count : int
        Executions that were permitted.
    is_tripped : bool
        Whether one more was asked for than permitted; no further is until a re-arm.
    rearmed : Rearm or None
        The last re-arm.
    """

    count: int = 0
    is_tripped: bool = False
    rearmed: Rearm | None = None


@dataclass(frozen=True, slots=True)
class Throttle:
    """Executions of each strategy, by name."""

    executions: Mapping[str, Executions] = field(default_factory=dict[str, Executions])

    def of(self, strategy: str) -> Executions:
        """Return the executions of a strategy."""
        return self.executions.get(strategy, Executions())

    def execute(self, strategy: str, limit: int) -> "tuple[Throttle, bool]":
        """Count one execution if it is permitted.

        Parameters
        ----------
        strategy : str
            Name of the strategy that is about to act.
        limit : int
            Executions permitted from one re-arm to the next.

        Returns
        -------
        throttle : Throttle
            To be stored before the strategy acts.
        is_permitted : bool
            False once the limit is reached, also with a higher one, until a re-arm.
        """
        own = self.of(strategy)
        if own.is_tripped or own.count >= limit:
            return self._with(strategy, replace(own, is_tripped=True)), False
        return self._with(strategy, replace(own, count=own.count + 1)), True

    def rearm(self, strategy: str, by: str, reason: str, at: datetime) -> "Throttle":
        """Return the throttle after a named person has let a strategy begin anew.

        Raises
        ------
        UserError
            If the strategy is unknown to the throttle, or name or reason is empty.
        """
        if strategy not in self.executions:
            known = ", ".join(sorted(self.executions)) or "none, as nothing was executed"
            msg = f"strategy was {shown(strategy)}; expected one of {known}"
            raise UserError(msg)
        return self._with(strategy, Executions(rearmed=Rearm.of(by, reason, at)))

    def to_texts(self) -> dict[str, str]:
        """Return the throttle as texts; `from_texts` gives the same throttle back."""
        texts: dict[str, str] = {}
        for strategy, own in self.executions.items():
            texts[f"{strategy}.count"] = str(own.count)
            texts[f"{strategy}.is_tripped"] = str(own.is_tripped)
            if own.rearmed is not None:
                texts[f"{strategy}.by"] = own.rearmed.by
                texts[f"{strategy}.reason"] = own.rearmed.reason
                texts[f"{strategy}.at"] = own.rearmed.at.isoformat()
        return texts

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> "Throttle":
        """Return the throttle that texts hold.

        Raises
        ------
        DataError
            If a text is missing, unknown or damaged: nothing may act on a count nobody can read.
        """
        names = sorted({key.rpartition(".")[0] for key in texts})
        try:
            throttle = cls({name: _read(texts, name) for name in names})
        except (KeyError, ValueError, UserError) as error:
            msg = f"state of the throttle was {shown(dict(texts))}; expected what was stored"
            raise DataError(msg) from error
        is_valid = all(own.count >= 0 for own in throttle.executions.values())
        if throttle.to_texts() != dict(texts) or not is_valid:
            msg = f"state of the throttle was {shown(dict(texts))}; expected what was stored"
            raise DataError(msg)
        return throttle

    def _with(self, strategy: str, executions: Executions) -> "Throttle":
        return Throttle({**self.executions, strategy: executions})


def _read(texts: Mapping[str, str], strategy: str) -> Executions:
    rearmed = None
    if f"{strategy}.by" in texts:
        at = datetime.fromisoformat(texts[f"{strategy}.at"])
        rearmed = Rearm.of(texts[f"{strategy}.by"], texts[f"{strategy}.reason"], at)
    is_tripped = texts[f"{strategy}.is_tripped"] == "True"
    return Executions(int(texts[f"{strategy}.count"]), is_tripped, rearmed)
