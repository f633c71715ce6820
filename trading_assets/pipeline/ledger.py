"""The counted trials that a report was made with, as a table that it can be made with again."""

from collections.abc import Sequence

import polars as pl

from trading_assets.lake.store import CountedTrial, Lake, Trial, TrialReturns
from trading_assets.schema import TABLES, conform

TABLE = "counted_trials"


def ledger_table(counted: Sequence[CountedTrial]) -> pl.DataFrame:
    """Return counted trials with their returns; one without any has one row without a return."""
    parts = [TABLES[TABLE].empty()]
    for place, own in enumerate(counted):
        trial = own.trial
        about = {
            "place": place,
            "strategy": trial.strategy,
            "agent": trial.agent,
            "declaration_digest": trial.declaration_digest,
            "seeds": trial.seeds,
        }
        facts = [pl.lit(value).alias(name) for name, value in about.items()]
        windows = [
            pl.DataFrame(
                {"session": kept.sessions.astype("datetime64[D]"), "net_return": kept.returns}
            ).with_columns(pl.lit(kept.window).alias("window"), *facts)
            for kept in own.returns
        ]
        nothing = pl.DataFrame(
            {"session": [None], "net_return": [None], "window": [None]}
        ).with_columns(*facts)
        for part in windows or [nothing]:
            types = TABLES[TABLE].empty().schema
            parts.append(part.select(pl.col(name).cast(kind) for name, kind in types.items()))
    return conform(TABLE, pl.concat(parts))


def restore_ledger(lake: Lake, data_set: str, table: pl.DataFrame) -> None:
    """Count the trials of a ledger's table in a lake that has none of them.

    Parameters
    ----------
    lake : Lake
        Whose manifest counts them.
    data_set : str
        What they were tried on.
    table : DataFrame
        Of `ledger_table`.
    """
    about = ("strategy", "agent", "declaration_digest", "seeds")
    for own in table.partition_by("place", maintain_order=True):
        trial = Trial(data_set, *(own[name][0] for name in about))
        lake.register_trial(trial)
        known = own.filter(pl.col("window").is_not_null())
        for part in known.partition_by("window", maintain_order=True):
            sessions = part["session"].to_numpy().astype("datetime64[D]")
            kept = TrialReturns(part["window"][0], sessions, part["net_return"].to_numpy())
            lake.keep_trial_returns(trial, kept)
