# How every target of lmcd is compiled, said once.

find_package(Threads REQUIRED)

add_library(lmcd_flags INTERFACE)
target_include_directories(lmcd_flags INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
target_compile_options(lmcd_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor;-fno-rtti>)
target_link_libraries(lmcd_flags INTERFACE Threads::Threads)
if(LMCD_SYNC_POINTS)
  target_compile_definitions(lmcd_flags INTERFACE LMCD_SYNC_POINTS)
endif()
if(LMCD_SANITIZE)
  target_compile_options(lmcd_flags INTERFACE
    -fsanitize=${LMCD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(lmcd_flags INTERFACE -fsanitize=${LMCD_SANITIZE})
endif()

# lmcd_library(<folder> SOURCES a.cc ... [LINKS lmcd_base ...])
# makes the static library lmcd_<folder>.
function(lmcd_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(lmcd_${name} STATIC ${arg_SOURCES})
  target_link_libraries(lmcd_${name} PUBLIC lmcd_flags ${arg_LINKS})
  set_target_properties(lmcd_${name} PROPERTIES CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden)
endfunction()

# lmcd_test(<name> SOURCES a_test.cc ... [LINKS lmcd_core ...] [LABELS unit])
# makes a GoogleTest program and registers it with ctest.
function(lmcd_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINKS;LABELS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE lmcd_flags ${arg_LINKS} GTest::gtest GTest::gtest_main)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(LMCD_SANITIZE)
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * 5")
    # What is tested stays optimized. The tests are most of the sources, and optimizing the
    # instrumented bodies of GoogleTest takes three times as long as all the rest of compiling.
    target_compile_options(${name} PRIVATE -O0)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77)
endfunction()

# lmcd_bench(<name> SOURCES a_bench.cc ... [LINKS lmcd_core ...])
function(lmcd_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE lmcd_flags ${arg_LINKS})
endfunction()

# All fuzz targets, so that they can be built without the rest.
add_custom_target(lmcd_fuzzers)

# lmcd_fuzz(<name> SOURCES a_fuzz.cc ... [LINKS lmcd_wire ...])
# makes a program of LLVMFuzzerTestOneInput. With LMCD_FUZZ it fuzzes (tools/fuzz runs it);
# without, it replays tests/fuzz/corpus/<name> as an ordinary test, so that what once crashed
# stays a case of every build.
function(lmcd_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  if(LMCD_FUZZ)
    add_executable(${name} ${arg_SOURCES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  else()
    add_executable(${name} ${arg_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.cc)
    add_test(NAME ${name} COMMAND ${name} ${corpus})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
  target_link_libraries(${name} PRIVATE lmcd_flags ${arg_LINKS})
  add_dependencies(lmcd_fuzzers ${name})
endfunction()
