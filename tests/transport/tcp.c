/* TCP keeps the transport contract. */
#include "tests/transport/tcp_fixture.h"

TRANSPORT_CONTRACT(tcp, tcp_fixture_make)
