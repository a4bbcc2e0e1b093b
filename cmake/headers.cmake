# lmcd_headers compiles each header alone, so that it includes what it uses. Incremental like
# any target: only a header that changed, or what it includes, is compiled again.

file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}
  ${CMAKE_SOURCE_DIR}/include/*.h ${CMAKE_SOURCE_DIR}/lib/*.h ${CMAKE_SOURCE_DIR}/daemon/*.h
  ${CMAKE_SOURCE_DIR}/cuda/*.h)

set(units)
foreach(header IN LISTS headers)
  set(unit ${CMAKE_BINARY_DIR}/headers/${header}.cc)
  # Twice, so that a missing guard shows.
  file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${header}\"\n#include \"${header}\"\n")
  list(APPEND units ${unit})
endforeach()
add_library(lmcd_headers OBJECT EXCLUDE_FROM_ALL ${units})
target_link_libraries(lmcd_headers PRIVATE lmcd_flags)
target_compile_options(lmcd_headers PRIVATE -O0 -g0)
