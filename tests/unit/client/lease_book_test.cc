// What a daemon has yet to hear of ended leases: told once it may have been lost, in messages that
// a daemon takes, and no longer when it is known to have heard.
#include "lib/client/lease_book.h"

#include <gtest/gtest.h>

#include <set>

namespace lmcd::client {
namespace {

constexpr std::size_t kMost = 4;

TEST(LeaseBook, what_is_untold_comes_in_batches_of_one_session_each) {
  LeaseBook book;
  for (uint64_t lease = 1; lease <= 9; ++lease) book.note_never_written(100 + lease % 2, lease);
  std::set<uint64_t> told;
  for (const EndedLeases& batch : book.take_untold(7, kMost)) {
    EXPECT_LE(batch.leases.size(), kMost);
    for (uint64_t lease : batch.leases) {
      EXPECT_EQ(batch.session, 100 + lease % 2);
      EXPECT_TRUE(told.insert(lease).second);
    }
  }
  EXPECT_EQ(told.size(), 9u);
  EXPECT_TRUE(book.take_untold(8, kMost).empty());
}

TEST(LeaseBook, what_was_told_is_told_again_after_a_loss_unless_it_was_heard) {
  LeaseBook book;
  book.note_never_written(100, 1);
  EXPECT_EQ(book.take_untold(7, kMost).size(), 1u);
  book.lose_session();
  EXPECT_EQ(book.take_untold(7, kMost).size(), 1u);
  book.confirm(7);  // asked before it was told
  book.lose_session();
  EXPECT_EQ(book.take_untold(7, kMost).size(), 1u);
  book.confirm(8);
  book.lose_session();
  EXPECT_TRUE(book.take_untold(9, kMost).empty());
}

}  // namespace
}  // namespace lmcd::client
