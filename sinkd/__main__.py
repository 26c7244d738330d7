"""Lets `python -m sinkd` stand for the `sinkd` command."""

from sinkd.cli import main

if __name__ == "__main__":
    main()
