"""Says how many mutants of `make mutants` died; exit code 1 when fewer than nine in ten did."""

import json
import subprocess
import sys
from pathlib import Path

LEAST_PERCENT = 90
STATS = Path("mutants/mutmut-cicd-stats.json")


def main() -> int:
    """Print each survivor, then the score; a mutant that hangs is as dead as one that fails."""
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    subprocess.run([mutmut, "results"], check=True)
    subprocess.run([mutmut, "export-cicd-stats"], check=True, capture_output=True)
    stats = json.loads(STATS.read_text(encoding="utf-8"))
    dead = stats["killed"] + stats["timeout"]
    percent = 100 * dead / stats["total"]
    print(f"{dead:,} of {stats['total']:,} mutants died, {percent:.1f} %")  # noqa: T201
    return int(percent < LEAST_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
