"""The part of the manifest that keeps checkpoints of audit logs, away from the logs themselves."""

import sqlalchemy as sa

from trading_assets.lake import tables
from trading_assets.lake.connections import ManifestConnections


class SignedHeads:
    """Lines by account, in SQLite or PostgreSQL; nothing changes or removes one.

    What a line says is not known here.

    Parameters
    ----------
    connections : ManifestConnections
        The manifest's.
    """

    def __init__(self, connections: ManifestConnections) -> None:
        self._connections = connections

    def append(self, account: str, head: str) -> None:
        """Keep the line of a checkpoint."""
        with self._connections.writing() as connection:
            # A manifest of an earlier release lacks the table.
            tables.signed_heads.create(connection, checkfirst=True)
            connection.execute(sa.insert(tables.signed_heads).values(account=account, text=head))

    def heads(self, account: str) -> list[str]:
        """Return the lines that were kept of an account, oldest first."""
        columns = tables.signed_heads.c
        query = sa.select(columns.text).where(columns.account == account).order_by(columns.id)
        with self._connections.reading() as connection:
            if not sa.inspect(connection).has_table(tables.signed_heads.name):
                return []
            return list(connection.execute(query).scalars())
