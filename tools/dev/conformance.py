#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Runs the conformance programs, each of the build that ./dev test has it from, and writes what each
property came to on each context: conformance.py <folder of the builds> <Markdown file>."""

import collections
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys

PROGRAMS = ("conformance", "conformance.objects", "drop_in")
# Files, and what is different for other objects where Asio knows of io_uring.
PROGRAMS_WITH_FILES = ("conformance.io_uring", "drop_in.io_uring")
# A limit that only turns a hang into a failure.
WATCHDOG_S = 900
WITH_FILES = " with `BOOST_ASIO_HAS_IO_URING`"
ENTERING = re.compile(r'\(\d+\): Entering test case "([^"]*)"')
SUITE = re.compile(r'\(\d+\): Entering test suite "([^"]*)"')
TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
OUTCOME = re.compile(r"^(FAILED|SKIPPED): ([^:\n]*(?:::[^:\n]*)*)", re.MULTILINE)
# How the contexts appear in the names of tests, and the columns they go to.
CONTEXTS = (
    ("drop_in_context", "drop-in"),
    ("host_context", "attached"),
    ("safer_ring__v1__io_context", "ours"),
    ("boost__asio__io_context", "Asio"),
)
# Other scripts run what is told of there (test/upstream/asio_tests.py).
KEPT = "\n## Asio's unit tests through the drop-in\n"
COLUMNS = ("Asio", "ours", "drop-in", "attached")


def split(name):
    """A test's name without its context, and the context's column."""
    base, _, parameters = name.partition("<")
    for text, column in CONTEXTS:
        if text in parameters:
            rest = parameters.replace(text, "").strip("<>_ ")
            kinds = re.findall(r"[a-z][a-z_]*_(?:channel|operation|protocol|ends|pair)|udp",
                               rest.replace("__", " "))
            return base + (f" ({', '.join(dict.fromkeys(kinds))})" if kinds else ""), column
    return None, None


def run(builds, program):
    build = builds / ("clang" if program.startswith("drop_in") else "release")
    environment = dict(os.environ, BOOST_TEST_LOG_LEVEL="test_suite", BOOST_TEST_COLOR_OUTPUT="no")
    environment["SAFER_RING_BUILD_DIR"] = str(build)
    environment["SAFER_RING_SOURCE_DIR"] = str(pathlib.Path(__file__).resolve().parents[2])
    try:
        done = subprocess.run([build / "test" / program], capture_output=True, text=True, env=environment,
                              errors="replace", check=False, timeout=WATCHDOG_S)
    except subprocess.TimeoutExpired:
        sys.exit(f"{program} did not end within {WATCHDOG_S} s; nothing was written")
    output = done.stdout + done.stderr
    # One that crashed has not told of the test it was in, nor of those behind it.
    totals = TOTALS.findall(output)
    if not totals or (done.returncode != 0) != (totals[-1][1] != "0"):
        sys.exit(f"{program} ended with status {done.returncode} "
                 f"{'and' if totals else 'without'} its totals; nothing was written")
    return output


def collect(builds):
    """{suite: {property: {column: [passed, failed, skipped]}}}"""
    table = collections.defaultdict(lambda: collections.defaultdict(
        lambda: collections.defaultdict(lambda: [0, 0, 0])))
    without_files = ()
    for program in PROGRAMS + PROGRAMS_WITH_FILES:
        if program == PROGRAMS_WITH_FILES[0]:
            without_files = frozenset(table)
        output = run(builds, program)
        bad = {name.strip(): what for what, name in OUTCOME.findall(output)}
        suite = ""
        for line in output.splitlines():
            if found := SUITE.search(line):
                suite = found[1]
            elif found := ENTERING.search(line):
                base, column = split(found[1])
                if base is None:
                    continue
                what = bad.get(f"{suite}/{found[1]}")
                suite_key = suite
                if suite in without_files:
                    suite_key += WITH_FILES
                index = {"FAILED": 1, "SKIPPED": 2}.get(what, 0)
                table[suite_key][base][column][index] += 1
    return table


def matrix(properties):
    """A table of operation × property, and the legend of its columns."""
    outcomes = collections.defaultdict(dict)
    for name, by in properties.items():
        base, operation = re.fullmatch(r"(.*) \(([a-z_]+)_operation\)", name).groups()
        outcomes[operation][base] = by
    bases = list(dict.fromkeys(base for by_base in outcomes.values() for base in by_base))
    contexts = [c for c in COLUMNS if any(c in by for by in properties.values())]
    lines = ["", f"On each of {', '.join(contexts)}; an empty cell means nothing for the operation, or its",
             "object has no such function.", ""]
    lines += [f"{number}. {base.replace('_', ' ')}" for number, base in enumerate(bases, 1)]
    lines += ["", "| operation | " + " | ".join(str(n) for n in range(1, len(bases) + 1)) + " |",
              "|---|" + "---|" * len(bases)]
    for operation, by_base in outcomes.items():
        cells = []
        for base in bases:
            if base not in by_base:
                cells.append("")
                continue
            seen = {c: cell(by_base[base].get(c)) for c in contexts}
            cells.append("✓" if set(seen.values()) == {"✓"} else
                         ", ".join(f"{c}: {what or 'not run'}" for c, what in seen.items() if what != "✓"))
        lines.append(f"| {operation.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return lines


def cell(counts):
    if counts is None:
        return ""
    passed, failed, skipped = counts
    if failed:
        return f"**{failed} of {sum(counts)} fail**"
    if skipped:
        return f"{passed} of {sum(counts)}, rest skipped" if passed else "skipped"
    return "✓" if passed == 1 else f"✓ ×{passed}"


def kept_of(file):
    """The section that other runs are told of in."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return text[text.find(KEPT):] if KEPT in text else ""


def write(table, file):
    file = pathlib.Path(file)
    kept = kept_of(file)
    lines = [
        "# What behaves as Asio's",
        "",
        "Written by `./dev docs` from a run of the conformance suite, but for its last section, which it",
        "leaves as it is. Every property is a test that is written once and run on each kind of context:",
        "",
        "- **Asio**: `net::io_context`, which proves that the test expects what Asio does;",
        "- **ours**: `safer_ring::io_context`, with our executor in the types of the I/O objects;",
        "- **drop-in**: the same, with objects of `net::any_io_executor`;",
        "- **attached**: a `net::io_context` with ours attached, through the drop-in.",
        "",
        "✓ passed, with the number of variants; an empty cell was not run on that kind.",
        "",
        "What Beast's own tests, examples, and others come to is in [upstream.md](upstream.md).",
        "",
        f"Kernel {platform.release().split('-')[0]}, {datetime.date.today().isoformat()}.",
    ]
    totals = collections.Counter()
    for suite, properties in sorted(table.items()):
        columns = [c for c in COLUMNS if any(c in by for by in properties.values())]
        title = suite.removesuffix(WITH_FILES)
        lines += ["", f"## {title.replace('_', ' ')}{suite[len(title):]}"]
        if all(name.endswith("_operation)") for name in properties):
            lines += matrix(properties)
        else:
            lines += ["", "| property | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
            lines += [f"| {name.replace('_', ' ')} | " + " | ".join(cell(by.get(c)) for c in columns) + " |"
                      for name, by in properties.items()]
        for by in properties.values():
            for column, counts in by.items():
                totals[column, "passed"] += counts[0]
                totals[column, "bad"] += counts[1]
    summary = ", ".join(f"{c} {totals[c, 'passed']} passed and {totals[c, 'bad']} failed" for c in COLUMNS)
    lines.insert(15, f"In all: {summary}.")
    file.write_text("\n".join(lines) + "\n" + kept, encoding="utf-8")
    print(summary)


if __name__ == "__main__":
    write(collect(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2])
