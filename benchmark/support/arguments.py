# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the drivers take on their command lines, for argparse."""

import argparse
import os


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def numbers(text):
    """Positive numbers with commas between."""
    return [positive(part) for part in text.split(",")]


def some_of(names):
    """Some of these names, with commas between."""
    def chosen(text):
        unknown = sorted(set(text.split(",")) - set(names))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")
        return text.split(",")
    return chosen


def require_cpus(parser, *cpus):
    available = sorted(os.sched_getaffinity(0))
    for cpu in cpus:
        if cpu not in available:
            parser.error(f"there is no processor {cpu}; choose others from {available} (see --help)")
