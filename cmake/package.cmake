# The Debian package: what a system prefix has (component `system`), and what makes it a service
# (component `service`: units, user, directories, the example configuration). `make package`.

set(made ${CMAKE_BINARY_DIR}/service)
install(FILES systemd/lmcd.service systemd/lmcd.socket systemd/lmcd-admin.service
  DESTINATION lib/systemd/system COMPONENT service EXCLUDE_FROM_ALL)
install(FILES systemd/lmcd.sysusers.conf RENAME lmcd.conf
  DESTINATION lib/sysusers.d COMPONENT service EXCLUDE_FROM_ALL)
install(FILES systemd/lmcd.tmpfiles.conf RENAME lmcd.conf
  DESTINATION lib/tmpfiles.d COMPONENT service EXCLUDE_FROM_ALL)
install(FILES systemd/lmcd.yaml DESTINATION /etc/lmcd COMPONENT service EXCLUDE_FROM_ALL)
install(FILES LICENSE RENAME copyright
  DESTINATION share/doc/lmcd COMPONENT service EXCLUDE_FROM_ALL)
install(FILES docs/operating.md docs/options.md docs/metrics.md
  DESTINATION share/doc/lmcd COMPONENT service EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lmcd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "lmcd maintainers <root@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "KV cache daemon for LLM inference engines")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};lmcd;ALL;/")
set(CPACK_COMPONENTS_ALL system service)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS systemd)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
file(WRITE ${made}/conffiles "/etc/lmcd/lmcd.yaml\n")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${made}/conffiles
  ${CMAKE_SOURCE_DIR}/deploy/debian/postinst
  ${CMAKE_SOURCE_DIR}/deploy/debian/prerm
  ${CMAKE_SOURCE_DIR}/deploy/debian/postrm)
include(CPack)
