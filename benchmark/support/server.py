# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the drivers that load a server have in common: its start and its end."""

import contextlib
import json
import select
import subprocess

from measured import MeasurementFailed

# Limits that only turn a hang into a failure.
START_WATCHDOG_S = 60
STOP_WATCHDOG_S = 30


def _facts(server):
    """What the server says of itself in its first line, which it prints when it serves."""
    readable, _, _ = select.select([server.stdout], [], [], START_WATCHDOG_S)
    line = server.stdout.readline() if readable else ""
    if not line.startswith("ready "):
        # What else it has said can be read to the end only when it has ended.
        server.kill()
        said = (line + server.stdout.read()).strip()
        raise MeasurementFailed(f"the server did not start: {said or 'it said nothing'}")
    return json.loads(line.removeprefix("ready "))


def _stop(server):
    server.terminate()
    try:
        output, _ = server.communicate(timeout=STOP_WATCHDOG_S)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"the server did not end within {STOP_WATCHDOG_S} s of SIGTERM") from None
    if server.returncode != 0:
        raise MeasurementFailed(f"the server ended with status {server.returncode}: {output.strip()}")


@contextlib.contextmanager
def running(command):
    """A fresh server process, and what it says of itself. It has to end well when it is told to."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield server, _facts(server)
        _stop(server)
    finally:
        if server.poll() is None:
            server.kill()
        server.wait()
        server.stdout.close()


def load(command, watchdog_s):
    """What a load prints, which has to end with status 0."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=watchdog_s, check=False)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"the load did not end within {watchdog_s} s") from None
    if done.returncode != 0:
        raise MeasurementFailed((done.stderr + done.stdout).strip() or f"the load ended with status {done.returncode}")
    return done.stdout
