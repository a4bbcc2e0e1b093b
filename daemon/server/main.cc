// lmcd-daemon: reads its options, then serves until told to stop.
//
// Exit status: 0 after an orderly stop, 1 when it could not start or had to give up, 2 when an
// option is wrong.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "daemon/config/describe.h"
#include "daemon/config/parse.h"
#include "daemon/server/server.h"

namespace lmcd {
namespace {

constexpr int kFailed = 1;
constexpr int kMisused = 2;

int complain(const Status& status) {
  std::fprintf(stderr, "lmcd-daemon: %.*s\n", static_cast<int>(status.text().size()),
               status.text().data());
  return status.code() == LMCD_E_INVALID || status.code() == LMCD_E_UNSUPPORTED ? kMisused
                                                                                : kFailed;
}

int print(const std::string& text) {
  const bool ended = text.ends_with('\n');
  return std::printf("%s%s", text.c_str(), ended ? "" : "\n") < 0 ? kFailed : 0;
}

// Each session costs a few descriptors: take as many as the administrator allows.
void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int serve(const config::Invocation& invocation, server::Server::Reread reread) {
  const config::Options& options = invocation.options;
  MonotonicClock clock;
  FileDescriptor nowhere;
  Log::Options log_options;
  if (options.log_format == config::LogFormat::kJson) log_options.format = Log::Format::kJson;
  if (options.disable_logging) {
    nowhere.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    log_options.descriptor = nowhere.get();
  }
  Log log(clock, log_options);
  for (const std::string& warning : invocation.warnings)
    log.event(Severity::kWarning, "option.ignored").field("reason", warning);

  Result<Supervisor> supervisor = Supervisor::from_environment();
  if (!supervisor.ok()) return complain(supervisor.status());
  raise_descriptor_limit();
  Result<std::unique_ptr<server::Server>> started =
      server::Server::start(options, std::move(reread), log, supervisor.value());
  if (!started.ok()) return complain(started.status());
  Status status = started.value()->run();
  if (status.ok()) return 0;
  complain(status);
  return kFailed;
}

int main(int argc, char** argv) {
  Result<config::Invocation> invocation = config::parse(argc, argv, environ);
  if (!invocation.ok()) return complain(invocation.status());
  switch (invocation.value().action) {
    case config::Action::kHelp:
      return print(config::usage());
    case config::Action::kVersion:
      return print(LMCD_VERSION);
    case config::Action::kDescribeOptions:
      return print(config::describe_options());
    case config::Action::kPrintConfig:
      return print(config::effective_config(invocation.value().options));
    case config::Action::kServe:
      return serve(invocation.value(), [=]() -> Result<config::Options> {
        LMCD_ASSIGN(config::Invocation again, config::parse(argc, argv, environ));
        return std::move(again.options);
      });
  }
  return kMisused;
}

}  // namespace
}  // namespace lmcd

int main(int argc, char** argv) { return lmcd::main(argc, argv); }
