// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

extern "C" {

// basic_socket<tcp, any_io_executor>::close(), as the C++ ABI calls it.
void _ZN5boost4asio12basic_socketINS0_2ip3tcpENS0_15any_io_executorEE5closeEv() {}

#if defined(WITH_THE_DROP_IN)
// safer_ring::v1::detail::drop_in_marker
extern const char _ZN10safer_ring2v16detail14drop_in_markerE = 1;
#endif
}
