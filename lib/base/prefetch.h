// Brings a cache line near before it is needed. Any address will do; nothing is read.
//
// The empty statement keeps GCC (12) from taking a function that does nothing but prefetch for one
// without effect, and its calls away.
#pragma once

namespace lmcd {

inline void prefetch(const void* line) {
  __builtin_prefetch(line);
  asm volatile("");
}

inline void prefetch_to_write(const void* line) {
  __builtin_prefetch(line, 1);
  asm volatile("");
}

}  // namespace lmcd
