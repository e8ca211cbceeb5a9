// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

#if __cplusplus < 202002L
#error "safer_ring needs C++20: compile with -std=c++20 (GCC 12, clang 14, or newer)"
#endif
#if !defined(__cpp_exceptions)
#error "safer_ring needs exceptions, which -fno-exceptions turns off"
#endif

// SAFER_RING_API marks what the compiled part exports. The library is built
// with hidden visibility, so everything without the mark stays private.
#if defined(SAFER_RING_SHARED)
#define SAFER_RING_API __attribute__((visibility("default")))
#else
#define SAFER_RING_API
#endif

// The inline namespace carries the ABI version: objects compiled against
// another version do not link instead of misbehaving. In libstdc++'s debug mode
// containers, which some classes have as members, are larger: the library has
// to be compiled in it as well.
#if defined(_GLIBCXX_DEBUG)
#define SAFER_RING_ABI v1d
#else
#define SAFER_RING_ABI v1
#endif
