"""The manifest's tables."""

from datetime import UTC, datetime

import sqlalchemy as sa

SCHEMA_VERSION = 1


class UtcTime(sa.TypeDecorator[datetime]):
    """An aware moment kept as ISO text in UTC, which sorts by time on every database."""

    impl = sa.String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Return the text of an aware moment."""
        if value is None:
            return None
        assert value.tzinfo is not None
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:
        """Return the moment of a text."""
        return None if value is None else datetime.fromisoformat(value)


METADATA = sa.MetaData()

schema_version = sa.Table(
    "schema_version", METADATA, sa.Column("version", sa.Integer, nullable=False)
)

documents = sa.Table(
    "documents",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
)

commits = sa.Table(
    "commits",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("asset", sa.String(200), nullable=False),
    sa.Column("stage", sa.String(40), nullable=False),
    sa.Column("partition", sa.String(10), nullable=False),
    sa.Column("committed_at", UtcTime, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("code_version", sa.Text, nullable=False),
    sa.Column("declaration_digest", sa.String(64), nullable=False),
    sa.Column("content_digest", sa.String(64), nullable=False),
    sa.Column("config_digest", sa.ForeignKey("documents.digest"), nullable=False),
    sa.Column("environment_digest", sa.ForeignKey("documents.digest"), nullable=False),
    sa.Column("verdict", sa.String(6), nullable=False),
    sa.Column("reasons", sa.JSON, nullable=False),
    sa.Column("as_of", UtcTime),
    sa.Column("known_until", sa.Date),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("first_session", sa.Date),
    sa.Column("last_session", sa.Date),
    sa.CheckConstraint("verdict in ('passed', 'failed')", name="verdict_is_known"),
    sa.Index("commits_of_partition", "asset", "partition"),
)

files = sa.Table(
    "files",
    METADATA,
    sa.Column("commit_id", sa.ForeignKey("commits.id"), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger),
)

inputs = sa.Table(
    "inputs",
    METADATA,
    sa.Column("commit_id", sa.ForeignKey("commits.id"), primary_key=True),
    sa.Column("asset", sa.String(200), primary_key=True),
    sa.Column("partition", sa.String(10), primary_key=True),
    sa.Column("content_digest", sa.String(64), nullable=False),
)

# "current" is a keyword of PostgreSQL.
pointers = sa.Table(
    "pointers",
    METADATA,
    sa.Column("asset", sa.String(200), primary_key=True),
    sa.Column("partition", sa.String(10), primary_key=True),
    sa.Column("commit_id", sa.ForeignKey("commits.id"), nullable=False),
)

trials = sa.Table(
    "trials",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("data_set", sa.String(200), nullable=False),
    sa.Column("strategy", sa.String(200), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
    sa.Column("declaration_digest", sa.String(64), nullable=False),
    sa.Column("seeds", sa.Integer, nullable=False),
    sa.Column("first_seen", UtcTime, nullable=False),
    sa.Column("config_digest", sa.ForeignKey("documents.digest"), nullable=False),
    sa.UniqueConstraint("data_set", "strategy", "agent", "declaration_digest", "seeds"),
)

trial_returns = sa.Table(
    "trial_returns",
    METADATA,
    sa.Column("trial_id", sa.ForeignKey("trials.id"), primary_key=True),
    sa.Column("window", sa.String(80), primary_key=True),
    sa.Column("sessions", sa.LargeBinary, nullable=False),
    sa.Column("returns", sa.LargeBinary, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
)

signed_heads = sa.Table(
    "signed_heads",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("account", sa.String(200), nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
)
