"""Why each rule exists, with a file that breaks it and one that does not.

`sinkd explain CODE`, the rules page and SARIF show these; tests check every file.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Explanation(NamedTuple):
    """Why a rule exists, and two whole jobs files: `wrong` breaks it, `right` does not."""

    why: str
    wrong: str
    right: str


_HEAD: Final = "version: 1\njobs:\n"


def _job(**fields: str) -> str:
    """Return a job as it stands in a file, a line for each field; an empty one is left out."""
    usual = {
        "name": "refresh-cache",
        "schedule": "{interval_minutes: 15}",
        "request": "{url: https://api.example.com/refresh}",
    }
    lines = [f"{name}: {value}" for name, value in (usual | fields).items() if value]
    return "  - " + "\n    ".join(lines) + "\n"


def _file(**fields: str) -> str:
    return _HEAD + _job(**fields)


_RIGHT: Final = _file()
_TOKEN: Final = "{Authorization: 'Bearer ${env:TOKEN}'}"  # noqa: S105 (a reference)
_TWO_HOSTS: Final = _job() + _job(name="sync", request="{url: https://other.example.net/sync}")


def _jobs(number: int, schedule: str, **fields: str) -> str:
    """Return a file of many jobs, a line each; `#` in a field stands for the job's number."""
    usual = {"schedule": schedule, "request": "{url: https://api.example.com/#}"}
    text = ", ".join(f"{name}: {value}" for name, value in (usual | fields).items())
    lines = (f"  - {{name: job-{n}, {text.replace('#', str(n))}}}" for n in range(1, number + 1))
    return _HEAD + "\n".join(lines) + "\n"


_HOURLY: Final = "{interval_minutes: 60}"
_SPREAD: Final = "{interval_minutes: 60, start_minute: #}"

EXPLANATIONS: Final[Mapping[str, Explanation]] = {
    "SNK001": Explanation(
        "A jobs file is YAML 1.2. What is not YAML cannot be read at all, so nothing after the "
        "place is checked: mend it first, then look again.",
        "version: 1\njobs:\n  - name: refresh-cache\n\tschedule: {interval_minutes: 15}\n",
        _RIGHT,
    ),
    "SNK002": Explanation(
        "An empty file is more likely a mistake, such as a checkout that failed, than the wish "
        "to stop every job. `jobs: []` says that there are none.",
        "# jobs follow later\n",
        "version: 1\njobs: []\n",
    ),
    "SNK003": Explanation(
        "YAML readers keep one of two equal keys in silence, and not all keep the same one. "
        "What the author meant by the other would be lost.",
        _file(enabled="true\n    enabled: false"),
        _file(enabled="false"),
    ),
    "SNK004": Explanation(
        "Tags, anchors, aliases, merge keys, directives and further documents make a file that "
        "says something else than it shows, and small files that grow without bound. Values that "
        "jobs share stand in `defaults:`.",
        _file(request="&request {url: https://api.example.com/refresh}")
        + _job(name="refresh-again", request="*request"),
        _RIGHT + _job(name="refresh-again", schedule="{interval_minutes: 15, start_minute: 5}"),
    ),
    "SNK005": Explanation(
        "A jobs file is UTF-8. Control characters, marks that reverse the reading direction and "
        "blanks that only look like spaces show a reviewer another file than sinkd reads. In "
        "double quotes an escape such as `\\u202E` writes any character.",
        _file(description="Refresh \u202eehcac"),
        _file(description='"Refresh \\u202Eehcac"'),
    ),
    "SNK006": Explanation(
        "A file has at most 16 MiB, 50,000 jobs, 32 levels, 1,000 problems and, where most are tiny, 250,000 parts, so that "
        "reading one takes bounded time and memory, whoever wrote it.",
        _file(request=f"{{url: https://api.example.com/, body: {'[' * 32}{']' * 32}}}"),
        _file(request="{url: https://api.example.com/, body: [[1]]}"),
    ),
    "SNK101": Explanation(
        "A field that nobody knows would be ignored, and the job would run otherwise than its "
        "author believes. Keys that begin with `x-` are ignored on purpose, at the top and in a "
        "job.",
        _file(schedule="{interval_minute: 15}"),
        _RIGHT,
    ),
    "SNK102": Explanation(
        "Without these fields there is nothing to run: a file has `version` and `jobs`, a job "
        "`name`, `schedule` and `request`, a request `url`, a schedule `interval_minutes` or `at`, "
        "and `at` a `timezone`, because the machine's own is never used.",
        _file(request=""),
        _RIGHT,
    ),
    "SNK103": Explanation(
        "Only `true` and `false` are booleans in YAML 1.2. `yes` and `off` are texts there and "
        "booleans to YAML 1.1 tools, so two readers of one file would disagree.",
        _file(enabled="no"),
        _file(enabled="false"),
    ),
    "SNK104": Explanation(
        "A field's unit is in its name, and its value is a whole number in plain decimal. A number "
        "with a leading zero, such as `010`, is ten to YAML 1.2 and eight to YAML 1.1.",
        _file(schedule="{interval_minutes: 24h}"),
        _file(schedule="{interval_minutes: 1440}"),
    ),
    "SNK105": Explanation(
        "The field takes one of a few values, written exactly so: methods in upper case, days as "
        "`mon` to `sun`, the version as `1`, what to tell of as `failure`, `recovery` or "
        "`config_refused`.",
        _file(request="{url: https://api.example.com/refresh, method: post}"),
        _file(request="{url: https://api.example.com/refresh, method: POST}"),
    ),
    "SNK106": Explanation(
        "A URL is sent as it is written: `http` or `https`, ASCII, with a host, without user, "
        "password and fragment, at most 2,048 characters. References stand in its path and query "
        "alone, so a secret never chooses the host.",
        _file(request="{url: https://user:password@api.example.com/refresh}"),
        _RIGHT,
    ),
    "SNK107": Explanation(
        "A name identifies a job in the run log for ever, and stands in headers, terminals and "
        "addresses: lower-case letters, digits, `.`, `_` and `-`, at most 63 characters. Label "
        "keys follow the same rule. What people call the job goes into `description`.",
        _file(name="Refresh Cache"),
        _file(description="Refresh Cache"),
    ),
    "SNK108": Explanation(
        "The field holds text, and YAML reads an unquoted number, `true` or nothing as something "
        "else. Quotes make a value text.",
        _file(description="404"),
        _file(description='"404"'),
    ),
    "SNK109": Explanation(
        "Every number and length has bounds, which `schemas/jobs.schema.json` lists. Outside of "
        "them a value is a slip, or asks for what a minute-aligned scheduler does not do.",
        _file(schedule="{interval_minutes: 2880}"),
        _file(schedule="{interval_minutes: 1440}"),
    ),
    "SNK110": Explanation(
        "Names identify a job in the run log. With two of one name nobody could tell whose run a "
        "line records. Names that differ only in case count as equal.",
        _RIGHT + _job(schedule="{interval_minutes: 30}"),
        _RIGHT + _job(name="refresh-all", request="{url: https://api.example.com/refresh-all}"),
    ),
    "SNK111": Explanation(
        "The structure of the file is not that of a jobs file: `jobs` is a list, each job a "
        "mapping, and so are `schedule` and `request`.",
        "version: 1\njobs:\n  refresh-cache:\n    schedule: {interval_minutes: 15}\n"
        "    request: {url: https://api.example.com/refresh}\n",
        _RIGHT,
    ),
    "SNK112": Explanation(
        "sinkd has no cron expressions: an interval that starts at a minute, or times of a day, "
        "say the same in words that need no manual. Where an expression has an equivalent, the "
        "finding shows it; `sinkd import crontab` converts whole files.",
        _file(schedule='{cron: "*/15 * * * *"}'),
        _file(schedule="{interval_minutes: 15, start_minute: 0}"),
    ),
    "SNK113": Explanation(
        "The field exists, but not here. Mostly the indent is missing.",
        _file(request="", method="POST", url="https://api.example.com/refresh"),
        _file(request="\n      method: POST\n      url: https://api.example.com/refresh"),
    ),
    "SNK114": Explanation(
        "Secrets come from the environment, `${env:NAME}`, or from a file, `${file:NAME}`, when a "
        "request is sent. A reference that is written otherwise would be sent as text, and a "
        "signing key in the file would be no secret. `$${` writes `${` itself.",
        _file(request="{url: 'https://api.example.com/refresh?key=${KEY}'}"),
        _file(request="{url: 'https://api.example.com/refresh?key=${env:KEY}'}"),
    ),
    "SNK115": Explanation(
        "Some headers belong to sinkd or to HTTP itself, such as `Content-Length` and "
        "`Idempotency-Key`; another value would break the request or what the receiver can rely "
        "on. Names ignore case, and a value is one line.",
        _file(request='{url: https://api.example.com/, headers: {Content-Length: "5"}}'),
        _file(request="{url: https://api.example.com/, headers: {X-Mode: fast}}"),
    ),
    "SNK116": Explanation(
        "A body is text, or a mapping or list that is sent as JSON, at most 1 MiB. GET and HEAD "
        "have none, and JSON has no `.nan` and no `.inf`.",
        _file(request="{url: https://api.example.com/, method: GET, body: {a: 1}}"),
        _file(request="{url: https://api.example.com/, method: POST, body: {a: 1}}"),
    ),
    "SNK117": Explanation(
        "A time of day is `HH:MM` on 24 hours, and a time zone is a name that the IANA database "
        "has. Both are compared exactly, so that a typing error is never another time.",
        _file(schedule='{at: "9:00", timezone: Europe/Berlin}'),
        _file(schedule='{at: "09:00", timezone: Europe/Berlin}'),
    ),
    "SNK118": Explanation(
        "A schedule is either an interval, counted in UTC, or a list of local times; the fields of "
        "one mean nothing to the other. Two jobs can do both.",
        _file(schedule='{interval_minutes: 15, at: "09:00", timezone: Europe/Berlin}'),
        _file(schedule='{at: "09:00", timezone: Europe/Berlin}'),
    ),
    "SNK201": Explanation(
        "Jobs that name no minute all start at the same one, and what they share, such as a "
        "database behind several hosts, has its busiest second then. Many schedules do not mind "
        "another minute.",
        _jobs(100, _HOURLY, request="{url: https://#.example.com/}"),
        _jobs(50, _SPREAD, request="{url: https://#.example.com/}"),
    ),
    "SNK202": Explanation(
        "A server that gets many requests in one second may answer some of them with 429 or "
        "503, while it idles for the rest of the hour.",
        _jobs(30, _HOURLY),
        _jobs(30, _SPREAD),
    ),
    "SNK203": Explanation(
        "At most 1,024 runs are in flight, and a quarter of them to one host, unless `sinkd run` "
        "says otherwise. A run that waits longer than its catch-up window is `skipped/capacity`.",
        _jobs(300, "{interval_minutes: 1}"),
        _jobs(300, "{interval_minutes: 1}", timeout_seconds="20"),
    ),
    "SNK301": Explanation(
        "Over `http://` everybody on the way reads the request, its headers and its secrets, and "
        "can change the answer. To hosts of a private network it is no warning.",
        _file(request="{url: http://api.example.com/refresh}"),
        _RIGHT,
    ),
    "SNK302": Explanation(
        "Intervals are counted from the epoch, so one that does not divide a day runs at other "
        "times each day. That is well defined, and hardly ever meant.",
        _file(schedule="{interval_minutes: 7}"),
        _file(schedule="{interval_minutes: 8}"),
    ),
    "SNK303": Explanation(
        "Whoever can read the repository, or any copy of it, reads a secret that is written out. "
        "A reference keeps it outside, and lets it change without a commit.",
        _file(
            request="{url: https://api.example.com/, "
            "headers: {Authorization: Bearer 0123456789abcdef}}"
        ),
        _file(request=f"{{url: https://api.example.com/, headers: {_TOKEN}}}"),
    ),
    "SNK304": Explanation(
        "A start minute shifts the slots within one interval, so it repeats after it: 20 is 5 for "
        "an interval of 15. The job does not wait for minute 20 of an hour.",
        _file(schedule="{interval_minutes: 15, start_minute: 20}"),
        _file(schedule="{interval_minutes: 15, start_minute: 5}"),
    ),
    "SNK305": Explanation(
        "A default header goes with every request, so its secret is given to each host that a job "
        "calls, also to one that is added later.",
        f"version: 1\ndefaults: {{request: {{headers: {_TOKEN}}}}}\njobs:\n{_TWO_HOSTS}",
        _file(request=f"{{url: https://api.example.com/refresh, headers: {_TOKEN}}}")
        + _job(name="sync", request="{url: https://other.example.net/sync}"),
    ),
    "SNK306": Explanation(
        "Only the newest due slot is ever caught up, so a window as long as the interval or longer "
        "adds nothing: by then the next slot is due.",
        _file(catch_up_minutes="20"),
        _file(catch_up_minutes="10"),
    ),
    "SNK307": Explanation(
        "The header announces JSON and nothing follows. Many servers answer that with 400.",
        _file(request="{url: https://api.example.com/, headers: {Content-Type: application/json}}"),
        _file(request="{url: https://api.example.com/, body: {}}"),
    ),
    "SNK308": Explanation(
        "A text is sent as it is, and only the author knows what it is. Without a `Content-Type` "
        "the receiver guesses. A mapping or list is sent as JSON, and says so by itself.",
        _file(request="{url: https://api.example.com/, body: hello}"),
        _file(
            request="{url: https://api.example.com/, body: hello, "
            "headers: {Content-Type: text/plain}}"
        ),
    ),
    "SNK309": Explanation(
        "`EST` is the same offset all year, without the rules of any place, and the sign of "
        "`Etc/GMT+5` is the reverse of what people read. The name of a place knows its summer "
        "time.",
        _file(schedule='{at: "09:00", timezone: EST}'),
        _file(schedule='{at: "09:00", timezone: America/New_York}'),
    ),
    "SNK310": Explanation(
        "A job never runs twice at once: a run that may last as long as the interval makes its "
        "next slot `skipped/overlap`.",
        _file(schedule="{interval_minutes: 5}", timeout_seconds="300"),
        _file(schedule="{interval_minutes: 5}", timeout_seconds="60"),
    ),
    "SNK311": Explanation(
        "Two jobs that send the same request in the same minute are most often one that was "
        "copied and never changed: its server does the work twice.",
        _file() + _job(name="refresh-cache-2", schedule="{interval_minutes: 30}"),
        _file() + _job(name="refresh-cache-2", schedule="{interval_minutes: 30, start_minute: 5}"),
    ),
}
