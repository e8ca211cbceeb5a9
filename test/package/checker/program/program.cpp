// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

extern "C" void _ZN5boost4asio12basic_socketINS0_2ip3tcpENS0_15any_io_executorEE5closeEv();

int main()
{
    _ZN5boost4asio12basic_socketINS0_2ip3tcpENS0_15any_io_executorEE5closeEv();
}
