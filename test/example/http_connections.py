#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""How long a connection to the HTTP server lives: keep-alive, pipelining, time-outs, limits of number."""

import os
import re
import resource
import select
import socket
from pathlib import Path

from support import WATCHDOG_S, Connection, Process, check, make_root, program, require_no_ubsan, run_checks, until

folder = make_root()
root = Path(folder.name)
binary = program("HTTP_SERVER")
# No time-out but the one that a check sets may end a connection within the watchdog's time.
PATIENT = {"--idle-timeout-ms": "3600000", "--header-timeout-ms": "3600000", "--write-timeout-ms": "3600000"}


def serve(*options, **popen_options):
    chosen = PATIENT | dict(zip(options[::2], options[1::2]))
    arguments = [text for option in chosen.items() for text in option]
    return Process([binary, "--port", "0", "--root", str(root), *arguments], **popen_options)


def status_number(client, name):
    page = client.request("/status").body.decode()
    return int(re.search(rf"<dt>{name}</dt><dd>(\d+)</dd>", page)[1])


@check
def connection_is_kept_and_counts_its_requests():
    with serve() as server, Connection(server) as client:
        for _ in range(50):
            response = client.request("/hello.txt")
            assert response.body == b"hello, world\n" and "connection" not in response.headers
        assert status_number(client, "connections accepted") == 1
        assert status_number(client, "requests answered") == 52


@check
def connection_closes_when_the_client_asks():
    with serve() as server:
        for version, header in (("1.1", "Connection: close"), ("1.0", "X: y"), ("1.0", "Connection: close")):
            with Connection(server) as client:
                assert client.request("/hello.txt", headers=[header], version=version).status == 200
                assert client.at_end()


@check
def http_1_0_can_be_kept_alive():
    with serve() as server, Connection(server) as client:
        for _ in range(3):
            response = client.request("/hello.txt", headers=["Connection: keep-alive"], version="1.0")
            assert (response.version, response.headers["connection"]) == ("HTTP/1.0", "keep-alive")


@check
def pipelined_requests_are_answered_in_order():
    paths = ["/hello.txt", "/small.bin", "/nothing", "/folder/inner.txt", "/large.bin", "/empty.txt"] * 20
    with serve() as server, Connection(server) as client:
        client.send(b"".join(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode() for path in paths))
        for path in paths:
            response = client.response()
            if path == "/nothing":
                assert response.status == 404
            else:
                assert response.body == (root / path[1:]).read_bytes(), path


@check
def request_may_come_byte_by_byte():
    with serve() as server, Connection(server) as client:
        for byte in b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\nGET /empty.txt HTTP/1.1\r\nHost: t\r\n\r\n":
            client.send(bytes([byte]))
        assert client.response().body == b"hello, world\n" and client.response().body == b""


@check
def empty_lines_before_a_request_are_skipped():
    request = b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n"
    body = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
    with serve() as server:
        with Connection(server) as client:
            for data in (b"\r\n" + request, b"\r\n\r\n" + request):
                client.send(data)
                assert client.response().status == 200, data
                for byte in data:
                    client.send(bytes([byte]))
                assert client.response().status == 200, data
            client.send(body + b"\r\n" + request)
            assert (client.response().status, client.response().status) == (405, 200)
        for data in (b"\r\n" * 3 + request, b"\r" + request, b"\n" + request, b"\r\n\r" + request):
            with Connection(server) as client:
                client.send(data)
                assert client.response().status == 400 and client.at_end(), data


@check
def empty_line_begins_no_request():
    with serve("--header-timeout-ms", "300") as server, Connection(server) as client:
        assert client.request("/hello.txt").status == 200
        client.send(b"\r\n")
        assert not select.select([client.socket], [], [], 1.0)[0]  # a span in which nothing may happen
        assert client.request("/hello.txt").status == 200
    with serve("--header-timeout-ms", "300") as server, Connection(server) as client:
        client.send(b"\r")
        assert client.at_end()


@check
def client_that_only_half_closes_gets_its_answer():
    with serve() as server, Connection(server) as client:
        client.send(b"GET /large.bin HTTP/1.1\r\nHost: t\r\n\r\n")
        client.socket.shutdown(1)
        assert client.response().body == (root / "large.bin").read_bytes() and client.at_end()


@check
def number_of_requests_per_connection_is_limited():
    with serve("--requests", "3") as server, Connection(server) as client:
        client.send(b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n" * 5)
        assert [client.response().headers.get("connection") for _ in range(3)] == [None, None, "close"]
        assert client.at_end()


@check
def idle_connection_is_closed_in_time():
    with serve("--idle-timeout-ms", "2000") as server:
        with Connection(server) as never_spoke, Connection(server) as spoke:
            assert spoke.request("/hello.txt").status == 200
            assert spoke.at_end() and never_spoke.at_end()


@check
def header_that_trickles_in_is_cut_off():
    with serve("--header-timeout-ms", "300") as server, Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(WATCHDOG_S * 20):  # a byte each 50 ms: every read succeeds, the whole takes too long
            if select.select([client.socket], [], [], 0.05)[0]:
                break
            client.send(b"x")
        else:
            raise AssertionError("the server never lost patience")
        assert client.at_end()


@check
def body_that_does_not_come_is_cut_off():
    with serve("--header-timeout-ms", "300") as server, Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
        assert client.at_end()


@check
def client_that_does_not_read_is_cut_off():
    with serve("--write-timeout-ms", "300") as server:
        with Connection(server, receive_buffer=4096) as deaf, Connection(server) as other:
            until(lambda: status_number(other, "connections open") == 2, "both connections")
            deaf.send(b"GET /large.bin HTTP/1.1\r\nHost: t\r\n\r\n")
            until(lambda: status_number(other, "connections open") == 1, "the deaf connection to be closed")


def last_answer_is_not_lost(head, status):
    """Bytes that the server left unread, and those that come after it closed, would reset the connection."""
    body = b"b" * 100000
    for before, after in ((head + body, b""), (head, body)):
        with serve() as server, Connection(server) as client:
            client.send(before)
            assert client.response().status == status, head
            client.send(after)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.socket.recv(1) == b"", head


@check
def answer_to_a_body_without_an_end_is_not_lost():
    for header, status in (("Transfer-Encoding: gzip", 501), ("Host: another", 400)):
        head = f"POST / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{header}\r\n\r\n"
        last_answer_is_not_lost(head.encode(), status)


@check
def answer_to_a_client_that_sends_on_after_its_last_request_is_not_lost():
    with serve() as server, Connection(server) as client:
        client.send(b"GET /hello.txt HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" + b"x" * 100000)
        assert client.response().body == b"hello, world\n"
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1) == b""


@check
def connections_beyond_the_limit_wait_their_turn():
    with serve("--connections", "5") as server:
        clients = [Connection(server) for _ in range(12)]
        for client in clients:
            client.send(b"GET /hello.txt HTTP/1.1\r\nHost: t\r\n\r\n")
        until(lambda: "accepting is paused" in server.stderr(), "the message about the pause")
        for client in clients:
            assert client.response().status == 200
            client.close()
        assert server.stderr().count("accepting is paused") == 1, server.stderr()
        assert "--connections allows no more" in server.stderr()


@check
def message_that_nobody_reads_does_not_end_the_server():
    reader, writer = os.pipe()
    with serve("--connections", "1", stderr=writer) as server:
        os.close(reader)
        os.close(writer)
        for _ in range(2):  # Behind each, accepting is paused, and that is said.
            with Connection(server) as client:
                assert client.request("/hello.txt").status == 200


def processor_time_ticks(server):
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def exhaust_descriptors(*options):
    """Opens more connections than 64 descriptors allow, and sees that the server neither dies nor spins."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with serve(*options, preexec_fn=limit) as server:
        clients = [Connection(server) for _ in range(100)]
        until(lambda: "accepting is paused" in server.stderr(), "the message about the pause")
        assert clients[0].request("/status").status == 200
        assert not select.select([clients[-1].socket], [], [], 0)[0]

        before = processor_time_ticks(server)
        select.select([], [], [], 1.0)  # a span to count in, nothing is awaited
        assert processor_time_ticks(server) - before < 50, "the server spins while it cannot accept"

        for client in clients:  # each that leaves makes room for the next one that waits
            assert client.request("/status").status == 200
            client.close()
        with Connection(server) as client:
            assert client.request("/hello.txt").status == 200
        message = server.stderr()
        assert message.count("accepting is paused") == 1 and "RLIMIT_NOFILE" in message, message
        assert " is 64;" in message, message


@check
def limit_of_64_descriptors_leaves_room_for_files():
    exhaust_descriptors()


@check
def running_out_of_descriptors_is_survived():
    require_no_ubsan(binary)
    exhaust_descriptors("--connections", "1000")


@check
def file_that_cannot_be_opened_for_want_of_descriptors_gets_503():
    require_no_ubsan(binary)
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with serve("--connections", "1000", preexec_fn=limit) as server:
        clients = [Connection(server) for _ in range(80)]
        until(lambda: "accepting is paused" in server.stderr(), "the message about the pause")
        response = clients[0].request("/hello.txt")
        assert response.status == 503 and response.headers["retry-after"] == "1", response.status
        assert b"Too many open files" in response.body
        for client in clients:
            client.close()
        with Connection(server) as client:
            assert client.request("/hello.txt").status == 200


run_checks()
