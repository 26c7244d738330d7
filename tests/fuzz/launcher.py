"""Starts a program and prints its exit code, seconds of CPU and KiB of memory, as JSON.

    python launcher.py PROGRAM ARGUMENT...

A program's `ru_maxrss` begins with its parent's, and a process of tests is big; this one is small.
"""

import json
import os
import subprocess
import sys

process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
cpu = usage.ru_utime + usage.ru_stime
sys.stdout.write(json.dumps([process.returncode, cpu, usage.ru_maxrss]))
