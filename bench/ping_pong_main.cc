// Prints the median of 200 ping-pongs between two CPUs, paced at 1 ms, in microseconds: the divisor
// for benches in Python, which run it in each of their rounds.
#include <cstdio>

#include "bench/ping_pong.h"
#include "bench/placement.h"

int main() {
  using namespace lmcd::bench;
  PingPong peer;
  place(peer.pid(), kServerCpu);
  place(0, kClientCpu);
  const auto times = time_calls(200, std::chrono::milliseconds(1), [&] { peer.ping(); });
  std::printf("%.2f\n", median(times));
}
