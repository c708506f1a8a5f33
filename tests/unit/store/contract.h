/* What every store has to do, as a test that any implementation can be put through.
 *
 * A Criterion test calls store_contract_run; the first thing that does not hold fails it. */
#ifndef TUTTI_TESTS_UNIT_STORE_CONTRACT_H
#define TUTTI_TESTS_UNIT_STORE_CONTRACT_H

#include "store/store.h"

struct store_fixture {
    /* An empty store. Asserts that it works. */
    struct store *(*create)(void *user);
    /* Close `store` and open it again with what it had; NULL: nothing survives in this one. */
    struct store *(*reopen)(void *user, struct store *store);
    bool threads; /* reads may come from other threads while one writes */
    void *user;
};

void store_contract_run(const struct store_fixture *fixture);

#endif
