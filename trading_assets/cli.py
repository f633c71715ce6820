"""The command `trading-assets`: run a strategy, ask what is stale, query the lake."""

import os
import select
import sys
from collections.abc import Sequence

from trading_assets.command_line import build_parser
from trading_assets.commands import FAILED
from trading_assets.errors import UserError

MISTAKEN = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 if a run failed, or 2 for a mistake a user can mend."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.function(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _is_reader_gone():
            raise
        # Closing standard output at the end would complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except UserError as error:
        print(f"trading-assets: {error}", file=sys.stderr)
        return MISTAKEN
    except KeyboardInterrupt:
        print("trading-assets: interrupted; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    except PermissionError as error:
        print(
            f"trading-assets: {error.filename} cannot be written; expected a data folder that this"
            " user may write, see TRADING_ASSETS_DATA",
            file=sys.stderr,
        )
        return MISTAKEN


def _is_reader_gone() -> bool:
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(events & select.POLLERR for _, events in output.poll(0))


if __name__ == "__main__":
    sys.exit(main())
