// A fixed-size array that costs memory only where it was touched.
//
// Reserves address space for `size()` elements once and lets the kernel hand out zeroed pages
// as they are written, so a table can be dimensioned for its limit, never moves, never pauses
// to grow, and an idle daemon stays small. Elements begin as zero bytes; T must be content
// with that.
//
// Pages stay 4 KiB ones until much is expected: where transparent huge pages are always on, each
// barely used array would otherwise hold 2 MiB. Owned by one thread, like a vector.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

namespace lmcd {

// The mapping under a ReservedArray. Move-only; unmaps when it goes.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)),
        length_(std::exchange(other.length_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept {
    std::swap(address_, other.address_);
    std::swap(length_, other.length_);
    return *this;
  }
  ~Reservation();

  // Faults: LMCD_E_NO_MEMORY when the address space cannot be had.
  static Result<Reservation> make(uint64_t length);

  void* address() const { return address_; }
  // The first `length` bytes are about to be written: has the kernel use huge pages, where it
  // has them. Changes no byte.
  void expect(uint64_t length);

 private:
  Reservation(void* address, uint64_t length) : address_(address), length_(length) {}

  void* address_ = nullptr;
  uint64_t length_ = 0;
};

template <typename T>
class ReservedArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                "elements are born as zero bytes and go without a word");

 public:
  ReservedArray() = default;

  // Faults: LMCD_E_NO_MEMORY when `size` elements cannot be addressed.
  static Result<ReservedArray> make(uint64_t size) {
    auto length = checked_mul(size, sizeof(T));
    if (!length) return fault(LMCD_E_NO_MEMORY, "an array of %zu elements", std::size_t{size});
    LMCD_ASSIGN(Reservation memory, Reservation::make(*length));
    return ReservedArray(std::move(memory), size);
  }

  uint64_t size() const { return size_; }
  // The first `count` elements are about to be written (Reservation::expect).
  void expect(uint64_t count) { memory_.expect(count * sizeof(T)); }

  T& operator[](uint64_t index) {
    assert(index < size_);
    return elements()[index];
  }
  const T& operator[](uint64_t index) const {
    assert(index < size_);
    return elements()[index];
  }

 private:
  ReservedArray(Reservation memory, uint64_t size) : memory_(std::move(memory)), size_(size) {}

  T* elements() const { return static_cast<T*>(memory_.address()); }

  Reservation memory_;
  uint64_t size_ = 0;
};

}  // namespace lmcd
