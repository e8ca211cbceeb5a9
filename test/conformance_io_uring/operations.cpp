// Copyright (c) 2026 The safer-ring authors.
// Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

// These tests once more, for the files of this program.
#include "conformance_objects/operations.cpp"
