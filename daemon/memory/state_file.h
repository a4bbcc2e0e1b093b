// Small files of the state directory, replaced whole: a reader, also after a crash of daemon or
// machine, finds the old content or the new, never a mixture. Loop thread, start and admin verbs
// only: it waits for the disk.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace lmcd::memory {

inline constexpr std::size_t kStateFileBytes = 16 << 20;

// Returns nothing when there is no such file. Faults beyond kStateFileBytes.
Result<std::optional<std::string>> read_state_file(const std::string& path);

// Writes a neighbour, syncs it, renames it over `path` and syncs the directory. Mode 0600.
Status write_state_file(const std::string& path, std::string_view content);

}  // namespace lmcd::memory
