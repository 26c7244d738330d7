"""The real runner, transport and resolver, sent to one target."""

import functools
import ssl

from faults.misbehaviours import CANARY, authority

from sinkd.resolver import Resolver
from sinkd.runner import Attempt, Direct, Runner, tls_context
from sinkd.secrets import Secrets
from sinkd.spec import Interval, Job, Request
from sinkd.wire import Wire


@functools.cache  # 60 ms
def context() -> ssl.SSLContext:
    """Return the client's TLS context, with the test's authority among the trusted."""
    context = tls_context()
    authority().configure_trust(context)
    return context


async def send(target, seconds):
    """Run a job with a secret at a target within a deadline; return its answer."""
    headers = (("Authorization", "Bearer ${env:TOKEN}"),)
    request = Request(target.url, "POST", headers, target.body)
    job = Job("hostile", Interval(5), request, seconds, 60, capture_headers=("x-quoted",))
    wire = Wire(context(), Resolver(target.lookup), target.policy)
    runner = Runner(Direct(wire), Secrets({"TOKEN": CANARY}, []), now=lambda: 0.0)
    return await runner.run(Attempt(job, "hostile@2026-11-23T09:05Z", 0, "schedule", "0" * 32))
