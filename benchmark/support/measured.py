# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the drivers of programs that measure themselves have in common."""

import json
import subprocess

# A limit that only turns a hang into a failure.
WATCHDOG_S = 180


class MeasurementFailed(Exception):
    """A program did not do what it should; the text says what."""


def run_program(command, watchdog_s=WATCHDOG_S, **options):
    """One fresh process, which prints `ready {json}` and `result {json}`: both, and its standard error."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=watchdog_s, check=False, **options)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"it did not end within {watchdog_s} s") from None
    if done.returncode != 0:
        raise MeasurementFailed(done.stderr.strip() or f"it ended with status {done.returncode}")
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return json.loads(lines["ready"]), json.loads(lines["result"]), done.stderr


def print_programs(facts):
    print("\nPrograms")
    for program, details in facts.items():
        print(f"  {program}: {details['compiler']}{'' if details['optimised'] else ', NOT OPTIMISED'}")
        for line in details.get("ring", "").splitlines():
            print(f"    {line}")


def print_failures(failures):
    if failures:
        print(f"\n{len(failures)} measurements FAILED:")
        for text in failures:
            print("  " + text)
