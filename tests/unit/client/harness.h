/* One loop with a session and some fake replicas on it. */
#ifndef TUTTI_TESTS_CLIENT_HARNESS_H
#define TUTTI_TESTS_CLIENT_HARNESS_H

#include "base/prng.h"
#include "client/session.h"
#include "tests/unit/client/fake.h"

enum { HARNESS_FAKES_MAX = 3, HARNESS_REQUESTS_MAX = 20000 };

struct harness {
    struct loop *loop;
    struct net_transport *transport;
    struct fake_table table;
    struct fake fakes[HARNESS_FAKES_MAX];
    struct client_session *session;
    struct client_session_config config; /* may be changed between setup and begin */
    struct loop_timer limit;             /* a test that hangs ends */
    const char *addresses[HARNESS_FAKES_MAX];

    uint32_t submitted, answered, failed; /* answered: with code 0 */
    uint32_t wrong; /* an answer that is not its question's, or a second one */
    uint8_t seen[HARNESS_REQUESTS_MAX];
    uint32_t stop_after; /* ends the run when that many are answered or failed */
    uint32_t connected, disconnected, ended;
    int last_code;
    enum proto_status last_status;
    bool timed_out;
};

void harness_setup(struct harness *h, uint32_t fakes);
void harness_begin(struct harness *h);

/* Submit `count` writes (reads) that carry a number of their own; harness counts the answers. */
void harness_write(struct harness *h, uint32_t count);
void harness_read(struct harness *h, uint32_t count);

/* Run until all that was submitted is answered or failed (`done` more), or until stopped. */
void harness_run(struct harness *h);

/* Run for some milliseconds. */
void harness_run_ms(struct harness *h, uint32_t ms);

void harness_teardown(struct harness *h);

#endif
