// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

#pragma once

// GCC and clang do not say in the same way what a program is instrumented with.
#if defined(__SANITIZE_ADDRESS__)
#define SAFER_RING_TEST_ADDRESS_SANITIZER 1
#elif defined(__SANITIZE_THREAD__)
#define SAFER_RING_TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SAFER_RING_TEST_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define SAFER_RING_TEST_THREAD_SANITIZER 1
#endif
#endif
