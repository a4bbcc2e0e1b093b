// lmcd_admin.h: the operator's verbs.
#include <algorithm>
#include <cstring>

#include "include/lmcd_admin.h"
#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/handles.h"
#include "lib/wire/limits.h"

using namespace lmcd;
using namespace lmcd::client;

namespace {

// -- Texts ----------------------------------------------------------------------------------

template <typename Message>
lmcd_code_t ask_text(lmcd_session_t* session, lmcd_text_t** out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_TRY(check(session));
    std::string text;
    LMCD_TRY(session->session->ask<wire::Text>(Message{}, [&](const wire::Text& answer) -> Status {
      text = answer.text;
      return {};
    }));
    return hand_out(out, std::move(text));
  });
}

template <typename Message>
lmcd_code_t ask_done(lmcd_session_t* session, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    return session->session->ask<wire::Done>(Message{}, [](const wire::Done&) { return Status(); });
  });
}

// -- Selectors ------------------------------------------------------------------------------

// Fills the fields that List, Clear and Pin have in common, for the length of the call.
template <typename Message>
Status select(const lmcd_selector_t* selector, Message& message) {
  LMCD_ASSIGN(const lmcd_selector_t given, take_struct(selector, "selector"));
  LMCD_TRY(check_text(given.tenant, wire::kTenantBytes, "selector.tenant"));
  if (given.keys != nullptr)
    LMCD_TRY(check_count(given.key_count, wire::kBatchItems, "selector.key_count"));
  message.space_given = given.space_given;
  message.space = given.space;
  message.tenant_given = given.tenant_given;
  message.tenant = view_of(given.tenant);
  message.keys = {given.keys, given.keys ? given.key_count : std::size_t{0}};
  return {};
}

// Copies a page of a listing to the caller.
template <typename Item>
Status take_page(std::span<const Item> items, uint64_t next, Item* out, uint32_t capacity,
                 uint32_t* count, uint64_t* cursor) {
  if (items.size() > capacity) {
    return fault(LMCD_E_PROTOCOL, "the daemon listed %zu items, %u were asked for", items.size(),
                 capacity);
  }
  std::copy(items.begin(), items.end(), out);
  *count = static_cast<uint32_t>(items.size());
  *cursor = next;
  return {};
}

Status check_page(const void* items, const char* name, uint32_t capacity, uint32_t* count,
                  const uint64_t* cursor) {
  LMCD_TRY(check_not_null(items, name));
  LMCD_TRY(check_count(capacity, wire::kListItems, "capacity"));
  LMCD_TRY(check_not_null(count, "count"));
  LMCD_TRY(check_not_null(cursor, "cursor"));
  *count = 0;
  return {};
}

}  // namespace

lmcd_code_t lmcd_stats(lmcd_session_t* session, lmcd_text_t** out, lmcd_error_t* err) {
  return ask_text<wire::Stats>(session, out, err);
}

lmcd_code_t lmcd_config(lmcd_session_t* session, lmcd_text_t** out, lmcd_error_t* err) {
  return ask_text<wire::Config>(session, out, err);
}

const char* lmcd_text_bytes(const lmcd_text_t* text) { return text ? text->text.c_str() : ""; }
size_t lmcd_text_length(const lmcd_text_t* text) { return text ? text->text.size() : 0; }
void lmcd_text_close(lmcd_text_t* text) { delete text; }

lmcd_code_t lmcd_list(lmcd_session_t* session, const lmcd_selector_t* selector,
                      lmcd_listed_t* listed, uint32_t capacity, uint32_t* count, uint64_t* cursor,
                      lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_page(listed, "listed", capacity, count, cursor));
    wire::List message;
    LMCD_TRY(select(selector, message));
    message.cursor = *cursor;
    message.capacity = capacity;
    return session->session->ask<wire::Listed>(message, [&](const wire::Listed& answer) {
      return take_page(answer.objects, answer.cursor, listed, capacity, count, cursor);
    });
  });
}

lmcd_code_t lmcd_clear(lmcd_session_t* session, const lmcd_selector_t* selector, uint32_t force,
                       lmcd_cleared_t* out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_not_null(out, "out"));
    *out = {};
    wire::Clear message;
    LMCD_TRY(select(selector, message));
    message.force = force != 0;
    return session->session->ask<wire::Cleared>(message, [&](const wire::Cleared& answer) {
      *out = {answer.objects, answer.bytes, answer.kept};
      return Status();
    });
  });
}

lmcd_code_t lmcd_pin(lmcd_session_t* session, const lmcd_selector_t* selector, uint32_t pinned,
                     uint64_t* count, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_not_null(count, "count"));
    *count = 0;
    wire::Pin message;
    LMCD_TRY(select(selector, message));
    message.pinned = pinned != 0;
    return session->session->ask<wire::Done>(message, [&](const wire::Done& answer) {
      *count = answer.count;
      return Status();
    });
  });
}

lmcd_code_t lmcd_quota_set(lmcd_session_t* session, const lmcd_quota_t* quota, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_not_null(quota, "quota"));
    LMCD_TRY(check_text(quota->tenant, wire::kTenantBytes, "quota.tenant"));
    wire::QuotaSet message;
    message.tenant = quota->tenant;
    message.limited = quota->limited != 0;
    message.limit_bytes = quota->limit_bytes;
    return session->session->ask<wire::Done>(message, [](const wire::Done&) { return Status(); });
  });
}

lmcd_code_t lmcd_quota_list(lmcd_session_t* session, lmcd_quota_t* quotas, uint32_t capacity,
                            uint32_t* count, uint64_t* cursor, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_page(quotas, "quotas", capacity, count, cursor));
    wire::QuotaList message;
    message.cursor = *cursor;
    message.capacity = capacity;
    return session->session->ask<wire::Quotas>(message, [&](const wire::Quotas& answer) {
      return take_page(answer.quotas, answer.cursor, quotas, capacity, count, cursor);
    });
  });
}

lmcd_code_t lmcd_drain(lmcd_session_t* session, lmcd_error_t* err) {
  return ask_done<wire::Drain>(session, err);
}

lmcd_code_t lmcd_reload(lmcd_session_t* session, lmcd_error_t* err) {
  return ask_done<wire::Reload>(session, err);
}
