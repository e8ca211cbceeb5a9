#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the running HTTP server is made of: its threads, descriptors and system calls, and that it bears a load."""

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from support import WATCHDOG_S, Connection, Process, Skip, check, make_root, program, require_no_sanitizer, run_checks, until

folder = make_root()
root = Path(folder.name)
binary = program("HTTP_SERVER")
server = Process([binary, "--port", "0", "--root", str(root)])
descriptors = f"/proc/{server.pid}/fd"
descriptors_at_start = len(os.listdir(descriptors))
backend = re.search(r"\((.*)\)\n", server.line)[1]


def require_io_uring():
    if backend != "io_uring":
        raise Skip(f"the server runs on {backend}")


def make_requests(connections, rounds, paths=("/hello.txt", "/status", "/fits.bin")):
    for _ in range(rounds):
        for path in paths:
            for client in connections:
                client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            for client in connections:
                assert client.response().status == 200, path


@check
def there_is_one_thread_beside_the_kernels():
    with Connection(server) as client:
        make_requests([client], 10)
        names = [Path(task, "comm").read_text().strip() for task in Path(f"/proc/{server.pid}/task").iterdir()]
    assert len([name for name in names if not name.startswith("iou-")]) == 1, names


def targets_of_descriptors():
    targets = []
    for fd in Path(descriptors).iterdir():
        # The server may close the connections of the checks before this one meanwhile.
        with contextlib.suppress(FileNotFoundError):
            targets.append(os.readlink(fd))
    return targets


@check
def there_is_no_epoll_descriptor():
    require_io_uring()
    targets = targets_of_descriptors()
    assert any("io_uring" in target for target in targets), targets
    assert not any("eventpoll" in target for target in targets), targets


def trace(action):
    """Names and numbers of the system calls that the server makes during the action."""
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    with tempfile.NamedTemporaryFile() as output, tempfile.TemporaryFile() as messages:
        tracer = subprocess.Popen(["strace", "-f", "-o", output.name, "-p", str(server.pid)], stderr=messages)
        try:
            def said():
                return os.pread(messages.fileno(), 1 << 20, 0).decode()
            until(lambda: "attached" in said() or tracer.poll() is not None, "strace to attach")
            if tracer.poll() is not None:
                raise Skip(f"strace cannot attach: {said().strip()}")
            action()
        finally:
            if tracer.poll() is None:
                tracer.send_signal(signal.SIGINT)
            tracer.wait(WATCHDOG_S)
        lines = Path(output.name).read_text(errors="replace").splitlines()
    return collections.Counter(match[1] for match in (re.match(r"\d+ +(\w+)\(", line) for line in lines) if match)


@check
def requests_cost_only_io_uring_enter_and_file_reads():
    require_io_uring()
    require_no_sanitizer(binary)
    rounds, clients = 100, [Connection(server) for _ in range(8)]
    make_requests(clients, 5)  # what is set up once per connection, or grows once, is there afterwards
    calls = trace(lambda: make_requests(clients, rounds))
    for client in clients:
        client.close()
    files = {"openat", "openat2", "fstat", "newfstatat", "statx", "pread64", "close"}
    once = {"restart_syscall"}  # the call that strace interrupted by attaching
    others = set(calls) - files - once - {"io_uring_enter"}
    assert not others, calls
    # Requests that arrive together are answered together: fewer entries into the kernel than the two per request
    # that reading and writing one by one would take.
    assert 0 < calls["io_uring_enter"] <= 2 * rounds * 3 * len(clients), calls


@check
def idle_server_makes_no_system_calls():
    # It is not idle while it closes the connections of the checks before this one.
    until(lambda: len(os.listdir(descriptors)) == descriptors_at_start, "earlier connections to be closed")
    calls = trace(lambda: time.sleep(1))  # a span to count in, nothing is awaited
    assert sum(calls.values()) <= 4, calls


@check
def load_of_256_connections_is_borne_without_an_error():
    if not shutil.which("wrk"):
        raise Skip("wrk is not installed")
    for path in ("/", "/hello.txt"):
        url = f"http://127.0.0.1:{server.address[1]}{path}"
        output = subprocess.run(["wrk", "-t1", "-c256", "-d5", "--timeout", "20s", url], capture_output=True, text=True, check=True,
                                timeout=WATCHDOG_S).stdout
        print(f"{path}: " + re.search(r"Requests/sec: +(.*)", output)[1] + " requests per second", flush=True)
        assert "Socket errors" not in output and "Non-2xx" not in output, output
        assert int(re.search(r"(\d+) requests in", output)[1]) > 0, output


@check
def many_connections_one_after_another_leave_nothing_behind():
    with Connection(server) as kept:
        make_requests([kept], 1)
        until(lambda: b"open</dt><dd>1<" in kept.request("/status").body, "earlier connections to be gone")
        before = len(os.listdir(descriptors))
        for _ in range(2000):
            with Connection(server) as client:
                assert client.request("/hello.txt", headers=["Connection: close"]).status == 200
        until(lambda: b"open</dt><dd>1<" in kept.request("/status").body, "the connections to be gone")
        assert len(os.listdir(descriptors)) == before


@check
def server_stops_with_status_0_and_no_report():
    server.stop()


run_checks()
