/* All frames between members, encoded and decoded by one table.
 *
 * A frame is one byte (how many entries its vectors have), then the fields that its type has, in
 * the order of the enumeration in frame.c, then (DATA, PUSH, FEED) the payload. So the head of a
 * type and count has one size, and another size is refused before anything in it is believed. Who
 * sends what to whom, and why: README.md. Source: docs/protocol.md, sections 2, 3, 4. */
#ifndef TUTTI_GCS_FRAME_H
#define TUTTI_GCS_FRAME_H

#include "base/must.h"
#include "gcs-fastdelivery/gcs.h"

enum gcs_frame_type {
    GCS_FRAME_DATA = NET_FRAME_GCS_FIRST,
    GCS_FRAME_ACK,
    GCS_FRAME_RESUME,
    GCS_FRAME_BEAT,
    GCS_FRAME_GRANT,
    GCS_FRAME_CHECK,
    GCS_FRAME_ASK,
    GCS_FRAME_AGREE,
    GCS_FRAME_PREPARE,
    GCS_FRAME_PROMISE,
    GCS_FRAME_REFUSE,
    GCS_FRAME_LEVEL,
    GCS_FRAME_PULL,
    GCS_FRAME_PUSH,
    GCS_FRAME_HAVE,
    GCS_FRAME_LOST,
    GCS_FRAME_STORED,
    GCS_FRAME_PROPOSE,
    GCS_FRAME_ACCEPTED,
    GCS_FRAME_INSTALL,
    GCS_FRAME_OUT,
    GCS_FRAME_LEAVE,
    GCS_FRAME_JOIN,
    GCS_FRAME_WELCOME,
    GCS_FRAME_SNAPSHOT,
    GCS_FRAME_FEED,
    GCS_FRAME_FEED_EPOCH,
    GCS_FRAME_FED,
    GCS_FRAME_END,
    GCS_FRAME_BOOK = NET_FRAME_GCS_LAST, /* addresses; the shell's, not the core's */
};

enum {
    GCS_HEAD_BYTES_MAX = 1024,
    GCS_PAYLOAD_BYTES_LIMIT = 64 << 20, /* no configuration may ask for more */
};

/* No clock reaches this; a frame that says so is damaged. */
#define GCS_CLOCK_MAX (UINT64_C(1) << 62)

/* One start of one member. Count 0 is nobody. */
struct gcs_incarnation {
    uint64_t count, random;
};

/* "I have sent `sent` messages in this epoch and will send no further one with ts <= clock." */
struct gcs_promise {
    uint64_t clock, sent;
};

/* What must be equal at all members. */
struct gcs_limits {
    uint32_t window_messages;
    uint64_t window_bytes;
    uint32_t payload_bytes_max;
    uint8_t durability;
};

/* A member of a view; also an absent one, or a joiner. Without hidden padding: compared as bytes.
 */
struct gcs_view_member {
    struct gcs_incarnation incarnation;
    uint8_t store[16]; /* all zero: not known yet (founding view) */
    uint8_t node, witness, reserved[6];
};

/* A view as the members agree on it. Without hidden padding. */
struct gcs_view_record {
    uint64_t epoch;
    uint8_t count, absent_count, reserved[6];
    struct gcs_view_member members[GCS_MEMBER_MAX]; /* sorted by node */
    struct gcs_view_member absent[GCS_ABSENT_MAX];
};

/* What the members of a view decide: the next one, and how many messages of each rank of the
 * present one belong to it. */
struct gcs_proposal {
    struct gcs_view_record view;
    uint64_t cut[GCS_MEMBER_MAX];
};

/* (round << 8) + node of its proposer: unique, ordered. 0: none. */
typedef uint64_t gcs_ballot;

enum gcs_frame_flag {
    GCS_FLAG_RUNS = 1 << 0,      /* RESUME: an epoch runs here */
    GCS_FLAG_MEMBER = 1 << 1,    /* RESUME: it takes itself for a member of its epoch's view */
    GCS_FLAG_CANDIDATE = 1 << 2, /* RESUME: it has stored up to a cut, and waits for the decision */
    GCS_FLAG_AGREED = 1 << 3,    /* AGREE: a change is due */
    GCS_FLAG_JOIN = 1 << 4,      /* ASK: for the sake of the candidate alone */
    GCS_FLAG_ENDS = 1 << 5,      /* LEAVE: this incarnation says nothing more */
    GCS_FLAG_FRESH = 1 << 6,     /* PROMISE: it has not restarted in this epoch */
    GCS_FLAG_HEARS = 1 << 7,     /* AGREE, PROMISE: it hears the candidate */
    GCS_FLAG_REMOVED = 1 << 8,   /* OUT: not expected back; LEAVE: it does not come back */
    GCS_FLAG_ADDED = 1 << 9,     /* JOIN: an operator added it */
    GCS_FLAG_STATE = 1 << 10,    /* JOIN: it has a state at `index` */
    GCS_FLAG_LOST = 1 << 11,     /* PROMISE: it has lost messages that it had stored;
                                    LOST: it can't be levelled */
    GCS_FLAG_MISFIT = 1 << 12,   /* OUT: it is configured otherwise than the group */
};

/* One decoded head. What the type has not is zero. */
struct gcs_frame {
    uint16_t type;
    uint8_t count;
    uint16_t flags;
    uint64_t epoch;
    gcs_ballot ballot;
    uint64_t time; /* ns, of the clock of who sent BEAT */
    uint8_t hears; /* set of ranks that the sender hears */
    uint8_t slow;  /* set of ranks that hold the sender up */
    uint8_t target_node;
    uint64_t index;
    uint8_t hash[16];
    uint8_t origin;
    uint64_t seq, ts;
    uint64_t stable;  /* own messages that all members have stored and applied */
    uint64_t applied; /* index */
    struct gcs_promise promises[GCS_MEMBER_MAX];
    uint64_t received[GCS_MEMBER_MAX];
    uint64_t stored[GCS_MEMBER_MAX];
    uint64_t target[GCS_MEMBER_MAX]; /* a cut, or what is wanted */
    struct gcs_limits limits;
    struct gcs_view_member candidate; /* node 0: none */
    gcs_ballot accepted;              /* ballot of `proposal`; 0: none (PROMISE) */
    struct gcs_proposal proposal;
};

/* Size of the head of this type with vectors of `count`; 0 for an unknown type or
 * count. */
uint32_t gcs_frame_head_bytes(uint16_t type, uint8_t count);

/* Whether a payload follows the head. */
bool gcs_frame_has_payload(uint16_t type);

/* Bytes written into `to`. */
uint32_t gcs_frame_encode(const struct gcs_frame *frame, uint8_t to[GCS_HEAD_BYTES_MAX]);

/* 0 or -EPROTO: size, count, a rank, a clock, a view that is none, or more stored than received. */
int gcs_frame_decode(uint16_t type, const uint8_t *head, uint32_t head_bytes,
                     struct gcs_frame *ret_frame) WARN_UNUSED;

/* A view (and a proposal) on its own, for the state on disk. */
struct writer;
struct reader;
void gcs_view_encode(const struct gcs_view_record *view, struct writer *w);
void gcs_view_decode(struct reader *r, struct gcs_view_record *ret_view);
bool gcs_view_plausible(const struct gcs_view_record *view);

#endif
