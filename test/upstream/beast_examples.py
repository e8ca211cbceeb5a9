#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Runs Beast's examples through the drop-in, and talks to them.

    beast_examples.py --tests <libs/beast/example of a Boost> --library <libsafer_ring.a>
                      [--boost <include>] [--report <file>] [--only <pattern>]

The examples are copied to a temporary folder, where the name of the context, and nothing else, is
replaced: net::io_context becomes safer_ring::io_context. Clients are run against the servers, and
for them the root certificates are replaced by the servers' own. Servers get curl, s_client and
WebSocket; a line of the report tells their threads and what they wait with.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing

import outcomes
import peers


class Server(typing.NamedTuple):
    arguments: str  # {port} and {root} are filled in
    check: typing.Callable  # of a port and the folder of its files
    threads: int  # those that it starts itself, main() among them, while nobody is connected
    ends: bool = False  # whether SIGTERM stops it in good order
    lacks: str = ""  # a header that it uses without including it, and so compiles nowhere


class Client(typing.NamedTuple):
    server: str
    arguments: str
    expected: str  # in its output


def http(port, root):
    peers.get_files("http", port, root)


def https(port, root):
    peers.get_files("https", port, root)
    peers.s_client(port)


def websocket(port, root):
    peers.converse(port)


def websocket_tls(port, root):
    peers.converse(port, tls=True)


def http_and_websocket(port, root):
    http(port, root)
    websocket(port, root)


def either(port, root):
    http_and_websocket(port, root)
    https(port, root)
    websocket_tls(port, root)


def either_once(port, root):
    """Without a second request on a connection: it would be read into the parser of the first."""
    for scheme in ("http", "https"):
        peers.get_files(scheme, port, root, reuses=False)
    peers.s_client(port)
    websocket(port, root)
    websocket_tls(port, root)


def plain_or_tls(port, root):
    http(port, root)
    https(port, root)


def chat(port, root):
    """What one says all hear."""
    peers.expect(peers.curl(f"http://{peers.ADDRESS}:{port}/small.txt") ==
                 (root / "small.txt").read_bytes(), "small.txt differs")
    members = [peers.WebSocket(port) for _ in range(3)]
    members[0].send(1, b"hello")
    for member in members:
        peers.expect(member.receive() == (1, b"hello"), "a member heard something else")
    for member in members:
        member.close()


def fast_http(port, root):
    base = f"http://{peers.ADDRESS}:{port}/"
    for name in ("small.txt", "large.bin"):
        peers.expect(peers.curl(base + name) == (root / name).read_bytes(), f"{name} differs")


def small_http(port, root):
    base = f"http://{peers.ADDRESS}:{port}/"
    peers.expect(b"Request count" in peers.curl(base + "count"), "no count")
    peers.expect(b"Current time" in peers.curl(base + "time"), "no time")


def three_ports(port, root):
    for offset in range(3):
        websocket(port + offset, root)


THREADED = "127.0.0.1 {port} {root} 2"
ECHO = "127.0.0.1 {port} 2"

SERVERS = {
    "http/server/async": Server(THREADED, http, 2),
    "http/server/awaitable": Server(THREADED, http, 2),
    "http/server/async-ssl": Server(THREADED, https, 2),
    "websocket/server/async": Server(ECHO, websocket, 2),
    "websocket/server/async-ssl": Server(ECHO, websocket_tls, 2),
    "websocket/server/awaitable": Server(ECHO, websocket, 2),
    "advanced/server": Server(THREADED, http_and_websocket, 2, True),
    "advanced/server-flex": Server(THREADED, either, 2, True),
    "advanced/server-flex-awaitable": Server(THREADED, either_once, 2, True, lacks="list"),
    "http/server/coro": Server(THREADED, http, 2),
    "http/server/coro-ssl": Server(THREADED, https, 2),
    "http/server/stackless": Server(THREADED, http, 2),
    "http/server/stackless-ssl": Server(THREADED, https, 2),
    "http/server/flex": Server(THREADED, plain_or_tls, 2),
    "http/server/fast": Server("127.0.0.1 {port} {root} 4 block", fast_http, 1),
    "http/server/small": Server("127.0.0.1 {port}", small_http, 1),
    "http/server/sync": Server("127.0.0.1 {port} {root}", http, 1),
    "http/server/sync-ssl": Server("127.0.0.1 {port} {root}", https, 1),
    "websocket/server/coro": Server(ECHO, websocket, 2),
    "websocket/server/coro-ssl": Server(ECHO, websocket_tls, 2),
    "websocket/server/stackless": Server(ECHO, websocket, 2),
    "websocket/server/stackless-ssl": Server(ECHO, websocket_tls, 2),
    "websocket/server/fast": Server(ECHO, three_ports, 3),
    "websocket/server/chat-multi": Server(THREADED, chat, 2, True),
    "websocket/server/sync": Server("127.0.0.1 {port}", websocket, 1),
    "websocket/server/sync-ssl": Server("127.0.0.1 {port}", websocket_tls, 1),
}

FILE = "localhost {port} /small.txt"
TEXT = "localhost {port} spoken"

CLIENTS = {f"{protocol}/client/{name}": Client(f"{protocol}/server/async{tls}", *arguments)
           for protocol, *arguments in (("http", FILE, "small file"),
                                        ("websocket", TEXT, "spoken"))
           for name, tls in (("async", ""), ("async-ssl", "-ssl"), ("awaitable", ""), ("coro", ""),
                             ("coro-ssl", "-ssl"), ("sync", ""), ("sync-ssl", "-ssl"),
                             ("async-ssl-system-executor", "-ssl"))}


def with_our_context(text):
    return re.sub(r"\b(?:net|boost::asio)::io_context\b", "safer_ring::io_context", text)


def trusting_the_servers(folder):
    """Puts the servers' own certificate into the place of the root certificates."""
    certificate = re.search(r'"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\\n"',
                            (folder / "server_certificate.hpp").read_text(), re.DOTALL).group(0)
    (folder / "root_certificates.hpp").write_text(f"""
#pragma once
#include <boost/asio/ssl.hpp>
inline void load_root_certificates(boost::asio::ssl::context& ctx)
{{
    static const char certificate[] = {certificate};
    ctx.add_certificate_authority(boost::asio::buffer(certificate, sizeof certificate - 1));
}}
inline void load_root_certificates(boost::asio::ssl::context& ctx, boost::system::error_code& ec)
{{
    load_root_certificates(ctx);
    ec = {{}};
}}
""")


def threads_of(pid):
    """Threads of a process, without the kernel's own workers for its ring."""
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            names.append((task / "comm").read_text().strip())
    return sum(not name.startswith("iou-") for name in names)


def descriptors_of(pid, kind):
    count = 0
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += f"[{kind}]" in os.readlink(descriptor)
    return count


def free_port():
    """The first of three ports after each other that nobody listens on."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind((peers.ADDRESS, 0))
            port = first.getsockname()[1]
            try:
                for offset in (1, 2):
                    stack.enter_context(socket.socket()).bind((peers.ADDRESS, port + offset))
            except OSError:
                continue
            return port


class Running:
    """A server, from when it listens to when it is ended."""

    def __init__(self, program, server, root, log):
        self.port = free_port()
        words = server.arguments.format(port=self.port, root=root).split()
        self.log = log.open("w+")
        self.process = subprocess.Popen([program, *words], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + peers.PATIENCE_S
        while True:
            try:
                socket.create_connection((peers.ADDRESS, self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.end()
                    raise AssertionError(f"does not listen: {log.read_text()[-200:]}") from None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def end_in_order(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(peers.PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise AssertionError("does not end on SIGTERM") from None
        peers.expect(status == 0, f"ended by SIGTERM with {status}")


class Runner:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.root = work / "files"
        self.root.mkdir()
        (self.root / "small.txt").write_text("a small file\n")
        (self.root / "large.bin").write_bytes(os.urandom(8 << 20))
        # The examples name their common headers from the root of Beast.
        self.flags = [*outcomes.flags(arguments), "-I", work]
        if arguments.through == "drop_in":
            self.flags += ["-include", "safer_ring/drop_in.hpp"]
        self.programs = {}

    def prepare(self):
        if self.arguments.through == "drop_in":
            for file in (self.work / "example").rglob("*.?pp"):
                file.write_text(with_our_context(file.read_text()))
        trusting_the_servers(self.work / "example/common")

    def program(self, name):
        """Compiles an example, once."""
        if name not in self.programs:
            sources = sorted((self.work / "example" / name).glob("*.cpp"))
            program = self.work / name.replace("/", ".")
            lacks = SERVERS[name].lacks if name in SERVERS else ""
            error = outcomes.compile_or_error(
                [self.arguments.compiler, *self.flags, *(["-include", lacks] if lacks else []),
                 *sources, "-o", program,
                 self.arguments.library, "-luring", "-lssl", "-lcrypto", "-lboost_coroutine",
                 "-lboost_context"])
            self.programs[name] = program, error
        program, error = self.programs[name]
        if error:
            raise CompilationError(error)
        return program

    def start(self, name):
        return Running(self.program(name), SERVERS[name], self.root,
                       self.work / (name.replace("/", ".") + ".log"))

    def waits_with(self, running, threads):
        """What /proc shows; through the drop-in, none of Asio's own machinery."""
        pid = running.process.pid
        deadline = time.monotonic() + peers.PATIENCE_S
        # Synchronous servers have a thread for each connection, which outlives the client a little.
        while threads_of(pid) > threads and time.monotonic() < deadline:
            time.sleep(0.01)
        seen, epolls, rings = (threads_of(pid), descriptors_of(pid, "eventpoll"),
                               descriptors_of(pid, "io_uring"))
        note = f"{seen} threads, {epolls} epoll, {rings} io_uring"
        if self.arguments.through == "drop_in":
            peers.expect(seen == threads and epolls == 0, f"{note}; {threads} threads expected")
        return note

    def serve(self, name):
        server = SERVERS[name]
        running = self.start(name)
        try:
            server.check(running.port, self.root)
            note = self.waits_with(running, server.threads)
            if server.ends:
                running.end_in_order()
                note += ", ends on SIGTERM"
            if server.lacks:
                note += f"; with <{server.lacks}>, which it lacks"
            return note
        finally:
            running.end()

    def call(self, name):
        client = CLIENTS[name]
        program = self.program(name)
        running = self.start(client.server)
        try:
            words = client.arguments.format(port=running.port).split()
            execution = outcomes.execute(program, peers.PATIENCE_S, *words)
            peers.expect(execution.status is not None, f"no end: {execution.output[-200:]}")
            peers.expect(execution.status == 0 and client.expected in execution.output,
                         f"status {execution.status}: {execution.output[-200:]}")
            return f"with {client.server}"
        finally:
            running.end()

    def run(self, name):
        try:
            note = self.serve(name) if name in SERVERS else self.call(name)
            return outcomes.Outcome(name, "passes", note)
        except CompilationError as error:
            return outcomes.Outcome(name, "does not compile", str(error))
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            return outcomes.Outcome(name, "fails", " ".join(str(error).split()))


class CompilationError(Exception):
    pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outcomes.add_arguments(parser, "libs/beast/example of a Boost")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        shutil.copytree(arguments.tests, work / "example")
        runner = Runner(arguments, work)
        names = outcomes.selected(arguments, [*SERVERS, *CLIENTS], arguments.tests)
        runner.prepare()
        return outcomes.report(map(runner.run, names), arguments.report)


if __name__ == "__main__":
    sys.exit(main())
