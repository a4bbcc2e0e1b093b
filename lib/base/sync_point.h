// Named steps at which a test halts or kills the process, so that each order of events can be
// reproduced: LMCD_SYNC_POINT("reserve.before_publish"). Names are "<verb>.<step>".
//
// A point is compiled in with the CMake option LMCD_SYNC_POINTS and costs one predicted branch on
// a flag; without the option it is nothing. It is armed when LMCD_TESTING=1 is in the environment
// and LMCD_SYNC_POINT has
//
//   <name>:<action>[:<hit>][,...]     the action happens at the <hit>th arrival (default 1)
//
//   kill          SIGKILL to this process
//   stop          SIGSTOP to this process, until SIGCONT
//   wait=<path>   makes <path>.reached, then waits until <path> exists (at most 60 s)
//
// Any thread. The environment is read here, not in the configuration module, because a point must
// work in the client library too, where there is no configuration.
#pragma once

#ifdef LMCD_SYNC_POINTS

namespace lmcd::sync {

// Whether any point is armed; settled once when the program is loaded.
extern const bool armed;

void arrive(const char* name);

}  // namespace lmcd::sync

#define LMCD_SYNC_POINT(name)                                                 \
  do {                                                                        \
    if (__builtin_expect(::lmcd::sync::armed, 0)) ::lmcd::sync::arrive(name); \
  } while (0)

#else
#define LMCD_SYNC_POINT(name) static_cast<void>(0)
#endif
