# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# Run by safer_ring_check_drop_in(): MAP is the map of a link, PROGRAM what it made, FOLDERS where the
# linker may have run, NM and READELF the tools to look into objects with. Fails with the names of the objects at fault.

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

# Members of the I/O objects whose layout the drop-in changes, as the C++ ABI mangles them: those
# of boost::asio::detail::io_object_impl, boost::asio::basic_*, and their kin in nested namespaces.
# Objects on an executor of ours have one layout, with the drop-in and without.
set(affected "_ZN[KRO]*5boost4asio(6detail14io_object_implI|12basic_socketI|19basic_stream_socketI|21basic_datagram_socketI|16basic_raw_socketI|23basic_seq_packet_socketI|21basic_socket_acceptorI|20basic_waitable_timerI|20basic_deadline_timerI|16basic_signal_setI|17basic_serial_portI|10basic_fileI|17basic_stream_fileI|24basic_random_access_fileI|19basic_readable_pipeI|19basic_writable_pipeI|2ip14basic_resolverI|5posix16basic_descriptorI|5posix23basic_stream_descriptorI)")
set(marker "10safer_ring[0-9a-z]+6detail14drop_in_marker")

# affected_members(<file> <variable>): "file:member: symbol" of each definition of an affected
# member, and the markers, of an object, archive or shared library.
function(defined_symbols file variable)
  set(options --defined-only --print-file-name)
  if(file MATCHES "\\.so(\\.|$)")
    list(APPEND options --dynamic)
  endif()
  execute_process(COMMAND "${NM}" ${options} "${file}"
    OUTPUT_VARIABLE symbols ERROR_VARIABLE errors RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR (symbols STREQUAL "" AND NOT file MATCHES "\\.so(\\.|$)"))
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

set(at_fault "")
foreach(loaded IN LISTS loads)
  find_loaded("${loaded}" file)
  if(file STREQUAL "")
    continue()
  endif()
  # Most of what is linked has never heard of Asio.
  file(STRINGS "${file}" mentions REGEX "5boost4asio" LIMIT_COUNT 1)
  if(NOT mentions)
    continue()
  endif()
  defined_symbols("${file}" symbols)
  set(members ${symbols})
  list(FILTER members INCLUDE REGEX " ${affected}")
  list(FILTER members EXCLUDE REGEX "10safer_ring")
  if(file MATCHES "\\.so(\\.|$)")
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
  if(NOT file MATCHES "\\.so(\\.|$)" AND marked_objects)
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
