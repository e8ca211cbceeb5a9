// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// An HTTP server on safer-ring: Boost.Beast and coroutines, with every I/O object typed with the
// executor of the ring. It serves the files of a folder until SIGINT or SIGTERM:
//
//     http_server --port 8080 --root example/http_server/www
//
// To read it, begin with context.hpp, then session.cpp, where the bytes come and go, and
// server.cpp, where connections begin and end. The rest decides what to answer, and does no I/O but
// for opening files.

#include "context.hpp"
#include "document_root.hpp"
#include "landing_page.hpp"
#include "options.hpp"
#include "server.hpp"
#include "site.hpp"

#include <boost/asio/basic_signal_set.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/program_options/errors.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include <malloc.h>

namespace http_server {
namespace {

using signal_set = net::basic_signal_set<executor>;

// The first signal stops gracefully, a second one at once. The set is cancelled when all is done.
task<void> stop_on_signal(signal_set& signals, server& server)
{
    bool stopped = false;
    while (!stopped) {
        const auto [error, number] = co_await signals.async_wait(as_tuple_awaitable);
        if (error)
            co_return;
        server.stop([&stopped, &signals] {
            stopped = true;
            error_code ignored;
            signals.cancel(ignored);
        });
    }
}

void serve(const options& options)
{
    const document_root root{options.root};
    io_context context{1};
    statistics numbers;
    const landing_page page{backend_name(context), describe_backend(context), root.path(),
                            root.list(20)};
    const site site{root, page, numbers};
    server server{context, options.address, options.port, options.limits, site, numbers};
    signal_set signals{context, SIGINT, SIGTERM};

    net::co_spawn(context, stop_on_signal(signals, server), rethrow);
    server.start();
    std::cout << "serving " << root.path() << " on " << server.url() << " ("
              << backend_name(context) << ")" << std::endl;
    context.run();
}

} // namespace
} // namespace http_server

int main(int argc, char** argv)
try {
    // A message that nobody reads any more must not end the server.
    std::signal(SIGPIPE, SIG_IGN);
    // Buffers come and go with the requests. By default the end of the heap would be given back to
    // the kernel, and asked for again, at about every tenth of them.
    ::mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
    const auto options = http_server::parse_options(argc, argv);
    if (options)
        http_server::serve(*options);
    return EXIT_SUCCESS;
} catch (const boost::program_options::error& e) {
    std::cerr << "http_server: " << e.what() << "; --help lists the options\n";
    return EXIT_FAILURE;
} catch (const std::exception& e) {
    std::cerr << "http_server: " << e.what() << '\n';
    return EXIT_FAILURE;
}
