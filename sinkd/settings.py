"""The global options of the command line, handed to every command."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass
class Settings:
    """The global options: they may stand before or after a command's name."""

    config: Path = Path("jobs.yaml")
    data_dir: Path = Path(".sinkd")
    color: str = "auto"

    def use_color(self, stream: IO[str]) -> bool:
        """Say whether text on this stream is coloured: NO_COLOR, FORCE_COLOR, the terminal."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()
