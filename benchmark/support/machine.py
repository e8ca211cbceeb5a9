# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What a figure depends on: the machine, its kernel and how busy it is with other things."""

import os
import platform
import subprocess
from pathlib import Path


def _first_line(path):
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, IndexError):
        return "unknown"


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def liburing_version():
    try:
        found = subprocess.run(
            ["pkg-config", "--modversion", "liburing"], capture_output=True, text=True, check=False
        )
    except OSError:
        return "unknown (pkg-config is not installed)"
    return found.stdout.strip() or "unknown"


def describe():
    """The facts in the order in which they are printed."""
    return {
        "processor": cpu_model(),
        "processors": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "liburing": liburing_version(),
        "congestion control": _first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load average at the start": _first_line("/proc/loadavg"),
    }


def processor_times():
    """The clock ticks of all processors by kind, for `stolen_share`."""
    return [int(field) for field in _first_line("/proc/stat").split()[1:9]]


def stolen_share(before, after):
    """The share of the time that the hypervisor gave to others."""
    spent = [b - a for a, b in zip(before, after, strict=True)]
    return spent[7] / max(sum(spent), 1)
