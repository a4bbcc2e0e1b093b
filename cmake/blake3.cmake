# Makes the target lmcd_blake3: the system's libblake3, else one built from the C sources that
# Debian ships inside its Rust package (Debian 12 has no libblake3-dev).

find_path(BLAKE3_INCLUDE_DIR blake3.h)
find_library(BLAKE3_LIBRARY blake3)
if(BLAKE3_INCLUDE_DIR AND BLAKE3_LIBRARY)
  add_library(lmcd_blake3 INTERFACE)
  target_include_directories(lmcd_blake3 SYSTEM INTERFACE ${BLAKE3_INCLUDE_DIR})
  target_link_libraries(lmcd_blake3 INTERFACE ${BLAKE3_LIBRARY})
  return()
endif()

file(GLOB blake3_dirs LIST_DIRECTORIES true /usr/share/cargo/registry/blake3-*/c)
list(SORT blake3_dirs COMPARE NATURAL ORDER DESCENDING)
find_path(BLAKE3_SOURCE_DIR blake3_dispatch.c PATHS ${blake3_dirs} NO_DEFAULT_PATH)
if(NOT BLAKE3_SOURCE_DIR)
  message(FATAL_ERROR
    "BLAKE3 not found: install libblake3-dev, or on Debian 12 librust-blake3-dev")
endif()

set(blake3_sources blake3.c blake3_dispatch.c blake3_portable.c)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  foreach(isa sse2 sse41 avx2 avx512)
    list(APPEND blake3_sources blake3_${isa}_x86-64_unix.S)
  endforeach()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  list(APPEND blake3_sources blake3_neon.c)
endif()
list(TRANSFORM blake3_sources PREPEND ${BLAKE3_SOURCE_DIR}/)

add_library(lmcd_blake3 STATIC ${blake3_sources})
target_include_directories(lmcd_blake3 SYSTEM PUBLIC ${BLAKE3_SOURCE_DIR})
# Hidden, so that liblmcd does not offer its copy to the programs that load it. Optimized in
# every configuration: it is not ours to step through.
set_target_properties(lmcd_blake3 PROPERTIES C_VISIBILITY_PRESET hidden)
target_compile_options(lmcd_blake3 PRIVATE -O3)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  target_compile_definitions(lmcd_blake3 PRIVATE BLAKE3_USE_NEON=1)
endif()
