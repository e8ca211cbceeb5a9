# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# Run by safer_ring_check_drop_in(): MAP is the map of a link, PROGRAM what it made, FOLDERS where the
# linker may have run, NM and READELF the tools to look into objects with, CROSSCOMPILING and SYSROOT
# CMake's. Fails with the names of the objects at fault.

cmake_minimum_required(VERSION 3.25)

function(refuse why)
  file(REMOVE "${PROGRAM}") # or the next build would take it for good
  message(FATAL_ERROR "safer-ring: ${why}")
endfunction()

file(STRINGS "${MAP}" loads REGEX "^LOAD ")
if(NOT loads)
  refuse("cannot tell what was linked into ${PROGRAM}: ${MAP} is not a map of GNU ld. Link with it, \
or do not call safer_ring_check_drop_in().")
endif()
list(TRANSFORM loads REPLACE "^LOAD +" "")
list(REMOVE_DUPLICATES loads)
# Jumps over long distances, which it makes itself for ARM and others, are an input without a file.
list(REMOVE_ITEM loads "linker stubs")
string(REPLACE "|" ";" FOLDERS "${FOLDERS}")
# What GCC splits a program into when it optimises at the link, which -save-temps keeps: the marker is
# in one of them only.
list(FILTER loads EXCLUDE REGEX "\\.ltrans[0-9]*\\.ltrans\\.o$")

# What else they make there and delete behind it; the objects all of it was made of are in the map too.
set(of_the_link "\\.(lto|debug\\.temp)\\.o$|/lto-llvm-[^/]*\\.o$")

# The file that a map names, as an absolute path; nothing for what was made by the link only.
function(find_loaded file variable)
  foreach(folder IN LISTS FOLDERS)
    get_filename_component(absolute "${file}" ABSOLUTE BASE_DIR "${folder}")
    if(EXISTS "${absolute}")
      set(${variable} "${absolute}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  if(file MATCHES "${of_the_link}")
    set(${variable} "" PARENT_SCOPE)
    return()
  endif()
  list(JOIN FOLDERS " or " folders)
  refuse("cannot check ${PROGRAM}: ${file}, which was linked into it, is not in ${folders}")
endfunction()

# elf_header(<file> <shared> <machine>): whether it is a shared library, which its name does not tell,
# and what it is for. Read here, since a process for each of thousands of objects takes long.
function(elf_header file shared machine)
  set(${shared} FALSE PARENT_SCOPE)
  set(${machine} "" PARENT_SCOPE)
  file(READ "${file}" header LIMIT 20 HEX)
  string(LENGTH "${header}" digits)
  if(NOT header MATCHES "^7f454c46" OR digits LESS 40)
    return()
  endif()
  string(SUBSTRING "${header}" 8 4 class_and_byte_order)
  string(SUBSTRING "${header}" 32 4 type)
  string(SUBSTRING "${header}" 36 4 number)
  if(type MATCHES "^(0300|0003)$") # ET_DYN in either byte order
    set(${shared} TRUE PARENT_SCOPE)
  endif()
  set(${machine} "${class_and_byte_order}${number}" PARENT_SCOPE)
endfunction()

# dynamic_section(<file> <name> <needed> <folders>): its own name, those of the libraries that it needs,
# and the folders that it wants them looked for in.
function(dynamic_section file name needed folders)
  execute_process(COMMAND "${READELF}" --dynamic --wide "${file}"
    OUTPUT_VARIABLE entries ERROR_VARIABLE errors RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    refuse("cannot check ${PROGRAM}: readelf (${READELF}) does not tell what ${file} needs: ${errors}")
  endif()
  string(REGEX REPLACE "[][;]" "|" entries "${entries}")
  string(REGEX MATCHALL "\\(NEEDED\\)[^|\n]*\\|[^|\n]*" names "${entries}")
  list(TRANSFORM names REPLACE "^.*\\|" "")
  string(REGEX MATCHALL "\\((RPATH|RUNPATH)\\)[^|\n]*\\|[^|\n]*" paths "${entries}")
  list(TRANSFORM paths REPLACE "^.*\\|" "")
  get_filename_component(origin "${file}" DIRECTORY)
  string(REPLACE ":" ";" paths "${paths}")
  string(REPLACE "\${ORIGIN}" "${origin}" paths "${paths}")
  string(REPLACE "$ORIGIN" "${origin}" paths "${paths}")
  get_filename_component(soname "${file}" NAME)
  if(entries MATCHES "\\(SONAME\\)[^|\n]*\\|([^|\n]*)")
    set(soname "${CMAKE_MATCH_1}")
  endif()
  set(${name} "${soname}" PARENT_SCOPE)
  set(${needed} "${names}" PARENT_SCOPE)
  set(${folders} "${paths}" PARENT_SCOPE)
endfunction()

# Where the linker and the loader look for a library if nobody tells them: those of this machine, only
# where it is the one that the program is for.
function(usual_folders variable)
  set(folders "")
  if(CROSSCOMPILING AND SYSROOT STREQUAL "")
    set(${variable} "" PARENT_SCOPE)
    return()
  endif()
  if(SYSROOT STREQUAL "")
    string(REPLACE ":" ";" folders "$ENV{LD_LIBRARY_PATH}")
  endif()
  set(in_root /lib /usr/lib /lib64 /usr/lib64)
  file(GLOB configurations "${SYSROOT}/etc/ld.so.conf" "${SYSROOT}/etc/ld.so.conf.d/*.conf")
  foreach(configuration IN LISTS configurations)
    file(STRINGS "${configuration}" lines REGEX "^/")
    list(PREPEND in_root ${lines})
  endforeach()
  list(TRANSFORM in_root PREPEND "${SYSROOT}")
  set(${variable} ${folders} ${in_root} PARENT_SCOPE)
endfunction()

# find_needed(<name> <folders> <machine> <variable>): the shared library of that name, or nothing.
function(find_needed name folders machine variable)
  set(${variable} "" PARENT_SCOPE)
  list(REMOVE_ITEM folders "")
  foreach(folder IN LISTS folders)
    get_filename_component(file "${name}" ABSOLUTE BASE_DIR "${folder}")
    if(NOT EXISTS "${file}" OR IS_DIRECTORY "${file}")
      continue()
    endif()
    elf_header("${file}" shared its_machine)
    if(shared AND its_machine STREQUAL machine)
      set(${variable} "${file}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

# needed_libraries(<files> <variable>): the shared libraries that the program needs, and that these need in
# turn, without those among the files. The map does not name them, yet where one of them and the program
# define the same member, the program's is called. What is not found is left out: the linker may have been
# told where it is.
function(needed_libraries files variable)
  elf_header("${PROGRAM}" ignored machine)
  dynamic_section("${PROGRAM}" ignored ignored folders)
  set(mapped "")
  set(mapped_names "")
  foreach(file IN LISTS files)
    elf_header("${file}" shared ignored)
    if(shared)
      dynamic_section("${file}" name ignored ignored)
      list(APPEND mapped "${file}")
      list(APPEND mapped_names "${name}")
      get_filename_component(folder "${file}" DIRECTORY)
      list(APPEND folders "${folder}")
    endif()
  endforeach()
  usual_folders(usual)
  list(APPEND folders ${usual})
  list(REMOVE_DUPLICATES folders)

  set(found "")
  set(seen "")
  set(queue "${PROGRAM}")
  while(queue)
    list(POP_FRONT queue library)
    dynamic_section("${library}" ignored names its_folders)
    foreach(name IN LISTS names)
      if(name IN_LIST seen)
        continue()
      endif()
      # A library of that name is loaded once, whichever others lie around.
      list(FIND mapped_names "${name}" position)
      if(position GREATER_EQUAL 0)
        list(GET mapped ${position} file)
      else()
        find_needed("${name}" "${its_folders};${folders}" "${machine}" file)
        if(file STREQUAL "")
          continue()
        endif()
        list(APPEND found "${file}")
      endif()
      list(APPEND seen "${name}")
      list(APPEND queue "${file}")
    endforeach()
  endwhile()
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()

# Members of the I/O objects whose layout the drop-in changes, as the C++ ABI mangles them: those
# of boost::asio::detail::io_object_impl, boost::asio::basic_*, and their kin in nested namespaces.
# Objects on an executor of ours have one layout, with the drop-in and without.
set(affected "_ZN[KRO]*5boost4asio(6detail14io_object_implI|12basic_socketI|19basic_stream_socketI|21basic_datagram_socketI|16basic_raw_socketI|23basic_seq_packet_socketI|21basic_socket_acceptorI|20basic_waitable_timerI|20basic_deadline_timerI|16basic_signal_setI|17basic_serial_portI|10basic_fileI|17basic_stream_fileI|24basic_random_access_fileI|19basic_readable_pipeI|19basic_writable_pipeI|2ip14basic_resolverI|5posix16basic_descriptorI|5posix23basic_stream_descriptorI)")
set(marker "10safer_ring[0-9a-z]+6detail14drop_in_marker")

# defined_symbols(<file> <shared> <variable>): "file:member: symbol" of each definition of an affected
# member, and the markers, of an object, archive or shared library.
function(defined_symbols file shared variable)
  set(options --defined-only --print-file-name)
  if(shared)
    list(APPEND options --dynamic)
  endif()
  execute_process(COMMAND "${NM}" ${options} "${file}"
    OUTPUT_VARIABLE symbols ERROR_VARIABLE errors RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR (symbols STREQUAL "" AND NOT shared))
    refuse("cannot check ${PROGRAM}: nm (${NM}) finds no symbols in ${file}, which mentions \
Boost.Asio: ${errors}")
  endif()
  string(REGEX REPLACE "[][;]" "_" symbols "${symbols}")
  string(REPLACE "\n" ";" symbols "${symbols}")
  set(${variable} "${symbols}" PARENT_SCOPE)
endfunction()

# A linked library keeps the marker's section when its symbols are stripped or hidden.
function(has_marker_section file variable)
  execute_process(COMMAND "${READELF}" --sections --wide "${file}"
    OUTPUT_VARIABLE sections ERROR_QUIET)
  string(FIND "${sections}" " safer_ring_drop_in " position)
  if(position GREATER_EQUAL 0)
    set(${variable} TRUE PARENT_SCOPE)
  else()
    set(${variable} FALSE PARENT_SCOPE)
  endif()
endfunction()

set(files "")
foreach(loaded IN LISTS loads)
  find_loaded("${loaded}" file)
  if(NOT file STREQUAL "")
    list(APPEND files "${file}")
  endif()
endforeach()
needed_libraries("${files}" needed)

set(at_fault "")
foreach(file IN LISTS files needed)
  elf_header("${file}" shared ignored)
  # Most of what is linked has never heard of Asio.
  file(STRINGS "${file}" mentions REGEX "5boost4asio" LIMIT_COUNT 1)
  if(NOT mentions)
    continue()
  endif()
  defined_symbols("${file}" "${shared}" symbols)
  set(members ${symbols})
  list(FILTER members INCLUDE REGEX " ${affected}")
  list(FILTER members EXCLUDE REGEX "10safer_ring")
  if(shared)
    has_marker_section("${file}" marked)
    if(marked)
      continue()
    endif()
  else()
    set(marked_objects ${symbols})
    list(FILTER marked_objects INCLUDE REGEX "${marker}")
    list(TRANSFORM marked_objects REPLACE ":[^:]*$" "")
  endif()
  list(TRANSFORM members REPLACE ":[^:]*$" "")
  list(REMOVE_DUPLICATES members)
  if(NOT shared AND marked_objects)
    list(REMOVE_ITEM members ${marked_objects})
  endif()
  list(APPEND at_fault ${members})
endforeach()

if(at_fault)
  list(JOIN at_fault "\n  " names)
  refuse("compiled without the drop-in, but with I/O objects of Asio whose layout it changes:\n\
  ${names}\nLink safer_ring::drop_in to the targets these belong to, or link none of them into \
${PROGRAM}.")
endif()
