"""Whether partitions can be read, and what to run where they cannot."""

from collections.abc import Mapping, Sequence

from trading_assets.errors import DataError

_LONGEST_LIST = 5


def refuse_unusable(
    asset: str, partitions: Sequence[str], verdicts: Mapping[str, str], *, allow_failed: bool
) -> None:
    """Refuse a read of partitions that are missing or did not pass their validation.

    Parameters
    ----------
    asset : str
        Asset key.
    partitions : sequence of str
        Keys asked for.
    verdicts : mapping
        Verdict of each stored partition.
    allow_failed : bool
        Whether a failed verdict is accepted.

    Raises
    ------
    DataError
        Naming the partitions and what to run.
    """
    missing = [key for key in partitions if key not in verdicts]
    if missing == [""]:
        msg = f"{asset} has not been materialized; run {how_to_materialize(asset, missing)}"
        raise DataError(msg)
    if missing:
        msg = f"{asset} lacks {_listed(missing)}; run {how_to_materialize(asset, missing)}"
        raise DataError(msg)
    failed = [key for key in partitions if verdicts[key] == "failed"]
    if failed and not allow_failed:
        msg = (
            f"{asset} failed its validation{_listed(failed, ' in ')}; see the check's reasons, mend"
            " the source or the declared rule, then materialize it again"
        )
        raise DataError(msg)


def how_to_materialize(asset: str, partitions: Sequence[str]) -> str:
    """Return the command that materializes partitions of an asset, first to last."""
    command = f"`dagster asset materialize -m trading_assets.definitions --select {asset}"
    first, last = min(partitions), max(partitions)
    if not last:
        return f"{command}`"
    if first == last:
        return f"{command} --partition {last}`"
    return f"{command} --partition-range {first}...{last}`"


def describe_columns_mismatch(asset: str, partitions: Sequence[str], cause: Exception) -> str:
    """Return why partitions cannot be read as one table, and what to run."""
    first_line = str(cause).splitlines()[0]
    return (
        f"{asset} has different columns in partitions {min(partitions)} to {max(partitions)}"
        f" ({first_line}); run {how_to_materialize(asset, partitions)}"
    )


def label(asset: str, partition: str) -> str:
    """Return how messages name a partition."""
    return f"{asset} {partition}".rstrip()


def _listed(partitions: Sequence[str], lead: str = "") -> str:
    named = [key for key in partitions if key]
    if not named:
        return ""
    shown = ", ".join(named[:_LONGEST_LIST])
    more = len(named) - _LONGEST_LIST
    noun = "partition" if len(named) == 1 else "partitions"
    return f"{lead}{noun} {shown}" + (f" and {more} more" if more > 0 else "")
