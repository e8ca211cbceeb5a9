# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# How this project compiles its own code. Nothing here reaches a user of the installed library.

if(PROJECT_IS_TOP_LEVEL)
  if(SAFER_RING_USE_CCACHE)
    find_program(SAFER_RING_CCACHE ccache)
    mark_as_advanced(SAFER_RING_CCACHE)
  endif()
  if(SAFER_RING_USE_CCACHE AND SAFER_RING_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # ccache keeps away from anything that uses a precompiled header unless it is told that the
    # macros defined in one, and the time stamps of what went into it, need not be compared.
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${SAFER_RING_CCACHE})
  endif()

  if(SAFER_RING_SANITIZE)
    add_compile_options(-fsanitize=${SAFER_RING_SANITIZE} -fno-sanitize-recover=all
      -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${SAFER_RING_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 15
        AND SAFER_RING_SANITIZE MATCHES "undefined")
      # clang 14 cannot assemble what it makes of coroutines with this check, which GCC does not have.
      add_compile_options(-fno-sanitize=function)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # GCC's manual warns of false positives of these where a sanitizer has changed the code they
      # look at; Asio's coroutine frames give one. The release build keeps them on.
      add_compile_options(-Wno-maybe-uninitialized -Wno-mismatched-new-delete)
      if(SAFER_RING_SANITIZE MATCHES "thread")
        # GCC's ThreadSanitizer does not see fences, and warns wherever one is compiled. Asio has
        # some. Nothing is hidden by this: a fence that matters would show as a race.
        add_compile_options(-Wno-tsan)
      endif()
    endif()
  endif()
endif()

# The warnings under which all code of this project compiles silently.
function(safer_ring_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    # Use after move and the like, where the annotations of the headers let clang see it.
    $<$<CXX_COMPILER_ID:Clang>:-Wconsumed>)
  if(SAFER_RING_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# A program or library of this repository that is not installed.
function(safer_ring_common_settings target)
  target_link_libraries(${target} PRIVATE safer_ring::safer_ring Boost::headers)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  safer_ring_warnings(${target})
endfunction()
