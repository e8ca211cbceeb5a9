#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Adds up the test cases of several ctest runs: count.py <preset>=<junit file>...

Every program ends its output with `N passed, N failed, N skipped`. One that does not, because it
crashed, hung or was never built, counts as one failure, and so does one that ran nothing.
"""

import itertools
import re
import sys
import xml.etree.ElementTree

TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
MARKED = re.compile(r"^(FAILED|SKIPPED): (.*)$", re.MULTILINE)


NOISE = re.compile(r'(Entering|Leaving) test (case|suite|module) "')
SHOWN_LINES = 60


class Totals:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def fail(self, where, why):
        self.failed += 1
        print(f"FAILED: {where}: {why}")


def show_end(where, output):
    """Shows what a failed program printed last, without Boost.Test's account of its progress."""
    lines = [line for line in output.splitlines() if not NOISE.search(line)]
    print(f"==> the end of the output of {where}", file=sys.stderr)
    runs = [(line, len(list(same))) for line, same in itertools.groupby(lines)]
    for line, times in runs[-SHOWN_LINES:]:
        print(f"    {line}" + (f"  ({times} times)" if times > 1 else ""), file=sys.stderr)


def count_program(totals, preset, case):
    where = f"[{preset}] {case.get('name')}"
    output = case.findtext("system-out") or ""
    for kind, text in MARKED.findall(output):
        print(f"{kind}: {where}: {text}")

    if case.get("status") != "run":
        show_end(where, output)

    found = TOTALS.findall(output)
    if not found:
        totals.failed += sum(kind == "FAILED" for kind, _ in MARKED.findall(output))
        failure = case.find("failure")
        reason = (failure.get("message") if failure is not None else None) or "no totals printed"
        entered = re.findall(r'Entering test case "([^"]*)"', output)
        last = f"; the last test case entered is {entered[-1]}" if entered else ""
        totals.fail(where, f"crashed, hung or not built: {reason}{last}")
        return

    passed, failed, skipped = (int(number) for number in found[-1])
    totals.passed += passed
    totals.failed += failed
    totals.skipped += skipped
    if passed + failed + skipped == 0:
        totals.fail(where, "no test was run")
    elif case.get("status") != "run" and failed == 0:
        totals.fail(where, "every test passed, but the program did not end with status 0")


def count_run(totals, preset, file):
    try:
        cases = xml.etree.ElementTree.parse(file).getroot().findall("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        totals.fail(f"[{preset}]", "the build failed, or ctest left no results; see build/logs")
        return
    if not cases:
        totals.fail(f"[{preset}]", "no test was run")
    for case in cases:
        count_program(totals, preset, case)


def main(arguments):
    totals = Totals()
    for argument in arguments:
        preset, _, file = argument.partition("=")
        count_run(totals, preset, file)
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped")
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
