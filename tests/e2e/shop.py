"""The jobs of a shop, and a day of their life on a virtual clock, left in the files.

Much goes wrong in it, so that pages have something to show: a job has failed for two hours,
another overlaps itself, a third is paused, a machine slept, and a night's backup answered nothing.
"""

import asyncio
import functools
import json
import time

import httpx

from sinkd.instant import parse_rfc3339
from sinkd.state import Pause
from sinkd.testing import MemoryConfig, VirtualClock, World, run_virtual

BEGIN = "2026-11-22T13:12:40Z"  # a Sunday
FAILS_FROM = "2026-11-23T12:30:00Z"
END = "2026-11-23T14:30:20Z"
ZONE = "Europe/Berlin"
PAUSE = Pause(parse_rfc3339("2026-11-23T18:00:00Z"), "the search nodes are replaced", "anna")


def every(minutes, start=0):
    return {"interval_minutes": minutes, "start_minute": start}


def at(time, *days):
    return {"at": time, "timezone": ZONE, **({"days": days} if days else {})}


JOBS = (
    ("refresh-prices", "orders", every(15, 2), "Fresh prices for what is in a basket"),
    ("rebuild-search", "search", every(60, 10), "The search index, from the catalogue"),
    ("sync-orders", "orders", every(15, 5), "Copies paid orders to the warehouse"),
    ("poll-carrier", "orders", every(5), "Asks the carrier where the parcels are"),
    ("export-analytics", "finance", every(30, 20), ""),
    ("warm-search-cache", "search", every(20, 3), ""),
    ("charge-subscriptions", "finance", at("06:00"), "Charges what is due today"),
    ("send-invoices", "finance", at("08:30", "mon", "tue", "wed", "thu", "fri"), ""),
    ("backup", "platform", at("03:15"), "Asks the database for a backup"),
    ("stock-report", "finance", at("05:00", "sat"), ""),
    ("import-old-feed", "orders", every(60, 40), "Until the supplier has an API"),
)

MORE = {
    "import-old-feed": {"enabled": False},
    "rebuild-search": {"capture_headers": ["x-request-id"]},
    "export-analytics": {"timeout_seconds": 3600},
}


def jobs_file(url):
    """Return a jobs file whose requests go to `url`; JSON is YAML."""
    jobs = [
        {
            "name": name,
            **({"description": description} if description else {}),
            "labels": {"team": team},
            "schedule": schedule,
            "request": {"url": f"{url}/{name}"},
            **MORE.get(name, {}),
        }
        for name, team, schedule, description in JOBS
    ]
    return json.dumps({"version": 1, "jobs": jobs}, indent=1)


async def answer(request):
    """Answer as the shop's services did."""
    job, slot = request.headers["X-Sinkd-Job"], request.headers["X-Sinkd-Scheduled-At"]
    number = int(parse_rfc3339(slot)) // 60
    await asyncio.sleep(0.04 + number * 37 % 50 / 400)
    if job == "export-analytics":
        await asyncio.sleep(2100 if slot[11:13] in {"02", "07"} else 8 + number % 9)
    if job == "backup":
        raise httpx.ConnectError(job)
    if job == "rebuild-search" and slot >= FAILS_FROM:
        headers = {"X-Request-Id": "4f1c<script>alert(1)</script>"}
        return httpx.Response(503, headers=headers, text="no shards & no <b>luck</b>")
    return httpx.Response(504 if job == "refresh-prices" and number % 96 == 2 else 200)


async def _live(home, text):
    clock = VirtualClock(parse_rfc3339(BEGIN))
    world = World(home.data_dir, clock, MemoryConfig(text.encode(), home.config), answer)

    async def until(instant):
        await asyncio.sleep(parse_rfc3339(instant) - clock.wall())

    life = await world.start()
    await until("2026-11-22T21:10:30Z")
    clock.suspend(2 * 3600 + 900)
    await until("2026-11-23T13:57:00Z")
    await life.daemon.pause("warm-search-cache", PAUSE)
    await until(END)
    await life.stop()


def furnish(home, url):
    """Write the jobs file and the log of a home, up to `END`."""
    text = jobs_file(url)
    home.config.write_text(text)
    run_virtual(_live(home, text))


def now():
    """Return the time of the shop, which goes on from `END` when it is first asked for."""
    return time.time() + _offset()


@functools.cache
def _offset():
    return int(parse_rfc3339(END) - time.time())


def clock(library):
    """Return what gives processes the time of the shop."""
    # A lock that a thread waits for with a time-out would, with a false monotonic clock, never open.
    names = "DONT_FAKE_MONOTONIC", "FAKETIME_DONT_FAKE_MONOTONIC"
    return {
        "LD_PRELOAD": library,
        "FAKETIME": f"{_offset():+d}s",
        "TZ": "UTC",
        **dict.fromkeys(names, "1"),
    }
