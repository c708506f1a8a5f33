/* Two TCP transports on one libuv loop. */
#ifndef TUTTI_TESTS_TRANSPORT_TCP_FIXTURE_H
#define TUTTI_TESTS_TRANSPORT_TCP_FIXTURE_H

#include "tests/transport/contract.h"

void tcp_fixture_make(struct transport_fixture *fixture);
struct loop *tcp_fixture_loop(struct transport_fixture *fixture);

#endif
