#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the HTTP server says when it cannot do what it is asked to at its start, also to an unprivileged user."""

import os
import re
import resource
import select
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from support import (SANITIZER_REPORT, WATCHDOG_S, Connection, Process, Skip, check, make_root, program,
                     require_no_ubsan, run_checks, until)

folder = make_root()
root = Path(folder.name)
NOBODY = 65534

# A copy that any user may execute, wherever the build directory lies.
binaries = tempfile.TemporaryDirectory(prefix="safer_ring_bin_")
os.chmod(binaries.name, 0o755)
binary = shutil.copy(program("HTTP_SERVER"), binaries.name)

with Process([binary, "--port", "0", "--root", str(root)]) as any_server:
    backend = re.search(r"\((.*)\)\n", any_server.line)[1]


def as_nobody():
    """Popen's options for an unprivileged user: another one if this is root, else the same."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def run(*options, **popen_options):
    return subprocess.run([binary, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=WATCHDOG_S, **popen_options)


def fails_with(expected, *options, **popen_options):
    result = run(*options, **popen_options)
    assert result.returncode == 1, (result.returncode, result.stderr)
    assert result.stdout == "" and result.stderr.startswith("http_server: "), (result.stdout, result.stderr)
    assert result.stderr.count("\n") == 1 and not SANITIZER_REPORT.search(result.stderr), result.stderr
    for text in expected:
        assert text in result.stderr, (text, result.stderr)


@check
def help_lists_the_options():
    result = run("--help")
    assert result.returncode == 0 and "--port" in result.stdout and "--root" in result.stdout


@check
def busy_port_is_named_with_its_likely_cause():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        fails_with([f"127.0.0.1 port {port}", "Address already in use", "another program listens there"],
                   "--port", str(port), "--root", str(root))


@check
def privileged_port_is_named_with_its_likely_cause():
    first_free = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first_free <= 1:
        raise Skip("net.ipv4.ip_unprivileged_port_start lets every user listen on every port")
    fails_with(["port 1:", "Permission denied", "CAP_NET_BIND_SERVICE"], "--port", "1", "--root", str(root),
               **as_nobody())


@check
def wrong_folder_is_named_with_its_likely_cause():
    fails_with(["'/no/such/folder'", "No such file or directory", "spelling"], "--port", "0", "--root", "/no/such/folder")
    fails_with(["'nowhere'", "looked for in"], "--port", "0", "--root", "nowhere")
    fails_with(["hello.txt'", "Not a directory", "a file"], "--port", "0", "--root", str(root / "hello.txt"))


@check
def unreadable_folder_is_named_with_its_likely_cause():
    if os.geteuid() == 0:
        locked = root / "locked"
        locked.mkdir(mode=0o700)
        fails_with(["locked'", "Permission denied", "may not read"], "--port", "0", "--root", str(locked), **as_nobody())
        locked.rmdir()
    else:
        fails_with(["Permission denied", "may not read"], "--port", "0", "--root", "/root")


@check
def wrong_address_is_named_with_its_likely_cause():
    fails_with(["'localhost'", "numeric"], "--port", "0", "--root", str(root), "--address", "localhost")
    fails_with(["203.0.113.1", "no network interface"], "--port", "0", "--root", str(root), "--address", "203.0.113.1")


@check
def wrong_options_are_named():
    for value in ("-1", "65536", "99999999999"):
        fails_with(["--port takes a number from 0 to 65535", value], "--port", value)
    fails_with(["abc"], "--port", "abc")
    fails_with(["--nonsense"], "--nonsense")
    fails_with(["--idle-timeout-ms"], "--idle-timeout-ms", "0")


@check
def ipv6_is_served_with_a_url_in_brackets():
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        raise Skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        raise Skip(f"no IPv6 loopback: {error}") from error
    with Process([binary, "--port", "0", "--root", str(root), "--address", "::1"]) as server:
        assert " on http://[::1]:" in server.line, server.line
        with Connection(server) as client:
            assert client.request("/hello.txt").status == 200


@check
def own_folder_is_the_default():
    with Process([binary, "--port", "0"]) as server:
        assert str(Path("example", "http_server", "www")) in server.line, server.line
        with Connection(server) as client:
            assert client.request("/about.html").status == 200
            assert b"about.html" in client.request("/").body


@check
def unprivileged_user_serves_and_gets_403_for_what_it_may_not_read():
    if os.geteuid() != 0:
        raise Skip("needs root to make a file that the server's user may not read")
    secret = root / "secret.txt"
    secret.write_bytes(b"secret")
    secret.chmod(0o600)
    with Process([binary, "--port", "0", "--root", str(root)], **as_nobody()) as server:
        with Connection(server) as client:
            assert client.request("/secret.txt").status == 403
            assert client.request("/hello.txt").status == 200
    secret.unlink()


def starts_or_says_why(name, limit, error):
    """Under a limit, a server either works, or gives the cause and ends or waits for better times."""
    def apply():
        resource.setrlimit(getattr(resource, name), (limit, limit))

    command = [binary, "--port", "0", "--root", str(root)]
    try:
        server = Process(command, preexec_fn=apply, **as_nobody())
    except AssertionError:
        expected = [error] if "Asio" in backend else [error, name]
        fails_with(expected, *command[1:], preexec_fn=apply, **as_nobody())
        return
    with server, Connection(server) as client:
        client.send(b"GET /status HTTP/1.1\r\nHost: t\r\n\r\n")
        until(lambda: select.select([client.socket], [], [], 0)[0] or "accepting is paused" in server.stderr(),
              "a response or a message")
        assert name in server.stderr() or client.response().status == 200, server.stderr()


@check
def no_lockable_memory_is_survived_or_explained():
    starts_or_says_why("RLIMIT_MEMLOCK", 0, "Cannot allocate memory")


@check
def almost_no_descriptors_is_survived_or_explained():
    require_no_ubsan(binary)
    for limit in (16, 8, 7, 6, 5, 4):
        starts_or_says_why("RLIMIT_NOFILE", limit, "Too many open files")


run_checks()
