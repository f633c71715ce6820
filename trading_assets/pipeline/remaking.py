"""The process of a rebuild that makes partitions again, in the data folder of its environment."""

import json
import sys

from trading_assets.errors import DataError, UserError
from trading_assets.pipeline.driver import make_partitions


def main() -> int:
    """Make the partitions that come in as JSON, of the strategy named; return the exit status."""
    partitions = [(str(asset), str(key)) for asset, key in json.load(sys.stdin)]
    try:
        return 0 if make_partitions(sys.argv[1], partitions) else 1
    except (UserError, DataError) as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
