"""The part of the manifest that counts what was tried, and keeps what it earned."""

from collections.abc import Collection

import sqlalchemy as sa

from trading_assets.lake import commits, tables
from trading_assets.lake.connections import ManifestConnections
from trading_assets.lake.records import Trial, canonical_json, document_digest
from trading_assets.lake.trial_returns import (
    PackedReturns,
    TrialReturns,
    pack_returns,
    unpack_returns,
)


class TrialLedger:
    """Trials and their returns, in SQLite or PostgreSQL; nothing removes one.

    Parameters
    ----------
    connections : ManifestConnections
        The manifest's.
    """

    def __init__(self, connections: ManifestConnections) -> None:
        self._connections = connections

    def register(self, trial: Trial) -> bool:
        """Count a trial unless it has been counted; return whether it is new."""
        with self._connections.writing() as connection:
            return _count(connection, trial)[1]

    def keep_returns(self, trial: Trial, own: TrialReturns) -> bool:
        """Count a trial unless it has been, and put its returns of a window in place of older ones.

        Raises
        ------
        DataError
            If a return is missing or not finite, or sessions do not ascend; nothing is counted.
        """
        packed, columns = pack_returns(own), tables.trial_returns.c
        with self._connections.writing() as connection:
            # A manifest of an earlier release lacks the table.
            tables.trial_returns.create(connection, checkfirst=True)
            number, is_new = _count(connection, trial)
            is_same = (columns.trial_id == number) & (columns.window == own.window)
            connection.execute(sa.delete(tables.trial_returns).where(is_same))
            connection.execute(
                sa.insert(tables.trial_returns).values(
                    trial_id=number,
                    window=own.window,
                    sessions=packed.sessions,
                    returns=packed.returns,
                    sha256=packed.sha256,
                )
            )
        return is_new

    def count(self, data_set: str) -> int:
        """Return how many configurations have been tried on a data set."""
        query = sa.select(sa.func.count()).where(tables.trials.c.data_set == data_set)
        with self._connections.reading() as connection:
            return connection.execute(query).scalar_one()

    def configs(self) -> list[tuple[str, str]]:
        """Return what was tried on which data set, as name and configuration's text, each once."""
        columns = tables.trials.c
        query = (
            sa.select(columns.data_set, tables.documents.c.text).join(tables.documents).distinct()
        )
        with self._connections.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def trials(
        self, data_sets: Collection[str]
    ) -> list[tuple[Trial, str, tuple[TrialReturns, ...]]]:
        """Return the trials of data sets, their configuration's text and returns, oldest first.

        Raises
        ------
        DataError
            If stored returns are damaged.
        """
        columns = tables.trials.c
        query = (
            sa.select(
                columns.id,
                columns.data_set,
                columns.strategy,
                columns.agent,
                columns.declaration_digest,
                columns.seeds,
                columns.first_seen,
                tables.documents.c.text,
            )
            .join(tables.documents)
            .where(columns.data_set.in_(data_sets))
            .order_by(columns.id)
        )
        with self._connections.reading() as connection:
            rows = connection.execute(query).all()
            returns = _returns(connection, data_sets)
        return [
            (Trial(*row[1:6], first_seen=row[6]), row[7], tuple(returns.get(row[0], ())))
            for row in rows
        ]


def _count(connection: sa.Connection, trial: Trial) -> tuple[int, bool]:
    """Return the number of a trial, and whether it is new."""
    found = connection.execute(sa.select(tables.trials.c.id).where(*_same(trial))).first()
    if found is not None:
        return int(found[0]), False
    text = canonical_json(trial.config)
    digest = document_digest(text)
    commits.store_documents(connection, {digest: text})
    added = connection.execute(
        sa.insert(tables.trials)
        .values(
            data_set=trial.data_set,
            strategy=trial.strategy,
            agent=trial.agent,
            declaration_digest=trial.declaration_digest,
            seeds=trial.seeds,
            first_seen=trial.first_seen,
            config_digest=digest,
        )
        .returning(tables.trials.c.id)
    )
    return int(added.scalar_one()), True


def _same(trial: Trial) -> list[sa.ColumnElement[bool]]:
    columns = tables.trials.c
    return [
        columns.data_set == trial.data_set,
        columns.strategy == trial.strategy,
        columns.agent == trial.agent,
        columns.declaration_digest == trial.declaration_digest,
        columns.seeds == trial.seeds,
    ]


def _returns(
    connection: sa.Connection, data_sets: Collection[str]
) -> dict[int, list[TrialReturns]]:
    """Return the kept returns of the trials of data sets by number, windows in order."""
    if not sa.inspect(connection).has_table(tables.trial_returns.name):
        return {}
    kept, counted = tables.trial_returns.c, tables.trials.c
    query = (
        sa.select(
            kept.trial_id,
            counted.strategy,
            counted.agent,
            kept.window,
            kept.sessions,
            kept.returns,
            kept.sha256,
        )
        .join(tables.trials)
        .where(counted.data_set.in_(data_sets))
        .order_by(kept.trial_id, kept.window)
    )
    found: dict[int, list[TrialReturns]] = {}
    for number, strategy, agent, window, sessions, returns, sha256 in connection.execute(query):
        packed = PackedReturns(bytes(sessions), bytes(returns), sha256)
        label = f"{number} ({strategy}/{agent})"
        found.setdefault(number, []).append(unpack_returns(window, packed, label))
    return found
