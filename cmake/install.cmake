# What an installation holds, in two shapes: a system prefix (component `system`) and the
# Python wheel (component `wheel`, whose root is the wheel's own).

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

file(GLOB lmcd_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/*.h)

# lmcd_describe(<component> <folder> <headers> <library> <link> [EXCLUDE_FROM_ALL])
# installs the files of pkg-config and CMake into `folder`. They name what they describe as seen
# from where they are, so that an installation may be moved.
function(lmcd_describe component folder headers library link)
  set(made ${CMAKE_BINARY_DIR}/describe-${component})
  file(RELATIVE_PATH pc_to_prefix /${folder}/pkgconfig /)
  configure_file(cmake/lmcd.pc.in ${made}/lmcd.pc @ONLY)
  configure_package_config_file(cmake/lmcdConfig.cmake.in ${made}/lmcdConfig.cmake
    INSTALL_DESTINATION ${folder}/cmake/lmcd PATH_VARS headers library)
  install(FILES ${made}/lmcd.pc DESTINATION ${folder}/pkgconfig COMPONENT ${component} ${ARGN})
  install(FILES ${made}/lmcdConfig.cmake ${CMAKE_BINARY_DIR}/lmcdConfigVersion.cmake
    DESTINATION ${folder}/cmake/lmcd COMPONENT ${component} ${ARGN})
endfunction()

install(FILES ${lmcd_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT system)
install(FILES ${lmcd_headers} DESTINATION lmcd/include COMPONENT wheel EXCLUDE_FROM_ALL)

if(TARGET lmcd)
  install(TARGETS lmcd
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT system NAMELINK_COMPONENT system)
  # A wheel has no symbolic links: one file, under the name that programs load.
  install(PROGRAMS $<TARGET_FILE:lmcd> RENAME $<TARGET_SONAME_FILE_NAME:lmcd>
    DESTINATION lmcd/_lib COMPONENT wheel EXCLUDE_FROM_ALL)

  # Until 1.0 a minor version may break what was; then only a major one.
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/lmcdConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  lmcd_describe(system ${CMAKE_INSTALL_LIBDIR} ${CMAKE_INSTALL_INCLUDEDIR}
    ${CMAKE_INSTALL_LIBDIR}/liblmcd.so "-L\${prefix}/${CMAKE_INSTALL_LIBDIR} -llmcd")
  # A program finds the library where the wheel has it, since no loader looks there.
  lmcd_describe(wheel lmcd/share lmcd/include lmcd/_lib/liblmcd.so.0
    "\${library} -Wl,-rpath,\${prefix}/lmcd/_lib" EXCLUDE_FROM_ALL)
endif()

if(TARGET lmcd-daemon)
  install(TARGETS lmcd-daemon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT system)
  install(TARGETS lmcd-daemon RUNTIME DESTINATION lmcd/_bin COMPONENT wheel EXCLUDE_FROM_ALL)
endif()

# What the conversation of `lmcd demo` is about.
file(GLOB lmcd_pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
install(FILES ${lmcd_pages} DESTINATION lmcd/demo/docs COMPONENT wheel EXCLUDE_FROM_ALL)
