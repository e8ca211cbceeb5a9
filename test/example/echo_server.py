#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""The echo server of the README."""

import os
import resource
import signal
import socket
import subprocess
import threading

from support import WATCHDOG_S, Process, check, program, require_no_ubsan, run_checks, until

binary = program("ECHO_SERVER")


def serve(**popen_options):
    return Process([binary, "0"], **popen_options)


def connect(server):
    client = socket.create_connection(server.address, timeout=WATCHDOG_S)
    return client


def read_exactly(client, size):
    data = bytearray()
    while len(data) < size:
        more = client.recv(size - len(data))
        assert more, f"connection closed after {len(data)} of {size} bytes"
        data += more
    return bytes(data)


@check
def what_is_sent_comes_back():
    with serve() as server, connect(server) as client:
        for size in (1, 64, 4096, 4097, 100_000):
            data = os.urandom(size)
            client.sendall(data)
            assert read_exactly(client, size) == data


@check
def megabytes_come_back_unharmed_and_end_with_the_stream():
    data = os.urandom(8 << 20)
    with serve() as server, connect(server) as client:
        def send():
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        sender = threading.Thread(target=send)
        sender.start()
        assert read_exactly(client, len(data)) == data
        sender.join()
        assert client.recv(1) == b""


@check
def many_clients_are_served_at_once():
    with serve() as server:
        clients = [connect(server) for _ in range(200)]
        for turn in range(5):
            for number, client in enumerate(clients):
                client.sendall(b"%d:%d" % (turn, number))
            for number, client in enumerate(clients):
                expected = b"%d:%d" % (turn, number)
                assert read_exactly(client, len(expected)) == expected
        for client in clients:
            client.close()


@check
def clients_that_vanish_do_no_harm():
    with serve() as server, connect(server) as witness:
        for _ in range(100):
            client = connect(server)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing resets
            client.sendall(b"x" * 50_000)
            client.close()
        witness.sendall(b"still there")
        assert read_exactly(witness, 11) == b"still there"


@check
def signals_end_it_with_status_0_whatever_is_pending():
    for number in (signal.SIGINT, signal.SIGTERM):
        with serve() as server, connect(server) as idle, connect(server) as deaf:
            idle.sendall(b"x")
            assert idle.recv(1) == b"x"
            deaf.setblocking(False)
            try:
                while True:
                    deaf.send(b"y" * 65536)  # until neither side takes any more
            except BlockingIOError:
                pass
            server.stop(number)


@check
def running_out_of_descriptors_is_survived():
    require_no_ubsan(binary)
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    with serve(preexec_fn=limit) as server:
        clients = [connect(server) for _ in range(40)]
        until(lambda: "Too many open files" in server.stderr(), "the message about descriptors")
        for client in clients:
            client.close()
        with connect(server) as client:
            client.sendall(b"after")
            assert read_exactly(client, 5) == b"after"


@check
def wrong_ports_are_explained():
    with socket.create_server(("127.0.0.1", 0)) as other:
        for port, expected in ((str(other.getsockname()[1]), "Address already in use"), ("65536", "0 to 65535"),
                               ("-1", "0 to 65535"), ("abc", "0 to 65535"),
                               ("7777x", "0 to 65535"), ("0x", "0 to 65535"), ("", "0 to 65535")):
            result = subprocess.run([binary, port], capture_output=True, text=True, timeout=WATCHDOG_S)
            assert result.returncode == 1 and result.stderr.startswith("echo_server [port]: "), result
            assert expected in result.stderr, result


run_checks()
