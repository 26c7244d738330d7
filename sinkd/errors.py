"""Every exception that sinkd raises on purpose, each with the exit code it ends a command with.

    SinkdError                 1   something was found, and said on stderr
    ├── UsageError             2   wrong usage or platform; a file that cannot be read
    ├── LockedError            4   another daemon holds the data directory
    ├── RecordsLostError       5   stopped, but not every record could be made durable
    ├── LogUnusableError      74   the run log cannot be used: the supervisor should restart
    └── ConfigError           78   no jobs file to run with, or data of a newer version

A mistake of the person who runs sinkd is one of these, with a sentence that names the value, the
rule and the fix. What a server does is data, in a record. Anything else that is raised is a bug.
"""

from typing import ClassVar


class SinkdError(Exception):
    """The base of the tree: `str(error)` is the sentence for people, `exit_code` the command's."""

    exit_code: ClassVar[int] = 1


class UsageError(SinkdError):
    """The command cannot do what was asked: wrong usage, wrong platform, an unreadable file."""

    exit_code = 2


class LockedError(SinkdError):
    """Another daemon holds the data directory (R11)."""

    exit_code = 4


class RecordsLostError(SinkdError):
    """The daemon stopped, but not every record could be made durable (D2)."""

    exit_code = 5


class LogUnusableError(SinkdError):
    """The run log cannot be opened, or a sync of it failed (E6); a restart decides from the disk."""

    exit_code = 74


class ConfigError(SinkdError):
    """The daemon has no valid jobs file to run with, or found data of a newer version (R8, C6)."""

    exit_code = 78
