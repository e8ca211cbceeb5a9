# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# Run by safer_ring_check_drop_in(): MAP is the map of a link, PROGRAM what it made, FOLDER where the
# linker has run, NM and READELF the tools to look into objects with, CROSSCOMPILING and SYSROOT
# CMake's. Fails with the names of the objects at fault.

cmake_minimum_required(VERSION 3.25)

function(refuse why)
  file(REMOVE "${PROGRAM}") # or the next build would take it for good
  message(FATAL_ERROR "safer-ring: ${why}")
endfunction()

if(NOT EXISTS "${MAP}")
  refuse("cannot tell what was linked into ${PROGRAM}: the linker has not written ${MAP}. Most likely it \
was given another -Map option as well, and it writes one map only. Remove that option, or do not call \
safer_ring_check_drop_in().")
endif()
# In whatever encoding the system has its names: without one, a string would end at the first byte of those
# beyond ASCII.
file(STRINGS "${MAP}" loads REGEX "^LOAD " ENCODING UTF-8)
if(NOT loads)
  refuse("cannot tell what was linked into ${PROGRAM}: ${MAP} is not a map of GNU ld. Link with it, \
or do not call safer_ring_check_drop_in().")
endif()
list(TRANSFORM loads REPLACE "^LOAD +" "")
list(REMOVE_DUPLICATES loads)
# Jumps over long distances, which it makes itself for ARM and others, are an input without a file.
list(REMOVE_ITEM loads "linker stubs")
# What GCC splits a program into when it optimises at the link, which -save-temps keeps: the marker is
# in one of them only.
list(FILTER loads EXCLUDE REGEX "\\.ltrans[0-9]*\\.ltrans\\.o$")

# What else they make there and delete behind it; the objects all of it was made of are in the map too.
set(of_the_link "\\.(lto|debug\\.temp)\\.o$|/lto-llvm-[^/]*\\.o$")

# The file that a map names, as an absolute path; nothing for what was made by the link only.
function(find_loaded file variable)
  get_filename_component(absolute "${file}" ABSOLUTE BASE_DIR "${FOLDER}")
  if(EXISTS "${absolute}")
    set(${variable} "${absolute}" PARENT_SCOPE)
    return()
  endif()
  if(file MATCHES "${of_the_link}")
    set(${variable} "" PARENT_SCOPE)
    return()
  endif()
  refuse("cannot check ${PROGRAM}: ${file}, which was linked into it, is not in ${FOLDER}")
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

# Asio's I/O objects, whose layout the drop-in changes, and what is behind them. An optimising compiler
# inlines all of their members, so that a symbol counts wherever it mentions one of them: in a function
# that is given a socket, in a handler, in the operation that Asio made for one. As the C++ ABI mangles it,
# a name has its length before it, and I after it if it is that of a template.
set(classes io_object_impl basic_socket basic_stream_socket basic_datagram_socket basic_raw_socket
  basic_seq_packet_socket basic_socket_acceptor basic_waitable_timer basic_deadline_timer
  basic_signal_set basic_serial_port basic_file basic_stream_file basic_random_access_file
  basic_readable_pipe basic_writable_pipe basic_resolver basic_descriptor basic_stream_descriptor)
set(mangled_classes "")
foreach(class IN LISTS classes)
  string(LENGTH "${class}" length)
  list(APPEND mangled_classes "${length}${class}")
endforeach()
list(JOIN mangled_classes "|" mangled_classes)
set(mangled_operations "[0-9](reactive_[a-z_]+|io_uring_[a-z_]+|descriptor_read|descriptor_write|resolve_query|resolve_endpoint)_op|12wait_handler|14signal_handler")
set(affected " _Z[^ ]*5boost[^ ]*4asio[^ ]*(${mangled_classes}|${mangled_operations})I")
# What tells sooner that most symbols are none of these: a long choice is slow to search for.
set(perhaps_affected "[0-9](basic_|io_object_impl|reactive_|io_uring_|descriptor_|resolve_|wait_h|signal_h)")

# Objects on an executor of ours have one layout, with the drop-in and without, and their symbols name our
# namespace. So does a function that takes a context of ours along with a socket on any executor, which
# only the demangled symbol tells: there, the executor is among the arguments of the class.
set(ours "10safer_ring")
list(JOIN classes "|" demangled_affected)
set(demangled_affected "boost::asio::[a-z_:]*(${demangled_affected})<[^<>]*(<[^<>]*>[^<>]*)?boost::asio::(strand<boost::asio::)?(any_io_executor|io_context::basic_executor_type<)")
set(marker "10safer_ring[0-9a-z]+6detail14drop_in_marker")

# What CMake would take for the end or the depth of an element, in paths as in operator[].
macro(without_list_syntax variable)
  string(REGEX REPLACE "[][;]" "_" ${variable} "${${variable}}")
endmacro()

# defined_symbols(<file> <shared> <variable> [<option>]): a line of nm for each definition in an object,
# archive or shared library.
function(defined_symbols file shared variable)
  set(options --defined-only --print-file-name ${ARGN})
  if(shared)
    list(APPEND options --dynamic)
  endif()
  execute_process(COMMAND "${NM}" ${options} "${file}"
    OUTPUT_VARIABLE symbols ERROR_VARIABLE errors RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR (symbols STREQUAL "" AND NOT shared))
    refuse("cannot check ${PROGRAM}: nm (${NM}) finds no symbols in ${file}, which mentions \
Boost.Asio: ${errors}")
  endif()
  without_list_syntax(symbols)
  string(REPLACE "\n" ";" symbols "${symbols}")
  set(${variable} "${symbols}" PARENT_SCOPE)
endfunction()

# What nm prints ahead of each symbol: a file, or an archive and its member.
function(objects_of symbols variable)
  list(TRANSFORM symbols REPLACE ": ?[-0-9a-fA-F]* [^ ] .*$" "")
  list(REMOVE_DUPLICATES symbols)
  set(${variable} "${symbols}" PARENT_SCOPE)
endfunction()

# unmarked_objects(<file> <shared> <variable>): those in the file, or itself, that have I/O objects of Asio's
# and no marker among their symbols.
function(unmarked_objects file shared variable)
  defined_symbols("${file}" "${shared}" symbols)
  set(marked "")
  if(NOT shared)
    set(marked ${symbols})
    list(FILTER marked INCLUDE REGEX "${marker}")
    objects_of("${marked}" marked)
  endif()

  set(with_ours ${symbols})
  list(FILTER with_ours INCLUDE REGEX "${perhaps_affected}")
  list(FILTER with_ours INCLUDE REGEX "${affected}")
  set(without_ours ${with_ours})
  list(FILTER with_ours INCLUDE REGEX "${ours}")
  list(FILTER without_ours EXCLUDE REGEX "${ours}")
  objects_of("${without_ours}" unmarked)
  list(REMOVE_ITEM unmarked ${marked} "")
  objects_of("${with_ours}" with_ours)
  list(REMOVE_ITEM with_ours ${marked} ${unmarked} "")
  if(with_ours)
    defined_symbols("${file}" "${shared}" symbols --demangle)
    list(FILTER symbols INCLUDE REGEX "${demangled_affected}")
    objects_of("${symbols}" more)
    list(REMOVE_ITEM more ${marked} "")
    list(APPEND unmarked ${more})
    list(REMOVE_DUPLICATES unmarked)
  endif()
  set(${variable} "${unmarked}" PARENT_SCOPE)
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

# linked_members(<objects> <file> <name in map> <variable>): those of the objects that are in the program.
# The map, whatever language the linker speaks, names each member of an archive that was taken out of it
# and none that was left there; those of a thin archive as the files that they are, by a path of some kind.
function(linked_members objects file name_in_map variable)
  file(READ "${file}" magic LIMIT 7)
  without_list_syntax(file)
  without_list_syntax(name_in_map)
  set(linked "")
  foreach(object IN LISTS objects)
    string(FIND "${object}" "${file}:" position)
    if(position EQUAL 0)
      string(LENGTH "${file}:" length)
      string(SUBSTRING "${object}" ${length} -1 member)
      if(magic MATCHES "^!<thin>")
        get_filename_component(wanted "${member}" NAME)
      else()
        set(wanted "${name_in_map}(${member})")
      endif()
      string(FIND "${all_of_map}" "${wanted}" position)
      if(position LESS 0)
        continue()
      endif()
    endif()
    list(APPEND linked "${object}")
  endforeach()
  set(${variable} "${linked}" PARENT_SCOPE)
endfunction()

# Adds to at_fault what of the file, which the map has by the other name, has to have the drop-in.
function(check file name_in_map)
  # Most of what is linked has never heard of Asio.
  file(STRINGS "${file}" mentions REGEX "5boost4asio" LIMIT_COUNT 1)
  if(NOT mentions)
    return()
  endif()
  elf_header("${file}" shared ignored)
  if(shared)
    has_marker_section("${file}" marked)
    if(marked)
      return()
    endif()
  endif()
  unmarked_objects("${file}" "${shared}" objects)
  if(objects AND all_of_map STREQUAL "")
    file(READ "${MAP}" all_of_map)
    without_list_syntax(all_of_map)
    set(all_of_map "${all_of_map}" PARENT_SCOPE)
  endif()
  linked_members("${objects}" "${file}" "${name_in_map}" objects)
  list(APPEND at_fault ${objects})
  list(REMOVE_DUPLICATES at_fault)
  set(at_fault "${at_fault}" PARENT_SCOPE)
endfunction()

set(files "")
set(names_in_map "")
foreach(loaded IN LISTS loads)
  find_loaded("${loaded}" file)
  if(NOT file STREQUAL "")
    list(APPEND files "${file}")
    list(APPEND names_in_map "${loaded}")
  endif()
endforeach()
needed_libraries("${files}" needed)

set(at_fault "")
set(all_of_map "")
foreach(file name_in_map IN ZIP_LISTS files names_in_map)
  check("${file}" "${name_in_map}")
endforeach()
foreach(file IN LISTS needed)
  check("${file}" "")
endforeach()

if(at_fault)
  list(JOIN at_fault "\n  " names)
  refuse("compiled without the drop-in, but with I/O objects of Asio whose layout it changes:\n\
  ${names}\nLink safer_ring::drop_in to the targets these belong to, or link none of them into \
${PROGRAM}.")
endif()
