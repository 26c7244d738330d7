"""How many runs may be in flight: in all, and to one host (T8)."""

from collections import Counter
from typing import Final

MAX_IN_FLIGHT: Final = 1024  # when nothing else is asked for
SPARE_FILES: Final = 128  # descriptors that are not requests


class Permits:
    """Counts what is in flight; not more than `limit`, not more than `per_host` to one host."""

    def __init__(self, limit: int, per_host: int | None = None) -> None:
        """Take a quarter of the limit for a host when nothing else is given."""
        self.limit = limit
        self.per_host = per_host or max(1, limit // 4)
        self.in_flight = 0
        self._to_host: Counter[str] = Counter()

    def take(self, host: str) -> bool:
        """Take one for a host, if there is one."""
        if self._to_host[host] >= self.per_host or self.in_flight >= self.limit:
            return False
        self._to_host[host] += 1
        self.in_flight += 1
        return True

    def give_back(self, host: str) -> None:
        """Give one back."""
        self.in_flight -= 1
        self._to_host[host] -= 1
        if not self._to_host[host]:
            del self._to_host[host]


def raise_file_limit(wanted: int) -> int:
    """Raise RLIMIT_NOFILE to its hard limit and return how many permits fit (T8)."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, hard - SPARE_FILES))
