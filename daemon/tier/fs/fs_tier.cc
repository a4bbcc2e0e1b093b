#include "daemon/tier/fs/fs_tier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/tier/registry.h"
#include "daemon/tier/table.h"
#include "lib/base/bytes.h"

namespace lmcd::tier {

// An operation on its way through the pool, with the files it removes first to make room.
class FsTier::Operation final : public PoolQueue::Work {
 public:
  Operation(FsTier& tier, const Request& what)
      : request(what), tier_(tier), begin_by_ns_(tier.desk_.steady_deadline_ns(what)) {}

  void work() override {
    for (const RecordName& victim : victims) tier_.files_->remove(victim);
    if (answered) return;
    if (steady_now_ns() > begin_by_ns_) {
      ending = Ending::of(fault(LMCD_E_TIMEOUT, "the deadline passed before it could begin"));
      return;
    }
    switch (request.verb) {
      case Verb::kPut:
        ending = tier_.files_->write(request.record, request.source, request.checksummed);
        return;
      case Verb::kGet:
        ending = tier_.files_->read(request.record, request.target);
        return;
      case Verb::kExists:
        ending = tier_.files_->look(request.record);
        return;
      default:
        ending = tier_.files_->remove(request.name());
    }
  }
  void done() override { tier_.end(*this); }

  Request request;
  Ending ending;
  std::vector<RecordName> victims;
  bool answered = false;   // by cancel(): only the victims are left to do
  bool made_room = false;  // on a file system that was full, for this put
  uint64_t reserved_bytes = 0;

 private:
  FsTier& tier_;
  const int64_t begin_by_ns_;
};

Result<std::unique_ptr<FsTier>> FsTier::open(const lmcd_tier_host_t& host, Fields& fields) {
  constexpr double kGreatestGb = 1024 * 1024;
  Files::Options options;
  options.base = fields.text("base_path");
  options.temporary = fields.text_or("relative_tmp_dir", ".tmp");
  options.read_ahead_bytes =
      static_cast<uint64_t>(fields.number_or("read_ahead_size", 0, 0, static_cast<double>(kGiB)));
  options.direct = fields.flag_or("use_odirect", false);
  const double capacity_gb = fields.number_or("max_capacity_gb", 0, 0, kGreatestGb);
  LMCD_TRY(fields.finish());
  const std::string& temporary = options.temporary;
  if (temporary.empty() || temporary.front() == '/' || temporary.find("..") != std::string::npos)
    return fault(LMCD_E_INVALID,
                 "field \"relative_tmp_dir\" takes the name of a directory within base_path");
  LMCD_ASSIGN(std::unique_ptr<Files> files, Files::open(std::move(options)));
  std::unique_ptr<FsTier> tier(new FsTier(
      host, std::move(files), static_cast<uint64_t>(capacity_gb * static_cast<double>(kGiB))));
  LMCD_TRY(tier->recover());
  return tier;
}

Status FsTier::recover() {
  std::vector<std::pair<int64_t, lmcd_tier_record_t>> found;
  LMCD_TRY(files_->scan([&](const Header& header, int64_t written_ns) {
    found.emplace_back(written_ns, header.record);
  }));
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<RecordName> victims;
  for (const auto& [written_ns, record] : found) {
    // A directory that was filled under a larger capacity: the oldest go.
    if (!catalog_.reserve(record.length, victims)) {
      victims.push_back({record.key, record.part});
      continue;
    }
    catalog_.give_back(record.length);
    catalog_.keep(record, 0);
  }
  for (const RecordName& victim : victims) files_->remove(victim);
  return {};
}

std::optional<Ending> FsTier::at_once(const Request& request) {
  if (Ending refused = desk_.refusal(request); refused.code != LMCD_OK) return refused;
  const Catalog::Kept* kept = catalog_.find(request.name());
  const bool going = going_.contains(request.name());
  switch (request.verb) {
    case Verb::kPut:
      if (kept) return Ending::of(LMCD_EXISTS);
      if (going || request.record.length > kRecordMaxBytes) return Ending::of(LMCD_NO_SPACE);
      return std::nullopt;
    case Verb::kGet:
      if (going) return Ending::of(LMCD_ABSENT);
      return std::nullopt;
    case Verb::kExists:
      if (kept) return Ending::of(LMCD_COLD);
      if (going) return Ending::of(LMCD_ABSENT);
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

lmcd_code_t FsTier::begin(const Request& request) {
  if (lmcd_code_t code = desk_.accept(request); code != LMCD_OK) return code;
  if (std::optional<Ending> ending = at_once(request)) {
    desk_.finish(request, *ending);
    return LMCD_OK;
  }
  if (request.verb == Verb::kList) {
    desk_.finish_list(request, catalog_);
    return LMCD_OK;
  }
  auto operation = std::make_unique<Operation>(*this, request);
  if (request.verb == Verb::kPut) {
    if (!catalog_.reserve(request.record.length, operation->victims)) {
      desk_.finish(request, Ending::of(LMCD_NO_SPACE));
      return LMCD_OK;
    }
    operation->reserved_bytes = request.record.length;
    going_.insert(operation->victims.begin(), operation->victims.end());
  }
  queue_.submit(std::move(operation));
  return LMCD_OK;
}

void FsTier::cancel() {
  for (auto& work : queue_.waiting()) {
    auto& operation = static_cast<Operation&>(*work);
    if (std::exchange(operation.answered, true)) continue;
    catalog_.give_back(std::exchange(operation.reserved_bytes, 0));
    desk_.finish(operation.request, Ending::of(fault(LMCD_E_TIMEOUT, "it was cancelled")));
  }
  std::erase_if(queue_.waiting(), [](const auto& work) {
    return static_cast<const Operation&>(*work).victims.empty();
  });
}

void FsTier::end(Operation& operation) {
  for (const RecordName& victim : operation.victims) going_.erase(going_.find(victim));
  operation.victims.clear();
  if (operation.answered) return;
  const Request& request = operation.request;
  const Ending& ending = operation.ending;
  switch (request.verb) {
    case Verb::kPut:
      if (ending.code == LMCD_OK && ending.outcome == LMCD_NO_SPACE && put_again(operation)) return;
      return desk_.finish(request, end_put(operation));
    case Verb::kGet:
      if (ending.code == LMCD_OK && ending.outcome == LMCD_LOADED) learn(request.record);
      if (ending.code == LMCD_E_CORRUPT || ending.outcome == LMCD_ABSENT) forget(request.name());
      break;
    case Verb::kExists:
      if (ending.code == LMCD_OK && ending.outcome == LMCD_COLD) learn(request.record);
      break;
    default:
      if (ending.code == LMCD_OK) forget(request.name());
  }
  desk_.finish(request, ending);
}

Ending FsTier::end_put(Operation& operation) {
  catalog_.give_back(operation.reserved_bytes);
  Ending& ending = operation.ending;
  if (ending.outcome == LMCD_NO_SPACE) ending.reason = "the file system of base_path is full";
  // Of two puts of one name at one time the directory has let one win.
  if (ending.outcome == LMCD_STORED) learn(operation.request.record);
  return std::move(ending);
}

// The file system was full: once more, after files of twice the size were removed.
bool FsTier::put_again(const Operation& full) {
  if (full.made_room) return false;
  auto again = std::make_unique<Operation>(*this, full.request);
  catalog_.shrink(2 * full.request.record.length, again->victims);
  if (again->victims.empty()) return false;
  going_.insert(again->victims.begin(), again->victims.end());
  again->made_room = true;
  again->reserved_bytes = full.reserved_bytes;
  queue_.submit(std::move(again));
  return true;
}

void FsTier::forget(const RecordName& name) {
  if (Catalog::Kept* kept = catalog_.find(name)) catalog_.forget(*kept);
}

// What another daemon put counts from the moment this one meets it, as far as there is room.
void FsTier::learn(const lmcd_tier_record_t& record) {
  const RecordName name{record.key, record.part};
  if (Catalog::Kept* kept = catalog_.find(name))
    kept->used = true;
  else if (catalog_.fits(record.length) && !going_.contains(name))
    catalog_.keep(record, 0);
}

lmcd_tier_usage_t FsTier::usage() const {
  lmcd_tier_usage_t out = catalog_.usage();
  out.in_flight = desk_.in_flight();
  return out;
}

const lmcd_tier_module_t* fs_module() {
  static constexpr lmcd_tier_module_t kModule = Table<FsTier>::of("fs");
  return &kModule;
}

const lmcd_tier_module_t* fs_native_module() {
  static constexpr lmcd_tier_module_t kModule = Table<FsTier>::of("fs_native");
  return &kModule;
}

}  // namespace lmcd::tier
