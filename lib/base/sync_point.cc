#include "lib/base/sync_point.h"

#ifdef LMCD_SYNC_POINTS

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace lmcd::sync {
namespace {

constexpr int kPointsMax = 8;
constexpr int kWaitMs = 60'000;

struct Point {
  std::string name;
  std::string action;
  int hit = 1;
  std::atomic<int> arrivals{0};
};

struct Points {
  Point points[kPointsMax];
  int count = 0;

  explicit Points(const char* text) {
    std::string_view rest = text == nullptr ? "" : text;
    while (!rest.empty() && count < kPointsMax) {
      std::string_view entry = rest.substr(0, rest.find(','));
      rest.remove_prefix(entry.size() == rest.size() ? entry.size() : entry.size() + 1);
      read(entry, points[count++]);
    }
  }

  // A malformed entry would let a test pass without its fault: it ends the process at once.
  static void read(std::string_view entry, Point& point) {
    std::size_t colon = entry.find(':');
    if (colon == 0 || colon == std::string_view::npos) reject(entry);
    point.name = entry.substr(0, colon);
    std::string_view rest = entry.substr(colon + 1);
    std::size_t last = rest.find(':');
    point.action = rest.substr(0, last);
    if (last != std::string_view::npos) {
      rest.remove_prefix(last + 1);
      point.hit = 0;  // what is no number is rejected below
      std::from_chars(rest.data(), rest.data() + rest.size(), point.hit);
    }
    bool known = point.action == "kill" || point.action == "stop" ||
                 point.action.starts_with("wait=/");
    if (!known || point.hit < 1) reject(entry);
  }

  [[noreturn]] static void reject(std::string_view entry) {
    std::fprintf(stderr, "LMCD_SYNC_POINT: \"%.*s\" is not <name>:kill|stop|wait=/path[:<hit>]\n",
                 static_cast<int>(entry.size()), entry.data());
    std::abort();
  }
};

const char* script() {
  const char* testing = std::getenv("LMCD_TESTING");
  if (testing == nullptr || std::strcmp(testing, "1") != 0) return nullptr;
  return std::getenv("LMCD_SYNC_POINT");
}

Points& points() {
  static Points* read_once = new Points(script());  // outlives every thread that may arrive
  return *read_once;
}

void await(const std::string& path) {
  int mark = ::open((path + ".reached").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (mark >= 0) ::close(mark);
  for (int waited_ms = 0; waited_ms < kWaitMs; ++waited_ms) {
    if (::access(path.c_str(), F_OK) == 0) return;
    timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace

const bool armed = script() != nullptr;

void arrive(const char* name) {
  Points& all = points();
  for (int i = 0; i < all.count; ++i) {
    Point& point = all.points[i];
    if (point.name != name) continue;
    if (point.arrivals.fetch_add(1) + 1 != point.hit) continue;
    if (point.action == "kill") ::kill(::getpid(), SIGKILL);
    if (point.action == "stop") ::kill(::getpid(), SIGSTOP);
    if (point.action.starts_with("wait=")) await(point.action.substr(5));
  }
}

}  // namespace lmcd::sync

#endif
