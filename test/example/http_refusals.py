#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the HTTP server refuses, and that it lives on and loses nothing by it."""

import os
import select
import socket
import subprocess
from pathlib import Path

from support import WATCHDOG_S, Connection, Process, check, make_root, program, run_checks, until

folder = make_root()
root = Path(folder.name)
server = Process([program("HTTP_SERVER"), "--port", "0", "--root", str(root)])

descriptors_at_start = len(os.listdir(f"/proc/{server.pid}/fd"))
HOST = b"Host: test\r\n"


def raw(data):
    with Connection(server) as client:
        client.send(data)
        response = client.response()
        keep_alive = "close" if response.version == "HTTP/1.0" else "keep-alive"
        closed = response.headers.get("connection", keep_alive) == "close"
        if closed:
            # The client has to see the end, not a reset that could have eaten the response.
            assert client.socket.recv(1) == b"", data
        return response, closed


def status_of(data):
    return raw(data)[0].status


def get(path):
    with Connection(server) as client:
        return client.request(path)


@check
def malformed_requests_get_400_and_the_connection_closes():
    for data in (b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / FTP/1.1\r\n\r\n",
                 b"GET /a b.txt HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /a  HTTP/1.1\r\n" + HOST + b"\r\n", b"\x00\x01\x02\x03\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + HOST + b"Bad Field: x\r\n\r\n", b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", b"GET /a\x00b HTTP/1.1\r\n" + HOST + b"\r\n",
                 b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
                 b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                 b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
                 b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        response, closed = raw(data)
        assert response.status == 400 and closed, (data, response.status, closed)


@check
def http_1_1_without_exactly_one_host_gets_400():
    assert status_of(b"GET / HTTP/1.1\r\n\r\n") == 400
    assert status_of(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400
    assert status_of(b"GET / HTTP/1.0\r\n\r\n") == 200


@check
def host_that_is_none_gets_400():
    for host in (b"a b/c@@", b"a/b", b"a:b", b"[::1", b":80"):
        assert status_of(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == 400, host
    for host in (b"", b"a:80", b"[::1]:80"):
        assert status_of(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == 200, host
    assert get("http:///hello.txt").status == 400


@check
def malformed_targets_get_400():
    for target in ("/%", "/%4", "/%zz", "/a%00b", "/%0d%0aX:%20y", "/a%7f", "nothing", "*", "/a#b", "/hello.txt%00.html"):
        assert get(target).status == 400, target


@check
def methods_get_405_or_501_and_the_connection_stays():
    with Connection(server) as client:
        for method, status in (("POST", 405), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 405), ("TRACE", 405),
                               ("CONNECT", 405), ("BREW", 501), ("get", 501)):
            response = client.request("/hello.txt", method, ["Content-Length: 0"])
            assert response.status == status, method
            assert status != 405 or response.headers["allow"] == "GET, HEAD", method
        assert client.request("/hello.txt").status == 200


@check
def other_versions_get_505():
    for version in (b"2.0", b"1.2", b"0.9"):
        assert status_of(b"GET / HTTP/" + version + b"\r\n" + HOST + b"\r\n") == 505, version


@check
def unknown_transfer_encodings_get_501():
    for encoding in (b"gzip", b"gzip, chunked", b"chunked, identity"):
        data = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: " + encoding + b"\r\n\r\n0\r\n\r\n"
        response, closed = raw(data)
        assert response.status in (400, 501) and closed, (encoding, response.status)


@check
def expectations_are_answered_without_waiting_for_a_body():
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\nExpect: "
    assert status_of(head + b"100-continue\r\n\r\n") == 405
    assert status_of(head + b"a-miracle\r\n\r\n123456789") == 417


@check
def expectations_of_http_1_0_are_ignored():
    head = b" / HTTP/1.0\r\n" + HOST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    for method, status in ((b"GET", 200), (b"POST", 405)):
        with Connection(server) as client:
            client.send(method + head)
            # Nothing comes before the body does.
            assert not select.select([client.socket], [], [], 0.3)[0]
            client.send(b"123456789")
            assert client.response().status == status


@check
def header_of_a_mebibyte_gets_431():
    field = b"X: " + b"x" * 1000 + b"\r\n"
    response, closed = raw(b"GET / HTTP/1.1\r\n" + HOST + field * 1045 + b"\r\n")
    assert response.status == 431 and closed
    response, closed = raw(b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * (1 << 20) + b"\r\n\r\n")
    assert response.status == 431 and closed


@check
def header_of_many_short_fields_gets_431():
    # Each read of the server's ends a byte behind a field, where the parser of Boost 1.81 begins to count anew.
    assert status_of(b"GET /aaa HTTP/1.1\r\n" + b"a:\r\n" * 16384) == 431


@check
def target_of_a_mebibyte_gets_414():
    response, closed = raw(b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert response.status == 414 and closed


@check
def bodies_are_skipped_up_to_the_limit_and_413_beyond():
    with Connection(server) as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 50000\r\n\r\n" + b"b" * 50000)
        assert client.response().status == 405
        client.send(b"GET /hello.txt HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
                    b"5;x=y\r\nabcde\r\n0\r\nTrailer: t\r\n\r\n")
        assert client.response().body == b"hello, world\n"
        assert client.request("/hello.txt").status == 200
    head = b"POST / HTTP/1.1\r\n" + HOST
    assert status_of(head + b"Content-Length: 1000000\r\n\r\n" + b"b" * 1000000) == 413
    assert status_of(head + b"Content-Length: 99999999999999\r\n\r\n") == 413
    assert status_of(head + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b"b" * 0x8000 + b"\r\n"
                     + b"9000\r\n" + b"b" * 0x9000 + b"\r\n0\r\n\r\n") == 413
    assert status_of(head + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 200000) == 400
    assert status_of(head + b"Transfer-Encoding: chunked\r\n\r\n0\r\nT: " + b"x" * 200000) == 400


@check
def missing_files_get_404():
    for target in ("/nothing", "/folder/nothing", "/hello.txt/more", "/" + "n" * 300, "/" + "d/" * 3000, "/%2e%2e%2e"):
        assert get(target).status == 404, target[:40]


@check
def traversal_is_refused():
    for target in ("/../etc/passwd", "/../../../../../../etc/passwd", "/folder/../../etc/passwd", "/folder/..",
                   "/%2e%2e/etc/passwd", "/..%2fetc/passwd", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/.%2e/etc/passwd",
                   "http://h/../etc/passwd", "/link_outside", "/folder_outside/passwd", "/folder_outside/",
                   "/link_up/" + root.name + "/hello.txt"):
        response = get(target)
        assert response.status == 403 and b"root:" not in response.body, (target, response.status)
    for target in ("//etc/passwd", "/%2fetc/passwd", "/..%5cetc/passwd", "/%252e%252e/etc/passwd", "/.../passwd",
                   "/proc/self/environ"):
        response = get(target)
        assert response.status == 404 and b"root:" not in response.body, (target, response.status)


@check
def pipes_and_sockets_are_refused():
    writer = subprocess.Popen(["sh", "-c", f"printf text > '{root}/pipe'"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    states = []

    def waits_for_a_reader():
        states.append(Path(f"/proc/{writer.pid}/stat").read_text().rsplit(")", 1)[1].split()[0])
        return states[-5:] == ["S"] * 5

    try:
        until(waits_for_a_reader, "the writer to wait for a reader")
        assert get("/pipe").status == 403
        # The server has not let it in, and gone.
        with open(os.open(root / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as pipe:
            assert writer.wait(WATCHDOG_S) == 0
            assert pipe.read() == b"text"
    finally:
        writer.kill()
        writer.wait()
    folder_of_socket = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            # The address of a local socket has room for 107 characters, which the folder's path alone may exceed.
            listening.bind(f"/proc/self/fd/{folder_of_socket}/socket")
            assert get("/socket").status == 403
    finally:
        os.close(folder_of_socket)


@check
def nothing_is_left_behind():
    with Connection(server) as client:
        assert client.request("/hello.txt").status == 200
        for _ in range(200):
            assert status_of(b"nonsense\r\n\r\n") == 400
            assert get("/large.bin?" + "q" * 100).status == 200
            with Connection(server) as rude:
                rude.send(b"GET /large.bin HTTP/1.1\r\n" + HOST + b"\r\nGET /hel")
        until(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) == descriptors_at_start + 1, "all connections and files of the server to be closed")
        assert client.request("/hello.txt").status == 200


@check
def server_stops_with_status_0_and_no_report():
    server.stop()


run_checks()
