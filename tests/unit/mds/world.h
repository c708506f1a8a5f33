/* A namespace in memory for tests: records in a map, requests in, outcomes out, and a checker that
 * reads the records without the code under test deciding what is right. */
#ifndef TUTTI_TESTS_WORLD_H
#define TUTTI_TESTS_WORLD_H

#include "base/prng.h"
#include "mds/execute.h"
#include "mds/nspace.h"
#include "mds/pending.h"
#include "mds/record.h"
#include "mds/txn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct world_record {
    uint32_t key_bytes, value_bytes;
    uint8_t key[NSPACE_KEY_BYTES_MAX];
    uint8_t *value;
    bool at_hand;
};

struct world {
    struct nspace_source source;
    struct world_record *records; /* sorted by key */
    size_t count, capacity;
    struct nspace_txn txn;
    struct nspace_state state;
    struct nspace_limits limits;
    struct session_index *sessions;
    struct prng prng;
    bool misses; /* records are not at hand at first, at random */
    uint64_t missed, reads;
    uint32_t groups[8], group_count; /* supplementary ones of every caller */
    uint8_t session[PROTO_SESSION_BYTES];
    uint64_t seq[PROTO_SLOTS_MAX];
    int64_t clock; /* proposed with each request; 0: none */
    struct buffer encoded;
};

/* Formatted, with a session open (slot 0 is used once). */
void world_init(struct world *w);
void world_finish(struct world *w);

/* Run one request as (uid, gid = uid) in slot 0 of the session, to its end. Reads are answered,
 * writes executed; the outcome's bytes live until the next request. */
struct proto_outcome world_do(struct world *w, uint32_t uid, const struct proto_op *op);

/* The same with everything given. */
struct proto_outcome world_request(struct world *w, const struct proto_request *request);

const struct world_record *world_find(const struct world *w, const struct record_key *key);

/* Entries that READDIR gives behind `cookie`, dots included; the names point into the records. */
size_t world_list(struct world *w, uint32_t uid, uint64_t ino, uint64_t cookie, bool with_attr,
                  struct proto_dirent *entries, size_t entries_max, enum proto_status *ret_status);

/* Fail the test where the records contradict each other or the state. */
void world_check(struct world *w);

struct world_step {
    uint32_t uid;
    enum proto_status want;
    struct proto_op op;
};
void world_steps(struct world *w, const struct world_step *steps, size_t count, const char *file,
                 int line);
#define STEPS(world, ...)                                                                 \
    do {                                                                                  \
        const struct world_step steps_[] = {__VA_ARGS__};                                 \
        world_steps(world, steps_, sizeof steps_ / sizeof steps_[0], __FILE__, __LINE__); \
    } while (0)

#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define OP(opcode, ...) ((struct proto_op){.code = PROTO_##opcode, __VA_ARGS__})
#define AT(in, text)    .parent = (in), .name = BYTES(text)
#define AT2(in, text)   .parent2 = (in), .name2 = BYTES(text)

#endif
