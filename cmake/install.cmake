# What an installation holds, in two shapes: a system prefix (component `system`) and the
# Python wheel (component `wheel`, whose root is the wheel's own).

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

file(GLOB lmcd_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/*.h)

install(FILES ${lmcd_headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT system)
install(FILES ${lmcd_headers} DESTINATION lmcd/include COMPONENT wheel EXCLUDE_FROM_ALL)

if(TARGET lmcd)
  install(TARGETS lmcd
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT system NAMELINK_COMPONENT system)
  # A wheel has no symbolic links: one file, under the name that programs load.
  install(PROGRAMS $<TARGET_FILE:lmcd> RENAME $<TARGET_SONAME_FILE_NAME:lmcd>
    DESTINATION lmcd/_lib COMPONENT wheel EXCLUDE_FROM_ALL)

  # The prefix as seen from the pkg-config file, so that an installation may be moved.
  file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(cmake/lmcd.pc.in ${CMAKE_BINARY_DIR}/lmcd.pc @ONLY)
  install(FILES ${CMAKE_BINARY_DIR}/lmcd.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT system)

  set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lmcd)
  configure_package_config_file(cmake/lmcdConfig.cmake.in ${CMAKE_BINARY_DIR}/lmcdConfig.cmake
    INSTALL_DESTINATION ${config_dir} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
  # Until 1.0 a minor version may break what was; then only a major one.
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/lmcdConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/lmcdConfig.cmake ${CMAKE_BINARY_DIR}/lmcdConfigVersion.cmake
    DESTINATION ${config_dir} COMPONENT system)
endif()

if(TARGET lmcd-daemon)
  install(TARGETS lmcd-daemon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT system)
  install(TARGETS lmcd-daemon RUNTIME DESTINATION lmcd/_bin COMPONENT wheel EXCLUDE_FROM_ALL)
endif()
