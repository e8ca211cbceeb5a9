# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""Where the built programs of a benchmark are."""

import os
import sys
from pathlib import Path


def executable(benchmark, name):
    """The path of bench_<benchmark>_<name>; ends the driver where there is none."""
    build = os.environ.get("SAFER_RING_BUILD_DIR")
    if not build:
        sys.exit(f"SAFER_RING_BUILD_DIR is not set; start this with ./dev bench {benchmark}")
    for folder in (Path(build) / "benchmark", Path(build)):
        path = folder / f"bench_{benchmark}_{name}"
        if path.is_file():
            return path
    sys.exit(f"bench_{benchmark}_{name} is not in {build}; build the target benchmarks first")
