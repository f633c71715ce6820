"""Placeholder of this branch until the real one is merged."""

from trading_assets.paper.clock import Clock
from trading_assets.paper.log_folder import LogFolder


class KillSwitch:
    """Halts an account."""

    def __init__(self, folder: LogFolder, clock: Clock) -> None:
        self._folder = folder

    def why_not(self) -> str:
        """Return why nothing may be sent."""
        return self._folder.read("HALT").decode()

    def halt(self, by: str, reason: str) -> None:
        """Halt."""
        self._folder.replace("HALT", f"halted by {by}: {reason}".encode())
