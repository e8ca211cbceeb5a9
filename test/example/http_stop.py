#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""How the HTTP server ends: with status 0, within three seconds, and not before what is under way is done."""

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from support import STOP_S, WATCHDOG_S, Connection, Process, Skip, check, make_root, program, run_checks, until

folder = make_root()
root = Path(folder.name)
binary = program("HTTP_SERVER")
# The deadline is put far behind what a stop may take, so that no check passes by merely reaching it.
NO_DEADLINE = ["--stop-timeout-ms", "3600000"]


def serve(*options):
    return Process([binary, "--port", "0", "--root", str(root), *options])


def begin_stop(server, number=signal.SIGTERM):
    """Sends the signal and waits until the server no longer accepts; returns when that was."""
    began = time.monotonic()
    server.process.send_signal(number)

    def refused():
        with socket.socket() as probe:
            return probe.connect_ex(server.address) != 0

    until(refused, "the server to stop accepting")
    return began


@check
def signals_end_an_idle_server_with_status_0():
    for number in (signal.SIGINT, signal.SIGTERM):
        with serve(*NO_DEADLINE) as server:
            server.stop(number, STOP_S)


@check
def idle_connections_are_closed_at_once():
    with serve(*NO_DEADLINE) as server:
        clients = [Connection(server) for _ in range(20)]
        for client in clients[:10]:
            assert client.request("/hello.txt").status == 200
        # The others are accepted, in turn, before this one is.
        with Connection(server) as last:
            assert last.request("/hello.txt").status == 200
        began = begin_stop(server)
        assert all(client.at_end() for client in clients)
        server.wait(began, STOP_S)


@check
def large_download_under_way_is_finished():
    for has_sent_the_next_one in (False, True):
        with serve(*NO_DEADLINE) as server, Connection(server, receive_buffer=16384) as client:
            client.send(b"GET /large.bin HTTP/1.1\r\nHost: t\r\n\r\n")
            while b"\r\n\r\n" not in client.buffer:
                assert client.fill()
            if has_sent_the_next_one:
                client.send(b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n")
            begin_stop(server)
            assert server.process.poll() is None
            assert client.response().body == (root / "large.bin").read_bytes()
            if has_sent_the_next_one:
                last = client.response()
                assert (last.body, last.headers["connection"]) == (b"hello, world\n", "close")
            assert client.at_end()
            server.wait(time.monotonic(), STOP_S)


@check
def request_half_received_is_answered_and_the_connection_closed():
    with serve(*NO_DEADLINE) as server, Connection(server) as client:
        client.send(b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\nGET /hello.txt HTTP/1.1\r\nHo")
        assert client.response().status == 200
        began = begin_stop(server)
        client.send(b"st: t\r\n\r\n")
        response = client.response()
        assert response.body == b"hello, world\n" and response.headers["connection"] == "close"
        assert client.at_end()
        client.close()
        server.wait(began, STOP_S)


@check
def clients_that_never_finish_are_closed_at_the_deadline():
    with serve("--stop-timeout-ms", "300") as server:
        deaf, half, lingering = (Connection(server, receive_buffer=4096) for _ in range(3))
        deaf.send(b"GET /large.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        assert deaf.fill()
        half.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\nGET / HT")
        assert half.response().status == 200
        lingering.send(b"nonsense\r\n\r\n")
        assert lingering.response().status == 400
        server.wait(begin_stop(server), STOP_S)
        assert "did not finish in time" in server.stderr()


@check
def second_signal_ends_the_wait():
    with serve(*NO_DEADLINE) as server, Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\nGET / HT")
        assert client.response().status == 200
        begin_stop(server, signal.SIGINT)
        assert server.process.poll() is None
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        server.wait(began, STOP_S)


@check
def server_that_has_paused_accepting_stops():
    with serve("--connections", "1", *NO_DEADLINE) as server:
        with Connection(server) as first, Connection(server):
            assert first.request("/hello.txt").status == 200
            until(lambda: "accepting is paused" in server.stderr(), "the message about the pause")
            server.stop(within_s=STOP_S)


@check
def port_is_free_at_once_after_a_stop():
    with serve() as first:
        port = first.address[1]
        with Connection(first) as client:
            client.request("/hello.txt", headers=["Connection: close"])
            assert client.at_end()
        first.stop(within_s=STOP_S)
    with Process([binary, "--port", str(port), "--root", str(root)]) as second:
        with Connection(second) as client:
            assert client.request("/hello.txt").status == 200


@contextlib.contextmanager
def load(server, path):
    """A load of 256 connections for as long as the block lasts; the function that is given says why it has ended."""
    url = f"http://127.0.0.1:{server.address[1]}{path}"
    with tempfile.TemporaryFile() as output:
        wrk = subprocess.Popen(["wrk", "-t1", "-c256", "-d3600", url], stdout=output, stderr=output)

        def require_load():
            said = os.pread(output.fileno(), 1 << 16, 0).decode(errors="replace")
            assert wrk.poll() is None, f"wrk has ended with status {wrk.returncode}: {said}"

        try:
            yield require_load
        finally:
            wrk.kill()
            wrk.wait(WATCHDOG_S)


@check
def sigterm_under_load_ends_in_time():
    if not shutil.which("wrk"):
        raise Skip("wrk is not installed")
    for path in ("/", "/hello.txt", "/large.bin"):
        with serve("--stop-timeout-ms", "1000") as server, load(server, path) as require_load:
            with Connection(server) as client:
                own = itertools.count(1)

                def loaded():
                    require_load()
                    page = client.request("/status").body
                    # The server counts the requests of this client as well.
                    return int(re.search(rb"answered</dt><dd>(\d+)", page)[1]) - next(own) > 1000
                until(loaded, "the load to begin")
            require_load()
            server.stop(within_s=STOP_S)


run_checks()
