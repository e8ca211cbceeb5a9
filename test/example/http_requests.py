#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""What the HTTP server answers to well-formed requests."""

import os
import re
import shutil
import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

from support import Connection, Process, Skip, check, make_root, program, run_checks, until

folder = make_root()
root = Path(folder.name)
large = (root / "large.bin").read_bytes()
server = Process([program("HTTP_SERVER"), "--port", "0", "--root", str(root)])


def get(path, *headers, method="GET"):
    with Connection(server) as client:
        return client.request(path, method, headers)


@check
def start_line_names_root_address_and_backend():
    pattern = rf"serving {re.escape(str(root))} on http://127\.0\.0\.1:\d+ \((io_uring|epoll|Asio .*)\)\n"
    assert re.fullmatch(pattern, server.line), server.line


@check
def root_without_index_shows_the_landing_page():
    response = get("/")
    assert response.status == 200 and response.headers["content-type"].startswith("text/html")
    backend = re.search(r"\((.*)\)\n", server.line)[1]
    assert f"Boost.Beast on {backend}".encode() in response.body
    assert b"hello.txt" in response.body and b"link_outside" not in response.body
    assert get("/status").body.startswith(b"<!DOCTYPE html>")


@check
def curl_gets_a_file():
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    url = f"http://127.0.0.1:{server.address[1]}/large.bin"
    assert subprocess.run(["curl", "-sf", url], stdout=subprocess.PIPE, check=True).stdout == large


@check
def files_come_with_their_type_and_length():
    for name, expected in {"hello.txt": "text/plain; charset=utf-8", "page.html": "text/html; charset=utf-8",
                           "small.bin": "application/octet-stream", "no_extension": "application/octet-stream",
                           "empty.txt": "text/plain; charset=utf-8", "large.bin": "application/octet-stream"}.items():
        response = get("/" + name)
        assert response.status == 200 and response.headers["content-type"] == expected, name
        assert response.body == (root / name).read_bytes(), name
        assert "last-modified" in response.headers and "etag" in response.headers and "date" in response.headers


@check
def head_has_the_fields_of_get_and_no_body():
    for path in ("/hello.txt", "/large.bin", "/nothing", "/bare"):
        with Connection(server) as client:
            head = client.request(path, "HEAD")
            again = client.request(path, "GET")
            differing = {"date"}
            assert head.status == again.status and head.body == b""
            assert {k: v for k, v in head.headers.items() if k not in differing} == \
                {k: v for k, v in again.headers.items() if k not in differing}, path


@check
def single_ranges_are_served():
    size = len(large)
    for asked, first, last in [("0-0", 0, 0), ("5-9", 5, 9), (f"{size - 3}-", size - 3, size - 1),
                               ("-3", size - 3, size - 1), ("100000-400000", 100000, 400000),
                               (f"7-{size * 2}", 7, size - 1), (f"-{size * 2}", 0, size - 1),
                               ("1-99999999999999999999999", 1, size - 1)]:
        response = get("/large.bin", f"Range: bytes={asked}")
        assert response.status == 206, (asked, response.status)
        assert response.headers["content-range"] == f"bytes {first}-{last}/{size}", asked
        assert response.body == large[first:last + 1], asked


@check
def unsatisfiable_ranges_get_416():
    size = len(large)
    for path, asked, total in [("/large.bin", f"{size}-", size), ("/large.bin", "-0", size),
                               ("/large.bin", "99999999999999999999999-", size), ("/empty.txt", "0-", 0),
                               ("/empty.txt", "-5", 0)]:
        response = get(path, f"Range: bytes={asked}")
        assert response.status == 416 and response.headers["content-range"] == f"bytes */{total}", asked


@check
def ranges_that_may_be_ignored_get_the_whole():
    for asked in ("bytes=0-1,4-5", "lines=1-2", "bytes=5-2", "bytes=x-", "bytes=", "bytes=-", "bytes=1", "nonsense"):
        assert get("/hello.txt", f"Range: {asked}").status == 200, asked
    assert get("/hello.txt", "Range: bytes=0-1", method="HEAD").status == 200


@check
def conditions_are_honoured():
    first = get("/hello.txt")
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    for header in (f"If-None-Match: {tag}", f'If-None-Match: "other", W/{tag}', "If-None-Match: *",
                   f"If-Modified-Since: {modified}", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"):
        response = get("/hello.txt", header)
        assert response.status == 304 and response.headers["etag"] == tag, header
    for headers in (['If-None-Match: "other"'], ["If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
                    ["If-Modified-Since: not a date"], [f"If-Modified-Since: {modified}", 'If-None-Match: "other"']):
        assert get("/hello.txt", *headers).status == 200, headers
    for condition, status in ((tag, 206), (modified, 200), ("", 200), ('"other"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        response = get("/hello.txt", "Range: bytes=0-1", f"If-Range: {condition}")
        assert response.status == status, condition


@check
def failed_preconditions_get_412():
    first = get("/hello.txt")
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    long_ago = "Thu, 01 Jan 1970 00:00:00 GMT"
    for headers in ([f"If-Match: {tag}"], ["If-Match: *"], ['If-Match: "other"', f"If-Match: {tag}"],
                    [f"If-Unmodified-Since: {modified}"], [f"If-Unmodified-Since: {long_ago}", "If-Match: *"]):
        assert get("/hello.txt", *headers).body == b"hello, world\n", headers
    for headers in (['If-Match: "other"'], [f"If-Match: W/{tag}"], [f"If-Unmodified-Since: {long_ago}"],
                    ['If-Match: "other"', f"If-None-Match: {tag}"]):
        for method in ("GET", "HEAD"):
            with Connection(server) as client:
                response = client.request("/hello.txt", method, headers)
                assert response.status == 412 and response.headers["etag"] == tag, headers
                assert client.request("/hello.txt").status == 200
    assert get("/nothing", 'If-Match: "other"').status == 404


@check
def tags_may_be_listed_in_several_lines():
    tag = get("/hello.txt").headers["etag"]
    assert get("/hello.txt", 'If-None-Match: "other"', f"If-None-Match: {tag}").status == 304


@check
def trailer_of_a_body_is_no_part_of_the_header():
    for trailer in ("If-None-Match: *", 'If-Match: "other"', "Range: bytes=0-1", "Connection: close", "Host: another",
                    "Expect: a-miracle", "Expect: 100-continue"):
        head = b"GET /hello.txt HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
        data = head + f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n".encode()
        with Connection(server) as client:
            client.send(data)
            response = client.response()
            assert (response.status, response.body) == (200, b"hello, world\n"), trailer
            assert "connection" not in response.headers, trailer
            for byte in data:  # the trailer comes long after the header, on a connection that is still open
                client.send(bytes([byte]))
            assert client.response().status == 200, trailer


@check
def empty_chunked_body_may_come_byte_by_byte():
    head = b"GET /hello.txt HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Connection(server) as client:
        own, servers = (f":{address[1]:04X}" for address in (client.socket.getsockname(), server.address))

        def is_read():
            sockets = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
            return any(local.endswith(servers) and peer.endswith(own) and queues.endswith(":00000000")
                       for _, local, peer, _, queues, *_ in sockets)

        client.send(head)
        for byte in b"0\r\n\r\n":
            until(is_read, "the server to read what was sent")
            client.send(bytes([byte]))
        assert client.response().status == 200


@check
def trailer_does_not_supply_what_the_header_lacks():
    with Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: test\r\n\r\n")
        assert client.response().status == 400
    with Connection(server) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"0\r\nConnection: keep-alive\r\n\r\n")
        assert client.response().headers["connection"] == "close" and client.at_end()


@check
def file_from_the_future_is_not_said_to_be_younger_than_the_answer():
    future = root / "future.txt"
    future.write_bytes(b"future\n")
    os.utime(future, (time.time() + 86400,) * 2)
    response = get("/future.txt")
    told, date = (parsedate_to_datetime(response.headers[name]) for name in ("last-modified", "date"))
    assert told <= date, (told, date)


@check
def changed_file_gets_another_tag():
    changing = root / "changing.txt"
    changing.write_bytes(b"one")
    before = get("/changing.txt")
    changing.write_bytes(b"two")
    os.utime(changing, ns=(1, 1))
    after = get("/changing.txt")
    assert (before.body, after.body) == (b"one", b"two") and before.headers["etag"] != after.headers["etag"]


@check
def folders_show_their_index_and_redirect_to_the_slash():
    assert get("/folder/").body == b"the folder's page\n"
    response = get("/folder?a=b")
    assert response.status == 301 and response.headers["location"] == "/folder/?a=b"
    assert get("//folder").headers["location"] == "/folder/"
    assert get("/bare/").status == 404
    assert get("/hello.txt/").status == 404


@check
def index_of_the_root_replaces_the_landing_page():
    index = root / "index.html"
    index.write_bytes(b"own index\n")
    assert get("/").body == b"own index\n" and get("/?x").body == b"own index\n"
    assert b"Boost.Beast on" in get("/status").body
    index.unlink()


@check
def targets_are_decoded_once():
    assert get("/with%20space%20&%20%C3%BC%3f.txt?query").body == b"odd name\n"
    assert get("/%68ello.txt").status == 200
    assert get("/%2568ello.txt").status == 404
    assert get("/./folder/./inner.txt").body == b"inner\n" and get("//folder//inner.txt").body == b"inner\n"
    assert get("http://any.host/hello.txt").status == 200 and get("HTTP://any.host").status == 200


@check
def links_inside_the_root_are_followed():
    assert get("/link_inside").body == b"inner\n"


@check
def server_stops_with_status_0_and_no_report():
    server.stop()


run_checks()
