# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# safer_ring_check_drop_in(<target>)
#
# After each link of the program or shared library <target>, looks at everything that went into it, at
# its shared libraries and at those that they need in turn, and fails if an object defines members of
# Asio's I/O objects without having been compiled with the drop-in: two layouts of one class in one
# program.
#
# What went in is read from the linker's map, so it needs GNU ld, Debian's default. Undetectable
# stays an object in which the compiler inlined every such member, a library without symbol table,
# one of two members of an archive that have the same name, a shared library of which only a part
# was compiled with the drop-in (call this for it, too), what is loaded with dlopen(), and a shared
# library that only others need if it is neither where an RPATH of theirs or of the program says, nor
# beside one that the map names, nor in the loader's folders.

function(safer_ring_check_drop_in target)
  # The compiler's own, which looks into what is optimised at the link, too; it is beside its ar.
  string(REGEX REPLACE "ar(-[0-9.]+)?$" "nm\\1" nm "${CMAKE_CXX_COMPILER_AR}")
  if(nm STREQUAL CMAKE_CXX_COMPILER_AR OR NOT EXISTS "${nm}")
    set(nm "${CMAKE_NM}")
  endif()
  set(map "${CMAKE_CURRENT_BINARY_DIR}/${target}.drop_in.map")
  target_link_options(${target} PRIVATE "LINKER:-Map,${map}")
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND "${CMAKE_COMMAND}"
      "-DMAP=${map}"
      "-DPROGRAM=$<TARGET_FILE:${target}>"
      # Where the linker ran, which its map's relative paths start from: generators differ.
      "-DFOLDERS=${CMAKE_BINARY_DIR}|${CMAKE_CURRENT_BINARY_DIR}"
      "-DNM=${nm}"
      "-DREADELF=${CMAKE_READELF}"
      "-DSYSROOT=${CMAKE_SYSROOT}"
      "-DCROSSCOMPILING=${CMAKE_CROSSCOMPILING}"
      # Not by a variable: the function is known in all of a build, a variable in one folder of it.
      -P "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/safer_ring_drop_in_checker.cmake"
    COMMENT "Checking that all of ${target} was compiled with the drop-in"
    VERBATIM)
endfunction()
