#include "daemon/memory/host.h"

#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "lib/base/bytes.h"

namespace lmcd::memory {
namespace {

// The first line of a file of /proc or /sys; empty when there is none.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> number_in(const std::string& path) {
  const std::string line = first_line(path);
  uint64_t number;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc()) return std::nullopt;  // "max", or no such file
  return number;
}

// The choice in brackets: "always [madvise] never".
std::string chosen_in(const std::string& path) {
  const std::string line = first_line(path);
  const std::size_t begin = line.find('[');
  const std::size_t end = line.find(']');
  if (begin == std::string::npos || end == std::string::npos) return "";
  return line.substr(begin + 1, end - begin - 1);
}

std::string shmem_enabled() {
  return chosen_in("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
}

// Keeps in `lowest` the limits of the group at `mount`/`group` and of those above it.
void lower_by(const std::string& mount, std::string group, const char* file,
              std::optional<MemoryLimit>& lowest) {
  for (;;) {
    const std::string path = mount + group + "/" + file;
    if (const auto bytes = number_in(path); bytes && (!lowest || *bytes < lowest->bytes))
      lowest = {*bytes, path};
    if (group.empty()) return;
    group.erase(group.rfind('/'));
  }
}

}  // namespace

std::string print_bytes(uint64_t bytes) {
  char text[48];
  if (bytes >= kGiB)
    std::snprintf(text, sizeof text, "%.2f GiB", static_cast<double>(bytes) / double{kGiB});
  else if (bytes >= kMiB)
    std::snprintf(text, sizeof text, "%.2f MiB", static_cast<double>(bytes) / double{kMiB});
  else
    std::snprintf(text, sizeof text, "%llu bytes", static_cast<unsigned long long>(bytes));
  return text;
}

uint64_t machine_bytes() {
  struct sysinfo machine;
  sysinfo(&machine);  // fails for a bad pointer only (sysinfo(2))
  return (uint64_t{machine.totalram} + machine.totalswap) * machine.mem_unit;
}

Status check_memory(uint64_t wanted_bytes) {
  const uint64_t all = machine_bytes();
  if (wanted_bytes > all)
    return fault(LMCD_E_NO_MEMORY,
                 "%s of shared memory: this machine has %s of RAM and swap. Lower --l1-size-gb",
                 print_bytes(wanted_bytes).c_str(), print_bytes(all).c_str());
  const auto limit = control_group_limit();
  if (limit && wanted_bytes > limit->bytes)
    return fault(LMCD_E_NO_MEMORY,
                 "%s of shared memory: %s allows %s. Raise it (systemd: MemoryMax=, docker: "
                 "--memory, Kubernetes: resources.limits.memory) or lower --l1-size-gb",
                 print_bytes(wanted_bytes).c_str(), limit->path.c_str(),
                 print_bytes(limit->bytes).c_str());
  return {};
}

Status check_room(const std::string& directory, uint64_t wanted_bytes, const char* mend) {
  struct statvfs system;
  if (statvfs(directory.c_str(), &system) != 0)
    return errno_fault(LMCD_E_IO, errno, "statvfs %s", directory.c_str());
  const uint64_t room = uint64_t{system.f_bavail} * system.f_frsize;
  // A tmpfs of size 0 has no limit of its own.
  if (system.f_blocks == 0 || wanted_bytes <= room) return {};
  return fault(LMCD_E_NO_MEMORY, "%s in %s, which has %s free of %s: %s",
               print_bytes(wanted_bytes).c_str(), directory.c_str(), print_bytes(room).c_str(),
               print_bytes(uint64_t{system.f_blocks} * system.f_frsize).c_str(), mend);
}

std::optional<MemoryLimit> control_group_limit(const std::string& root) {
  // Lines of /proc/self/cgroup are "id:controllers:path"; no controllers in version 2
  // (cgroups(7)). A container sees its own group as "/".
  std::ifstream groups(root + "/proc/self/cgroup");
  std::optional<MemoryLimit> lowest;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string group = line.substr(second + 1);
    if (group == "/") group.clear();
    if (!group.empty() && group[0] != '/') continue;
    if (controllers == ",,") lower_by(root + "/sys/fs/cgroup", group, "memory.max", lowest);
    if (controllers.find(",memory,") != std::string::npos)
      lower_by(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes", lowest);
  }
  return lowest;
}

uint64_t free_huge_pages() {
  return number_in("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").value_or(0);
}

bool memfd_takes_huge_pages() {
  const std::string chosen = shmem_enabled();
  return !chosen.empty() && chosen != "never" && chosen != "deny";
}

bool tmpfs_takes_huge_pages(const std::string& directory) {
  const std::string chosen = shmem_enabled();
  if (chosen == "force") return true;
  if (chosen.empty() || chosen == "deny") return false;
  // Fields of /proc/self/mounts: device, directory, type, options (proc(5)). The last mount on a
  // directory is the one that is seen.
  std::ifstream mounts("/proc/self/mounts");
  bool takes = false;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, place, type, options;
    fields >> device >> place >> type >> options;
    if (place != directory || type != "tmpfs") continue;
    const std::size_t at = options.find("huge=");
    takes = at != std::string::npos && options.compare(at, 10, "huge=never") != 0;
  }
  return takes;
}

}  // namespace lmcd::memory
