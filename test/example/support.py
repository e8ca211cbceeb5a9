# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the end-to-end tests share: checks and their counting, the server process, a bare HTTP client."""

import atexit
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

# Only turns a hang into a failure; nothing that works comes near it, under a sanitizer either.
WATCHDOG_S = 300
# What a stop may take, with all connections that are still being served; for the checks that are about it.
STOP_S = 3

SANITIZER_REPORT = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")

_checks = []


class Skip(Exception):
    """Raised by a check that cannot be made here; its text says why."""


def check(function):
    """Registers a function as a check. Its name says what holds."""
    _checks.append(function)
    return function


def run_checks():
    passed = failed = skipped = 0
    for function in _checks:
        name = function.__name__
        try:
            function()
            passed += 1
        except Skip as reason:
            skipped += 1
            print(f"SKIPPED: {name}: {reason}", flush=True)
        except Exception:  # noqa: BLE001, one failing check must not hide the next
            failed += 1
            print(f"FAILED: {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed else 0)


def program(name):
    """The program under test: the first argument, or SAFER_RING_<NAME>, or <NAME> from the environment."""
    path = next(iter(sys.argv[1:]), None) or os.environ.get(f"SAFER_RING_{name}") or os.environ.get(name)
    if not path:
        sys.exit(f"give the program as an argument or in SAFER_RING_{name}")
    return os.path.abspath(path)


def require_no_sanitizer(path):
    """For checks that count what a program asks of the kernel."""
    if re.search(rb"__[at]san_init", read_to_end(path)):
        raise Skip("a sanitizer makes system calls, and threads, of its own")


def require_no_ubsan(path):
    """For checks that leave a program without a free descriptor."""
    if b"__ubsan_handle_dynamic_type" in read_to_end(path):
        raise Skip("UBSan's check of types needs a free descriptor to look at memory, and reports its want as an error")


def until(condition, what):
    """Polls for a state of another process that gives no signal of its own."""
    deadline = time.monotonic() + WATCHDOG_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        select.select([], [], [], 0.01)


def read_to_end(path):
    with open(path, "rb") as file:
        return file.read()


class Process:
    """A server process that says on its first line where it listens. Leaving the block stops it, which has to
    succeed and be without a sanitizer's report."""

    def __init__(self, command, **popen_options):
        self.stderr_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, **{
            "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": self.stderr_file, **popen_options})
        readable, _, _ = select.select([self.process.stdout], [], [], WATCHDOG_S)
        self.line = self.process.stdout.readline().decode() if readable else ""
        match = re.search(r" on (?:http://)?(.*):(\d+)", self.line)
        if not match:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not start: {self.line!r} {self.stderr()!r}")
        atexit.register(self.kill)
        self.address = (match[1].strip("[]"), int(match[2]))

    @property
    def pid(self):
        return self.process.pid

    def stderr(self):
        # Not by read(): the server shares the file's position, and would write wherever that is moved to.
        return os.pread(self.stderr_file.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait(self, began, within_s=None):
        """Waits for a good end. How long a stop took is asked only where a check is about it: elsewhere, a machine
        that is busy with other things would fail checks about other things."""
        status = self.process.wait(WATCHDOG_S)
        took = time.monotonic() - began
        report = self.stderr()
        assert status == 0, f"exit status {status}, standard error: {report[:5000]}"
        assert not SANITIZER_REPORT.search(report), report[:5000]
        assert within_s is None or took < within_s, f"the stop took {took:.2f} s"

    def stop(self, number=signal.SIGTERM, within_s=None):
        began = time.monotonic()
        self.process.send_signal(number)
        self.wait(began, within_s)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.kill()
            print(f"standard error of the server: {self.stderr()[:3000]}", flush=True)
        elif self.process.poll() is None:
            self.stop()
        else:
            self.wait(time.monotonic())
        self.process.stdout.close()
        self.stderr_file.close()


class Response:
    def __init__(self, status, version, headers, body):
        self.status, self.version, self.headers, self.body = status, version, headers, body


class Connection:
    """A client that sends exactly the bytes it is told to, and takes responses apart."""

    def __init__(self, server, receive_buffer=None):
        family = socket.AF_INET6 if ":" in server.address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WATCHDOG_S)
        self.socket.connect(server.address)
        self.buffer = b""

    def send(self, data):
        self.socket.sendall(data)

    def request(self, path, method="GET", headers=(), version="1.1"):
        lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))
        return self.response(method)

    def fill(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return bool(data)

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            assert self.fill(), f"connection closed inside a header: {self.buffer[:200]!r}"
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        return int(status), version, {k.lower(): v for k, v in (f.split(": ", 1) for f in fields)}

    def response(self, method="GET"):
        status, version, headers = self.head()
        length = 0 if method == "HEAD" or status == 304 else int(headers["content-length"])
        chunks, missing = [self.buffer[:length]], length - len(self.buffer)
        self.buffer = self.buffer[length:]
        while missing > 0:
            data = self.socket.recv(min(missing, 1 << 20))
            assert data, "connection closed inside a body"
            chunks.append(data)
            missing -= len(data)
        return Response(status, version, headers, b"".join(chunks))

    def at_end(self):
        """Waits for the server to close; True when it sent nothing more before."""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            pass
        return not self.buffer

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make_root():
    """A folder to serve; the returned object removes it."""
    folder = tempfile.TemporaryDirectory(prefix="safer_ring_www_")
    root = Path(folder.name)
    root.chmod(0o755)
    (root / "hello.txt").write_bytes(b"hello, world\n")
    (root / "empty.txt").write_bytes(b"")
    (root / "page.html").write_bytes(b"<!DOCTYPE html><title>page</title>\n")
    (root / "no_extension").write_bytes(b"\x00\x01")
    (root / "with space & \u00fc?.txt").write_bytes(b"odd name\n")
    # With its header just less than a staging buffer of 4 KiB, and just more.
    (root / "fits.bin").write_bytes(bytes(i * 5 % 249 for i in range(3584)))
    (root / "small.bin").write_bytes(bytes(i * 7 % 251 for i in range(4096)))
    (root / "large.bin").write_bytes(bytes(i * 11 % 253 for i in range(1 << 16)) * 256 + b"end")
    (root / "folder").mkdir()
    (root / "folder" / "index.html").write_bytes(b"the folder's page\n")
    (root / "folder" / "inner.txt").write_bytes(b"inner\n")
    (root / "bare").mkdir()
    (root / "link_inside").symlink_to("folder/inner.txt")
    (root / "link_outside").symlink_to("/etc/passwd")
    (root / "link_up").symlink_to("../")
    (root / "folder_outside").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    return folder
