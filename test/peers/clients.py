#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""Other people's clients, curl, wrk, s_client of OpenSSL and socat, and a server of ours: once with our executor in
the types, once through the drop-in."""

import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "example"))
from support import WATCHDOG_S, Process, check, run_checks  # noqa: E402

SERVERS = [os.environ[f"SAFER_RING_PEER_SERVER_{how}"] for how in ("TYPED", "DROP_IN")]
UPLOAD_BYTES = 100_000_000

work_folder = tempfile.TemporaryDirectory(prefix="safer_ring_peers_")
work = Path(work_folder.name)
upload = work / "upload"


class Server(Process):
    """One of the servers, with the folder of its local sockets."""

    def __init__(self, path):
        self.folder = tempfile.TemporaryDirectory(prefix="safer_ring_peers_")
        super().__init__([path, self.folder.name])
        self.tls_port, self.udp_port = (int(re.search(rf"{name} (\d+)", self.line)[1]) for name in ("TLS", "UDP"))
        self.port = self.address[1]

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def __exit__(self, *error):
        super().__exit__(*error)
        self.folder.cleanup()


def check_with_each(function):
    """Registers a check that is made with each of the servers."""
    def with_each():
        for path in SERVERS:
            with Server(path) as server:
                function(server)
    with_each.__name__ = function.__name__
    return check(with_each)


def run(*command, data=None):
    result = subprocess.run(command, input=data, capture_output=True, timeout=WATCHDOG_S)
    assert result.returncode == 0, f"{command[:6]}: status {result.returncode}, {result.stderr[-300:]!r}"
    return result.stdout


def curl(*arguments):
    return run("curl", "-skS", *arguments).decode()


def summary(data):
    """What the server answers to a body."""
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}\n"


def upload_data():
    if not upload.exists():
        part = os.urandom(1_000_003)
        upload.write_bytes((part * (UPLOAD_BYTES // len(part) + 1))[:UPLOAD_BYTES])
    return upload.read_bytes()


@check_with_each
def curl_keeps_a_connection_alive(server):
    for address in (f"http://127.0.0.1:{server.port}", f"https://127.0.0.1:{server.tls_port}"):
        output = work / "answers"
        answers = [part for number in range(5) for part in ("-o", output, f"{address}/{number}")]
        connects = curl("-w", "%{num_connects} %{http_code}\n", *answers)
        assert connects.split("\n")[:5] == ["1 200"] + ["0 200"] * 4, connects
        assert output.read_text() == summary(b"")


@check_with_each
def curl_uploads_100_mb_and_the_connection_is_used_again(server):
    expected = summary(upload_data())
    for address in (f"http://127.0.0.1:{server.port}/", f"https://127.0.0.1:{server.tls_port}/"):
        transfer = ("-skS", "-w", "%{num_connects}\\n", "-T", upload, address)
        answer = run("curl", *transfer, "--next", "-H", "Transfer-Encoding: chunked", *transfer).decode()
        assert answer == f"{expected}1\n{expected}0\n", answer


@check_with_each
def curl_uploads_on_many_connections_at_once(server):
    data = upload_data()[:5_000_000]
    part = work / "part"
    part.write_bytes(data)
    transfers = [word for _ in range(20) for word in ("-T", part, f"http://127.0.0.1:{server.port}/")]
    answers = curl("--parallel", "--parallel-immediate", "--parallel-max", "20", *transfers)
    assert answers == summary(data) * 20, answers


@check_with_each
def clients_that_leave_in_the_middle_of_an_upload_do_no_harm(server):
    upload_data()
    for _ in range(3):
        result = subprocess.run(["curl", "-sk", "--limit-rate", "20M", "--max-time", "0.3", "-T", upload,
                                 f"http://127.0.0.1:{server.port}/"], capture_output=True, timeout=WATCHDOG_S)
        assert result.returncode == 28, f"curl's time-out: status {result.returncode}"
    assert curl("-d", "after", f"http://127.0.0.1:{server.port}/") == summary(b"after")


@check_with_each
def wrk_sees_no_error(server):
    for address in (f"http://127.0.0.1:{server.port}/", f"https://127.0.0.1:{server.tls_port}/"):
        report = run("wrk", "-t1", "-c64", "-d2s", "--timeout", "20s", address).decode()
        assert int(re.search(r"(\d+) requests in", report)[1]) > 0, report
        assert "Socket errors" not in report and "Non-2xx" not in report, report


@check_with_each
def s_client_gets_its_answer_with_each_version_of_tls(server):
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    for version, name in (("-tls1_2", b"TLSv1.2"), ("-tls1_3", b"TLSv1.3")):
        output = run("openssl", "s_client", version, "-ign_eof", "-servername", "localhost",
                     "-connect", f"127.0.0.1:{server.tls_port}", data=request)
        assert b"New, " + name in output and summary(b"hello").encode() in output, output[-500:]


@check_with_each
def s_client_resumes_its_session(server):
    request = b"GET / HTTP/1.0\r\n\r\n"
    session = str(work / "session")
    connect = ("openssl", "s_client", "-tls1_2", "-ign_eof", "-connect", f"127.0.0.1:{server.tls_port}")
    run(*connect, "-sess_out", session, data=request)
    output = run(*connect, "-sess_in", session, data=request)
    assert b"Reused, TLSv1.2" in output and b"200 OK" in output, output[-500:]


@check_with_each
def socat_gets_its_datagrams_back(server):
    for address in (f"UDP:127.0.0.1:{server.udp_port}",
                    f"UNIX-SENDTO:{server.path('messages')},bind={server.path('client')}"):
        # Its standard input and output keep messages apart, as no pipe does.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.settimeout(WATCHDOG_S)
            client = subprocess.Popen(["socat", "-b", "65536", "-", address], stdin=theirs, stdout=theirs)
            try:
                for size in (1, 512, 1472, 9000, 60_000):
                    data = os.urandom(size)
                    ours.send(data)
                    assert ours.recv(65536) == data, f"{address}, {size} bytes"
            finally:
                client.kill()
                client.wait()


@check_with_each
def socat_gets_its_local_stream_back(server):
    data = upload_data()[:10_000_000]
    for size in (1, 16_384, 16_385, len(data)):
        echoed = run("socat", "-t", "10", "-", f"UNIX-CONNECT:{server.path('stream')}", data=data[:size])
        assert echoed == data[:size], f"{len(echoed)} of {size} bytes"


@check_with_each
def socat_gets_back_what_it_writes_to_a_pipe(server):
    data = upload_data()[:10_000_000]
    source = work / "source"
    source.write_bytes(data)
    echoed = work / "echoed"
    taking = subprocess.Popen(["socat", "-u", f"OPEN:{server.path('from_server')},rdonly,readbytes={len(data)}",
                               f"CREATE:{echoed}"])
    run("socat", "-u", f"OPEN:{source}", f"OPEN:{server.path('to_server')},wronly")
    assert taking.wait(WATCHDOG_S) == 0
    assert echoed.read_bytes() == data, f"{echoed.stat().st_size} of {len(data)} bytes"


@check
def through_the_drop_in_one_thread_serves_all_without_epoll():
    with Server(SERVERS[1]) as server:
        for port, scheme in ((server.port, "http"), (server.tls_port, "https")):
            curl("-d", "some", f"{scheme}://127.0.0.1:{port}/")
        names = [(task / "comm").read_text() for task in Path(f"/proc/{server.pid}/task").iterdir()]
        assert len([name for name in names if not name.startswith("iou-")]) == 1, names
        kinds = [os.readlink(link) for link in Path(f"/proc/{server.pid}/fd").iterdir()]
        assert "anon_inode:[io_uring]" in kinds and "anon_inode:[eventpoll]" not in kinds, kinds


run_checks()
