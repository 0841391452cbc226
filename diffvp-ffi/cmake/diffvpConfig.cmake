# find_package(diffvp) gives the targets
#   diffvp::diffvp  the shared library, or the static one where only that is installed
#   diffvp::static  the static library, where it is installed
# Installed as PREFIX/share/cmake/diffvp/diffvpConfig.cmake.

get_filename_component(_diffvp_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

set(_diffvp_folders lib lib64)
if(CMAKE_LIBRARY_ARCHITECTURE)
  list(APPEND _diffvp_folders "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()

find_path(diffvp_INCLUDE_DIR diffvp.h PATHS "${_diffvp_prefix}" PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(diffvp_LIBRARY NAMES diffvp PATHS "${_diffvp_prefix}" PATH_SUFFIXES ${_diffvp_folders} NO_DEFAULT_PATH)
find_library(
  diffvp_STATIC_LIBRARY NAMES "${CMAKE_STATIC_LIBRARY_PREFIX}diffvp${CMAKE_STATIC_LIBRARY_SUFFIX}"
  PATHS "${_diffvp_prefix}" PATH_SUFFIXES ${_diffvp_folders} NO_DEFAULT_PATH)
mark_as_advanced(diffvp_INCLUDE_DIR diffvp_LIBRARY diffvp_STATIC_LIBRARY)

set(_diffvp_system_libraries)
if(UNIX AND NOT APPLE)
  find_package(Threads REQUIRED)
  set(_diffvp_system_libraries Threads::Threads m ${CMAKE_DL_LIBS} gcc_s)
endif()

if(diffvp_LIBRARY AND NOT TARGET diffvp::diffvp)
  add_library(diffvp::diffvp UNKNOWN IMPORTED)
  set_target_properties(diffvp::diffvp PROPERTIES
    IMPORTED_LOCATION "${diffvp_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${diffvp_INCLUDE_DIR}")
  if(diffvp_LIBRARY STREQUAL "${diffvp_STATIC_LIBRARY}")
    set_property(TARGET diffvp::diffvp PROPERTY INTERFACE_LINK_LIBRARIES "${_diffvp_system_libraries}")
  endif()
endif()
if(diffvp_STATIC_LIBRARY AND NOT TARGET diffvp::static)
  add_library(diffvp::static STATIC IMPORTED)
  set_target_properties(diffvp::static PROPERTIES
    IMPORTED_LOCATION "${diffvp_STATIC_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${diffvp_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${_diffvp_system_libraries}")
endif()

set(diffvp_FOUND TRUE)
if(NOT diffvp_INCLUDE_DIR OR NOT diffvp_LIBRARY)
  set(diffvp_FOUND FALSE)
  set(diffvp_NOT_FOUND_MESSAGE "diffvp.h or libdiffvp is missing below ${_diffvp_prefix}")
endif()
