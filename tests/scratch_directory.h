// A directory for one test, gone with it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace lmcd {

class ScratchDirectory {
 public:
  // `parent`: where; on the temporary disk by default, /dev/shm for a tmpfs.
  explicit ScratchDirectory(const std::string& parent = std::filesystem::temp_directory_path()) {
    path_ = parent + "/lmcd_test_XXXXXX";
    if (!mkdtemp(path_.data())) abort();
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace lmcd
