#!/usr/bin/env python3
# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.
"""Writes a test of each example in the docstrings of the public headers and in texts.

  extract.py <include folder> <source to write> [<text>...]

An example stands between `/// @code` and `/// @endcode`, in a text between ```cpp and ```. It is
statements, which run as the body of a test case; `assert` there is a check of the test.
"""

import re
import sys
from pathlib import Path

EXAMPLE = re.compile(r"^[ ]*/// @code\n(.*?)^[ ]*/// @endcode$", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r"^```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PREAMBLE = """// Written by test/docstrings/extract.py from the headers; do not edit.

#include <safer_ring/asio.hpp>
#include <safer_ring/asio/accept_stream.hpp>
#include <safer_ring/asio/datagram_stream.hpp>
#include <safer_ring/asio/default_token.hpp>
#include <safer_ring/asio/io_context_pool.hpp>
#include <safer_ring/asio/owned_buffers.hpp>
#include <safer_ring/asio/receive_stream.hpp>
#include <safer_ring/ring.hpp>

#include <boost/asio.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

// A function, since BOOST_TEST is a loop, in which clang's -Wconsumed wants nothing moved.
inline void check(bool holds, const char* condition, const char* file, int line)
{
    BOOST_TEST(holds, file << ':' << line << ": " << condition);
}

#undef assert
#define assert(condition) check(static_cast<bool>(condition), #condition, __FILE__, __LINE__)

namespace net = boost::asio;

BOOST_AUTO_TEST_SUITE(docstrings)
"""


def main():
    include, target, *texts = map(Path, sys.argv[1:])
    text = [PREAMBLE]
    sources = [(header, EXAMPLE) for header in sorted(include.rglob("*.hpp"))] + [(t, SNIPPET) for t in texts]
    for path, pattern in sources:
        source = path.read_text()
        for example in pattern.finditer(source):
            line = source.count("\n", 0, example.start(1)) + 1
            lines = [re.sub(r"^ */// ?", "", row) for row in example.group(1).splitlines()]
            text.append(f"BOOST_AUTO_TEST_CASE({path.stem}_in_line_{line})\n{{")
            text.append(f'#line {line} "{path}"\n' + "\n".join(lines) + "\n}\n")
    if len(text) == 1:
        sys.exit("extract.py: there are no examples")
    target.write_text("\n".join(text + ["BOOST_AUTO_TEST_SUITE_END()\n"]))


if __name__ == "__main__":
    main()
