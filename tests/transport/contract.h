/* What every transport has to do, as a suite that any implementation can be put through.
 *
 * A file that says `TRANSPORT_CONTRACT(tcp, make)` gets one Criterion test per case; `make` fills in
 * a fixture with two fresh ends that can reach each other. The suite calls the transports from
 * callbacks, and also from outside of any, between two calls of `run`: that counts as a turn. */
#ifndef TUTTI_TESTS_TRANSPORT_CONTRACT_H
#define TUTTI_TESTS_TRANSPORT_CONTRACT_H

#include "net/transport.h"

#include <criterion/criterion.h>

struct transport_fixture {
    struct net_transport *server, *client; /* destroyed by the suite or by kill; then NULL */
    const char *listen_address;            /* free; the port may be 0 */
    const char *dead_address;              /* nobody listens there */
    void *user;
    /* Let time go on: about a millisecond. */
    void (*run)(struct transport_fixture *fixture);
    /* The client's process dies without a word of its own (its `closed` may or may not be called); sets
     * `client` to NULL. */
    void (*kill_client)(struct transport_fixture *fixture);
    /* After both transports are gone. */
    void (*finish)(struct transport_fixture *fixture);
};

#define TRANSPORT_CASES(X, suite, make)                                                            \
    X(ordering, suite, make)                                                                       \
    X(both_ways, suite, make)                                                                      \
    X(shapes_of_frames, suite, make)                                                               \
    X(large_frames, suite, make)                                                                   \
    X(corked, suite, make)                                                                         \
    X(queued_before_opened, suite, make)                                                           \
    X(full_and_drained, suite, make)                                                               \
    X(empty_queue_takes_any_frame, suite, make)                                                    \
    X(pause_holds_back, suite, make)                                                               \
    X(pause_is_back_pressure, suite, make)                                                         \
    X(close_flushes, suite, make)                                                                  \
    X(close_in_opened, suite, make)                                                                \
    X(close_in_frame, suite, make)                                                                 \
    X(close_in_accepted, suite, make)                                                              \
    X(close_in_drained, suite, make)                                                               \
    X(close_before_opened, suite, make)                                                            \
    X(close_both_at_once, suite, make)                                                             \
    X(send_after_close, suite, make)                                                               \
    X(reconnect_in_closed, suite, make)                                                            \
    X(not_accepted, suite, make)                                                                   \
    X(peer_death, suite, make)                                                                     \
    X(refused_connect, suite, make)                                                                \
    X(bad_addresses, suite, make)                                                                  \
    X(port_in_use, suite, make)                                                                    \
    X(unlisten_stops_accepting, suite, make)                                                       \
    X(frame_over_own_limit, suite, make)                                                           \
    X(frame_over_peer_limit, suite, make)                                                          \
    X(destroy_calls_closed, suite, make)                                                           \
    X(many_connections, suite, make)

#define TRANSPORT_DECLARE(name, suite, make)                                                       \
    void transport_case_##name(struct transport_fixture *fixture);
TRANSPORT_CASES(TRANSPORT_DECLARE, , )

#define TRANSPORT_TEST(name, suite, make)                                                          \
    Test(suite, name, .timeout = 60)                                                               \
    {                                                                                              \
        struct transport_fixture fixture;                                                          \
        make(&fixture);                                                                            \
        transport_case_##name(&fixture);                                                           \
    }
#define TRANSPORT_CONTRACT(suite, make) TRANSPORT_CASES(TRANSPORT_TEST, suite, make)

#endif
