# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# Install rules: headers, library, and what find_package(safer_ring) and pkg-config read.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(safer_ring_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/safer_ring")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/safer_ring"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
install(TARGETS safer_ring safer_ring_drop_in EXPORT safer_ring_targets
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT safer_ring_targets NAMESPACE safer_ring::
  DESTINATION "${safer_ring_cmake_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE.txt" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/safer_ring-config.cmake.in"
  "${PROJECT_BINARY_DIR}/safer_ring-config.cmake"
  INSTALL_DESTINATION "${safer_ring_cmake_dir}"
  NO_SET_AND_CHECK_MACRO)
# Until 1.0 every minor version may change the API.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/safer_ring-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/safer_ring-config.cmake"
  "${PROJECT_BINARY_DIR}/safer_ring-config-version.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/safer_ring_check_drop_in.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/safer_ring_drop_in_checker.cmake"
  DESTINATION "${safer_ring_cmake_dir}")

# pkg-config. The prefix is found from the file's own place, so that an installed tree can be
# moved; an absolute library or include folder is taken as it is.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(safer_ring_pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(safer_ring_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
else()
  file(RELATIVE_PATH safer_ring_pc_up
    "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "/$" "" safer_ring_pc_up "${safer_ring_pc_up}")
  set(safer_ring_pc_prefix "\${pcfiledir}/${safer_ring_pc_up}")
  set(safer_ring_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(safer_ring_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(safer_ring_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# A static library cannot bring liburing along: whoever links it has to link liburing as well,
# also when pkg-config is asked without --static, since there is no other flavour installed. Who links
# the shared one needs nothing of liburing's, yet pkg-config would look for liburing.pc, for its flags,
# if it were required here.
if(BUILD_SHARED_LIBS)
  set(safer_ring_pc_requires "Libs.private: -luring")
  set(safer_ring_pc_defines " -DSAFER_RING_SHARED")
else()
  set(safer_ring_pc_requires "Requires: liburing >= 2.3")
  set(safer_ring_pc_defines "")
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/safer-ring.pc.in"
  "${PROJECT_BINARY_DIR}/safer-ring.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/safer-ring.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
