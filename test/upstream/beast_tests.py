#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

"""Runs Beast's own tests on attached contexts, through the drop-in.

    beast_tests.py --tests <libs/beast/test of a Boost> --library <libsafer_ring.a>
                   [--boost <include>] [--report <file>] [--only <pattern>]

The tests are copied to a temporary folder, where one statement, and nothing else, is added: where a
net::io_context is declared, it is attached. The report is a line of a Markdown table for each test.
"""

import argparse
import pathlib
import re
import shutil
import sys
import tempfile

import outcomes

# All that contain a context, and all of WebSocket.
NAMES = """
    core/_detail_bind_continuation core/_detail_get_io_context core/_detail_read core/async_base
    core/basic_stream core/bind_handler core/buffer_ref core/buffered_read_stream
    core/buffers_generator core/detect_ssl core/flat_stream
    core/stream_traits core/tcp_stream
    _experimental/icy_stream _experimental/stream
    http/buffer_body http/dynamic_body http/message_generator http/read http/write
    ssl/ssl_stream
    websocket/_detail_decorator websocket/_detail_impl_base websocket/_detail_prng
    websocket/accept websocket/cancel websocket/close websocket/error websocket/frame
    websocket/handshake websocket/option websocket/ping websocket/read1 websocket/read2
    websocket/read3 websocket/rfc6455 websocket/ssl websocket/stream websocket/stream_base
    websocket/stream_explicit websocket/stream_fwd websocket/teardown websocket/timer
    websocket/utf8_checker websocket/write
""".split()

# What the stackful coroutines of Asio are made of.
LIBRARIES = ["-luring", "-lssl", "-lcrypto", "-lboost_coroutine", "-lboost_context"]


def with_attached_contexts(text):
    """The text of a test, its contexts attached where they are declared.

    The attachment is a variable, and so can stand behind a member as well. It is on the line of the
    context, because some tests say on which line they failed.
    """
    return re.sub(r"\bnet::io_context\s+(\w+);",
                  r"\g<0> safer_ring::io_context& \1_attached{safer_ring::attach(\1)};", text)


class Runner:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.flags = [*outcomes.flags(arguments), "-DBOOST_BEAST_TESTS",
                      "-DBOOST_BEAST_ALLOW_DEPRECATED", "-I", work / "test/extras/include",
                      "-I", work / "test/extern"]
        self.through_drop_in = arguments.through == "drop_in"

    def prepare(self):
        if self.through_drop_in:
            for file in (self.work / "test").rglob("*.?pp"):
                file.write_text(with_attached_contexts(file.read_text()))
        # main(), the same for all tests.
        error = outcomes.compile_or_error(
            [self.arguments.compiler, *self.flags, "-c", self.work / "test/lib_test.cpp", "-o",
             self.work / "main.o"])
        if error:
            raise SystemExit(error)
        # With all of Asio before them some do not compile, on Asio either: read(stream, buffer,
        # parser) is then a read of Asio's, which copies the parser.
        if self.through_drop_in:
            self.flags += ["-include", "safer_ring/drop_in.hpp",
                           "-include", "safer_ring/asio/attach.hpp"]

    def run(self, name):
        source = self.work / "test/beast" / (name + ".cpp")
        program = self.work / name.replace("/", ".")
        error = outcomes.compile_or_error(
            [self.arguments.compiler, *self.flags, "-I", source.parent, source,
             self.work / "main.o", "-o", program, self.arguments.library, *LIBRARIES])
        if error:
            return outcomes.Outcome(name, "does not compile", error)
        execution = outcomes.execute(program, self.arguments.seconds)
        if self.arguments.keep:
            self.arguments.keep.mkdir(parents=True, exist_ok=True)
            shutil.move(program, self.arguments.keep / program.name)
        program.unlink(missing_ok=True)
        failed = [line.strip() for line in execution.output.splitlines() if "failed" in line]
        if execution.status is None:
            last = execution.output.strip().splitlines()[-1:]
            return outcomes.Outcome(name, "hangs", f"after {' '.join(last)}")
        if execution.status != 0:
            return outcomes.Outcome(name, "fails",
                                    f"status {execution.status}: {' / '.join(failed[:4])}")
        total = re.search(r"(\d+) tests? total", execution.output)
        return outcomes.Outcome(name, "passes", f"{total.group(1) if total else 'no'} checks")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    outcomes.add_arguments(parser, "libs/beast/test of a Boost")
    parser.add_argument("--seconds", type=int, default=120, help="after which a test hangs")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder for the compiled tests")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        shutil.copytree(arguments.tests, work / "test")
        runner = Runner(arguments, work)
        names = outcomes.selected(arguments, NAMES, arguments.tests / "beast", ".cpp")
        runner.prepare()
        return outcomes.report(map(runner.run, names), arguments.report)


if __name__ == "__main__":
    sys.exit(main())
