# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# safer_ring_check_drop_in(<target>)
#
# After each link of the program or shared library <target>, looks at everything that went into it, at
# its shared libraries and at those that they need in turn, and fails if an object has I/O objects of
# Asio's, which the symbols that it defines tell, without having been compiled with the drop-in: two
# layouts of one class in one program. Of an archive, the members count that were taken out of it.
#
# What went in is read from the linker's map, so it needs GNU ld, Debian's default. Undetectable stays an
# object in which the compiler inlined all that is called of I/O objects and no name mentions one (a class
# that does no more than close its socket), or only along with ours and on an executor that is the program's
# own; a shared library without the marker that exports nothing of the kind, or with it in a part only (call
# this for it, too); a library without symbol table; one of two members of an archive that have the same
# name; what is loaded with dlopen(); and a shared library that only others need if it is neither where an
# RPATH of theirs or of the program says, nor beside one that the map names, nor in the loader's folders.

function(safer_ring_check_drop_in target)
  get_target_property(type ${target} TYPE)
  if(NOT type MATCHES "^(EXECUTABLE|SHARED_LIBRARY|MODULE_LIBRARY)$")
    message(FATAL_ERROR "safer-ring: safer_ring_check_drop_in(${target}) looks at what was linked, and \
${target} is not linked (${type}): call it for the programs and shared libraries that use it.")
  endif()
  set(map "${CMAKE_CURRENT_BINARY_DIR}/${target}")
  if(map MATCHES ",")
    message(FATAL_ERROR "safer-ring: safer_ring_check_drop_in(${target}) cannot have the linker write \
${map}.drop_in.map: a comma in a path ends an option to it. Build in a folder without.")
  endif()
  # One for each configuration: they may be linked side by side.
  string(APPEND map "$<$<BOOL:$<CONFIG>>:.$<CONFIG>>.drop_in.map")
  # Where the linker runs, which its map's relative paths start from. Another folder may have a file of the
  # same name.
  set(folder "${CMAKE_BINARY_DIR}")
  if(CMAKE_GENERATOR MATCHES "Makefiles")
    get_target_property(folder ${target} BINARY_DIR)
  endif()
  # The compiler's own, which looks into what is optimised at the link, too; it is beside its ar.
  string(REGEX REPLACE "ar(-[0-9.]+)?$" "nm\\1" nm "${CMAKE_CXX_COMPILER_AR}")
  if(nm STREQUAL CMAKE_CXX_COMPILER_AR OR NOT EXISTS "${nm}")
    set(nm "${CMAKE_NM}")
  endif()
  target_link_options(${target} PRIVATE "LINKER:-Map,${map}")
  # That of an earlier link says nothing about this one, which may write its map elsewhere.
  add_custom_command(TARGET ${target} PRE_LINK
    COMMAND "${CMAKE_COMMAND}" -E rm -f "${map}"
    VERBATIM)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND "${CMAKE_COMMAND}"
      "-DMAP=${map}"
      "-DPROGRAM=$<TARGET_FILE:${target}>"
      "-DFOLDER=${folder}"
      "-DNM=${nm}"
      "-DREADELF=${CMAKE_READELF}"
      "-DSYSROOT=${CMAKE_SYSROOT}"
      "-DCROSSCOMPILING=${CMAKE_CROSSCOMPILING}"
      # Not by a variable: the function is known in all of a build, a variable in one folder of it.
      -P "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/safer_ring_drop_in_checker.cmake"
    COMMENT "Checking that all of ${target} was compiled with the drop-in"
    VERBATIM)
endfunction()
