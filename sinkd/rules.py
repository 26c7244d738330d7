"""Rules on what a jobs file means, beyond its shape: errors SNK110 to SNK118, warnings SNK3xx."""

from sinkd.findings import Findings


def check(findings: Findings) -> None:
    """Add what is wrong or doubtful with the meaning of a jobs file, whatever its shape."""
