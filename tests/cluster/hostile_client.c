/* A client that forges sessions, sequence numbers and handles: refused, and the others' are as they
 * were. See hostile.h.
 *
 * What names a session is its id, 128 random bits that only its client and the replicas know. */
#include "tests/cluster/hostile.h"
#include "base/prng.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A session and where it stands in its slot 0. */
struct session {
    struct hostile *h;
    uint8_t id[PROTO_SESSION_BYTES];
    uint64_t seq, tag;
    struct proto_credentials who;
};

static struct proto_bytes bytes_of(const char *text)
{
    return (struct proto_bytes){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static struct proto_request request_of(struct session *s, const struct proto_op *op)
{
    struct proto_request request = {
        .tag = ++s->tag, .seq = s->seq + 1, .credentials = s->who, .op = *op};
    memcpy(request.session, s->id, sizeof request.session);
    return request;
}

static void expect(enum proto_status status, enum proto_status wanted, const char *what)
{
    if (status != wanted)
        hostile_fail("%s: '%s' instead of '%s'", what, proto_status_name(status),
                     proto_status_name(wanted));
}

/* The session's next operation. */
static struct proto_outcome next(struct session *s, const struct proto_op *op,
                                 enum proto_status wanted, const char *what)
{
    struct proto_request request = request_of(s, op);
    struct proto_reply reply = hostile_ask(s->h, &request);
    expect(reply.outcome.status, wanted, what);
    s->seq += proto_op_info(op->code)->write;
    return reply.outcome;
}

static void session_open(struct session *s, struct hostile *h, struct prng *prng, uint32_t uid)
{
    const struct proto_op op = {.code = PROTO_SESSION_OPEN, .count = 4};
    *s = (struct session){.h = h, .who = {.uid = uid, .gid = uid}};
    for (int i = 0; i < PROTO_SESSION_BYTES; i++)
        s->id[i] = (uint8_t)prng_next(prng);
    if (next(s, &op, PROTO_OK, "to open a session").value != 4)
        hostile_fail("a session of four slots has others");
}

static void session_close(struct session *s)
{
    const struct proto_op op = {.code = PROTO_SESSION_CLOSE};
    next(s, &op, PROTO_OK, "to close a session");
}

static const struct proto_op keep = {.code = PROTO_SESSION_KEEP};
static const struct proto_op make = {.code = PROTO_MKDIR,
                                     .parent = PROTO_ROOT_INO,
                                     .name = {(const uint8_t *)"forged", 6},
                                     .mode = S_IFDIR | 0755};

/* --- sessions that are none --- */

static void forged_ids(struct hostile *h, struct prng *prng)
{
    static const enum proto_opcode codes[] = {PROTO_SESSION_KEEP, PROTO_SESSION_CLOSE, PROTO_MKDIR};
    for (unsigned i = 0; i < 300; i++) {
        struct session s = {.h = h, .seq = i % 3 == 0 ? 0 : prng_next(prng)};
        struct proto_op op = make;
        for (int k = 0; i > 2 && k < PROTO_SESSION_BYTES; k++)
            s.id[k] = (uint8_t)prng_next(prng);
        op.code = codes[i % 3];
        next(&s, &op, PROTO_SESSION_UNKNOWN, "a session that nobody opened");
    }
    const struct proto_op open = {.code = PROTO_SESSION_OPEN, .count = 4};
    struct session nobody = {.h = h}, late = {.h = h, .id = {1}, .seq = 1};
    next(&nobody, &open, PROTO_SESSION_UNKNOWN, "a session without an id");
    next(&late, &open, PROTO_SESSION_UNKNOWN, "a session that does not begin at 1");
}

/* --- numbers out of step: nothing is executed, and the session's next one is as it was --- */

static void out_of_step(struct session *s)
{
    static const struct {
        uint64_t seq;
        enum proto_status status;
    } cases[] = {{0, PROTO_SEQ_OLD},
                 {1, PROTO_SEQ_OLD},
                 {5, PROTO_SEQ_GAP},
                 {UINT64_C(1) << 31, PROTO_SEQ_GAP},
                 {UINT64_C(1) << 32, PROTO_SEQ_GAP},
                 {UINT64_C(1) << 63, PROTO_SEQ_GAP},
                 {UINT64_MAX, PROTO_SEQ_GAP}};
    next(s, &keep, PROTO_OK, "a sign of life");
    next(s, &keep, PROTO_OK, "a sign of life");
    MUST(s->seq == 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proto_request request = request_of(s, &make);
        request.seq = cases[i].seq;
        expect(hostile_ask(s->h, &request).outcome.status, cases[i].status, "out of step");
    }
    struct proto_request request = request_of(s, &make);
    request.slot = 4;
    request.seq = 1;
    expect(hostile_ask(s->h, &request).outcome.status, PROTO_LIMIT, "a slot that it has not");
    request.slot = 3;
    request.seq = UINT64_C(1) << 63;
    expect(hostile_ask(s->h, &request).outcome.status, PROTO_SEQ_GAP, "a fresh slot's jump");
    request.slot = 0;
    request.seq = s->seq; /* another operation under the number of the last one */
    expect(hostile_ask(s->h, &request).outcome.status, PROTO_OK, "the last answer once more");
    const struct proto_op expire = {.code = PROTO_SESSION_EXPIRE, .value = 1};
    request.op = expire;
    request.seq = s->seq + 1;
    expect(hostile_ask(s->h, &request).outcome.status, PROTO_BAD_REQUEST, "to end all sessions");
    const struct proto_op look = {
        .code = PROTO_LOOKUP, .parent = PROTO_ROOT_INO, .name = make.name};
    next(s, &look, PROTO_NOENT, "something of it was executed");
    next(s, &keep, PROTO_OK, "a sign of life");
}

/* --- what is somebody else's --- */

struct victim {
    struct session session;
    uint64_t directory, file, held;
};

static uint64_t create(struct session *s, uint64_t parent, const char *name)
{
    const struct proto_op op = {.code = PROTO_CREATE,
                                .parent = parent,
                                .name = bytes_of(name),
                                .mode = S_IFREG | 0600,
                                .flags = PROTO_CREATE_EXCLUSIVE | PROTO_OPEN_WRITE};
    return next(s, &op, PROTO_OK, "to make a file").attr.ino;
}

static void victim_make(struct victim *v, struct hostile *h, struct prng *prng)
{
    char name[32];
    session_open(&v->session, h, prng, 0);
    snprintf(name, sizeof name, "victim.%016lx", (unsigned long)prng_next(prng));
    const struct proto_op op = {.code = PROTO_MKDIR,
                                .parent = PROTO_ROOT_INO,
                                .name = bytes_of(name),
                                .mode = S_IFDIR | 0700};
    v->directory = next(&v->session, &op, PROTO_OK, "to make a directory").attr.ino;
    v->file = create(&v->session, v->directory, "file");
    v->held = create(&v->session, v->directory, "held");
    const struct proto_op unlink = {.code = PROTO_UNLINK,
                                    .parent = v->directory,
                                    .name = bytes_of("held"),
                                    .flags = PROTO_UNLINK_HOLD};
    if (next(&v->session, &unlink, PROTO_OK, "to remove it").value != v->held)
        hostile_fail("a file that is removed is not held");
}

/* By its number alone, as another user. */
static void guessed_handles(struct session *s, const struct victim *v)
{
    const struct proto_bytes name = bytes_of("file"), data = bytes_of("overwritten");
    const struct {
        struct proto_op op;
        enum proto_status status;
        const char *what;
    } cases[] = {
        {{.code = PROTO_RELEASE, .ino = v->held}, PROTO_PERM, "to release what another one holds"},
        {{.code = PROTO_RELEASE, .ino = v->file}, PROTO_NOENT, "to release what is not held"},
        {{.code = PROTO_PURGED, .ino = v->file}, PROTO_NOENT, "to purge what is there"},
        {{.code = PROTO_OPEN, .ino = v->file, .flags = PROTO_OPEN_READ}, PROTO_ACCES, "to open"},
        {{.code = PROTO_READ, .ino = v->file, .count = 100}, PROTO_ACCES, "to read"},
        {{.code = PROTO_WRITE, .ino = v->file, .data = data}, PROTO_ACCES, "to write"},
        {{.code = PROTO_WRITE, .ino = v->held, .data = data}, PROTO_ACCES, "to write what is held"},
        {{.code = PROTO_GROW, .ino = v->file, .size = 1 << 20}, PROTO_ACCES, "to grow"},
        {{.code = PROTO_RESERVE, .ino = v->file, .size = 1 << 20}, PROTO_ACCES, "to reserve"},
        {{.code = PROTO_STRIPE, .ino = v->file, .layout = {1, 4, 0, 1 << 20}},
         PROTO_ACCES,
         "to move its data"},
        {{.code = PROTO_CUT_DONE, .ino = v->file}, PROTO_ACCES, "to say that it was cut"},
        {{.code = PROTO_SETATTR, .ino = v->file, .valid = PROTO_SET_UID, .uid = 1000},
         PROTO_PERM,
         "to own"},
        {{.code = PROTO_SETATTR, .ino = v->file, .valid = PROTO_SET_MODE, .mode = 0777},
         PROTO_PERM,
         "to open to all"},
        {{.code = PROTO_SETATTR, .ino = v->file, .valid = PROTO_SET_SIZE}, PROTO_ACCES, "to cut"},
        {{.code = PROTO_SETXATTR, .ino = v->file, .name = bytes_of("user.x"), .data = data},
         PROTO_ACCES,
         "to name"},
        {{.code = PROTO_LOOKUP, .parent = v->directory, .name = name}, PROTO_ACCES, "to look up"},
        {{.code = PROTO_READDIR, .ino = v->directory, .count = 4096}, PROTO_ACCES, "to list"},
        {{.code = PROTO_UNLINK, .parent = v->directory, .name = name}, PROTO_ACCES, "to remove"},
        {{.code = PROTO_MKDIR, .parent = v->directory, .name = name, .mode = S_IFDIR | 0755},
         PROTO_ACCES,
         "to make a directory there"},
        {{.code = PROTO_RENAME,
          .parent = v->directory,
          .name = name,
          .parent2 = PROTO_ROOT_INO,
          .name2 = name},
         PROTO_ACCES,
         "to move away"},
        {{.code = PROTO_LINK, .ino = v->held, .parent2 = PROTO_ROOT_INO, .name2 = name},
         PROTO_ACCES,
         "to name what is removed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        next(s, &cases[i].op, cases[i].status, cases[i].what);
}

/* Numbers that no inode has. */
static void no_handles(struct session *s)
{
    static const uint64_t inos[] = {0, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof inos / sizeof inos[0]; i++) {
        const struct proto_op look = {.code = PROTO_GETATTR, .ino = inos[i]};
        const struct proto_op write = {
            .code = PROTO_WRITE, .ino = inos[i], .data = {(const uint8_t *)"x", 1}};
        struct proto_op under = make;
        under.parent = inos[i];
        next(s, &look, PROTO_STALE, "attributes of no inode");
        next(s, &write, PROTO_STALE, "data of no inode");
        next(s, &under, PROTO_STALE, "a directory under no inode");
    }
}

static void victim_must_be_well(struct victim *v)
{
    struct session *s = &v->session;
    const struct proto_op file = {.code = PROTO_GETATTR, .ino = v->file};
    const struct proto_op held = {.code = PROTO_GETATTR, .ino = v->held};
    const struct proto_op release = {.code = PROTO_RELEASE, .ino = v->held};
    const struct proto_attr attr = next(s, &file, PROTO_OK, "the victim's file").attr;
    if (attr.size != 0 || attr.uid != 0 || (attr.mode & 07777) != 0600 || attr.nlink != 1)
        hostile_fail("the victim's file is not as it was");
    if (next(s, &held, PROTO_OK, "what the victim holds").attr.nlink != 0)
        hostile_fail("what the victim holds has a name");
    next(s, &release, PROTO_OK, "to release it");
    next(s, &held, PROTO_STALE, "what was released");
    session_close(s);
}

void hostile_client(struct hostile *h, uint64_t seed)
{
    struct prng prng;
    struct victim victim;
    struct session s;
    struct hostile other = *h; /* the victim has a connection of its own */
    prng_init(&prng, seed);
    other.fd = -1;
    hostile_enter(&other, NET_ROLE_CLIENT);
    victim_make(&victim, &other, &prng);
    forged_ids(h, &prng);
    session_open(&s, h, &prng, 1000);
    out_of_step(&s);
    guessed_handles(&s, &victim);
    no_handles(&s);
    session_close(&s);
    next(&s, &keep, PROTO_SESSION_UNKNOWN, "a session that is closed");
    victim_must_be_well(&victim);
    hostile_close(&other);
    printf("the victim is well\n");
}
