// lmcd.h: operations in flight.
#include "lib/client/barrier.h"
#include "lib/client/handles.h"

using namespace lmcd;
using namespace lmcd::client;

lmcd_code_t lmcd_op_wait(lmcd_op_t* op, uint32_t timeout_ms, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(op));
    return op->session->wait(*op->op, Deadline::after_ms(timeout_ms));
  });
}

void lmcd_op_close(lmcd_op_t* op) {
  if (op == nullptr || op->session->forked()) return;
  guard(nullptr, [&]() -> Status {
    op->session->drop(op->op);
    delete op;
    return {};
  });
}
