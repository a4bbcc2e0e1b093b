// Reads the fields of an adapter, each by its name, and says which one is wrong.
//
// A tier reads all it knows and then asks finish(), which answers with the first fault: a field
// that is missing, out of range, or that nobody read. The daemon's options check the same
// (daemon/config/adapters.def); a table may be used without them. Texts never repeat a value.
// One thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "include/lmcd_tier.h"
#include "lib/base/status.h"

namespace lmcd::tier {

class Fields {
 public:
  Fields(const lmcd_tier_field_t* fields, std::size_t count) : fields_(fields), count_(count) {}

  // A number that must be there, above `low` and up to `high`.
  double number(const char* name, double low, double high);
  // A number from `low` to `high`; `otherwise` when it is not there.
  double number_or(const char* name, double otherwise, double low, double high);
  // A text that must be there and is not empty.
  std::string text(const char* name);
  std::string text_or(const char* name, const char* otherwise);
  // A number that is 0 or not, as the options write false and true.
  bool flag_or(const char* name, bool otherwise) {
    return number_or(name, otherwise ? 1 : 0, 0, 1) != 0;
  }

  // Returns the first fault of those above, or names a field that nobody asked for.
  Status finish();

 private:
  const lmcd_tier_field_t* find(const char* name);
  void refuse(Status status);

  const lmcd_tier_field_t* fields_;
  std::size_t count_;
  std::vector<const char*> asked_;
  Status first_;
};

}  // namespace lmcd::tier
