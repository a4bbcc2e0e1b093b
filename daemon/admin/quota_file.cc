#include "daemon/admin/quota_file.h"

#include <charconv>

#include "daemon/memory/state_file.h"
#include "lib/wire/limits.h"

namespace lmcd::admin {
namespace {

constexpr std::string_view kFormat = "lmcd-quotas 1\n";

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Reads one line without its end. Returns false when it is not one of ours.
bool read_line(std::string_view line, uint64_t* bytes, std::string* salt) {
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), *bytes);
  if (error != std::errc() || end == line.data() + line.size() || *end != ' ') return false;
  std::string_view text = line.substr(static_cast<std::size_t>(end - line.data()) + 1);
  salt->clear();
  if (text == "-") return true;
  if (text.empty() || text.size() % 2 != 0 || text.size() / 2 > wire::kTenantBytes) return false;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit_of(text[i]);
    const int low = digit_of(text[i + 1]);
    if (high < 0 || low < 0) return false;
    salt->push_back(static_cast<char>(high << 4 | low));
  }
  return true;
}

}  // namespace

Status QuotaFile::load() {
  LMCD_ASSIGN(std::optional<std::string> text, memory::read_state_file(path_));
  if (!text) return {};
  std::string_view rest = *text;
  if (!rest.starts_with(kFormat))
    return fault(LMCD_E_CORRUPT,
                 "quotas: %s does not begin with \"lmcd-quotas 1\": mend it, or move it away to "
                 "begin without quotas",
                 path_.c_str());
  rest.remove_prefix(kFormat.size());
  for (int number = 2; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    uint64_t bytes = 0;
    std::string salt;
    if (end == std::string_view::npos || !read_line(rest.substr(0, end), &bytes, &salt)) {
      return fault(LMCD_E_CORRUPT,
                   "quotas: line %d of %s is not \"<bytes> <hexadecimal or ->\": mend it, or move "
                   "the file away to begin without quotas",
                   number, path_.c_str());
    }
    LMCD_TRY(accounts_.set_quota(salt, bytes));
    rest.remove_prefix(end + 1);
  }
  return {};
}

std::string QuotaFile::print() const {
  std::string text(kFormat);
  for (uint32_t number = 0; number < accounts_.count(); ++number) {
    const core::Accounts::Account& account = accounts_.at(static_cast<core::TenantId>(number));
    if (!account.open || !account.limited) continue;
    text += std::to_string(account.limit_bytes) + " ";
    if (account.salt.empty()) text += '-';
    for (char c : account.salt) {
      constexpr char kDigits[] = "0123456789abcdef";
      text += kDigits[static_cast<unsigned char>(c) >> 4];
      text += kDigits[static_cast<unsigned char>(c) & 15];
    }
    text += '\n';
  }
  return text;
}

Status QuotaFile::save(Done done) {
  if (waiting_.size() == kWaiting)
    return fault(LMCD_E_LIMIT, "quotas: %zu changes wait to be on disk, no more are taken",
                 kWaiting);
  waiting_.push_back(std::move(done));
  if (writing_.empty()) start();
  return {};
}

void QuotaFile::start() {
  writing_.swap(waiting_);
  auto finish = [this](Status status) {
    std::vector<Done> told;
    told.swap(writing_);
    for (Done& done : told)
      done(status.ok() ? Status() : fault(status.code(), "%s", std::string(status.text()).c_str()));
    if (!waiting_.empty()) start();
  };
  std::unique_ptr<Job> job = make_job(
      [path = path_, text = print()] { return memory::write_state_file(path, text); }, finish);
  if (!workers_.submit(std::move(job)))
    finish(fault(LMCD_E_LIMIT, "quotas: the workers are busy; set it again"));
}

}  // namespace lmcd::admin
