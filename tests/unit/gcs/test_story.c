/* The named scenarios of docs/protocol.md, sections 2 and 3, as stories.
 *
 * "0 > 1 DATA": the frame arrives. "1 received 0.2": message 2 of member 0 is in memory there.
 * Members are named by rank; links carry in the order of (receiver, sender) until nothing is left.
 */
#include "group.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct gcs_measures fast = {true, true, true, true};
static const struct gcs_measures no_ahead = {true, true, true, false};
static const struct gcs_measures plain = {false, false, false, false};

/* A group that has begun its first epoch. */
static struct group *running(uint8_t n, const struct gcs_measures *measures, uint32_t window)
{
    struct group *group = group_create(n, n, 0, measures, GCS_DURABILITY_DISK, window);
    for (uint8_t i = 0; i < n; i++)
        group_start(group, i);
    group_connect_all(group);
    group_wait(group, 100);
    for (uint8_t i = 0; i < n; i++)
        cr_assert(group->nodes[i].running, "member %u never ran", i);
    (void)group_story(group);
    return group;
}

static void expect(struct group *group, const char *story)
{
    const char *told = group_story(group);
    cr_assert_str_empty(group->violation, "%s", group->violation);
    cr_assert_str_eq(told, story, "it went:\n%s", told);
}

static void end(struct group *group)
{
    cr_assert(group_converge(group), "never at rest: %s", group->violation);
    cr_assert_str_empty(group->violation, "%s", group->violation);
    group_destroy(group);
}

Test(story, three_members_begin)
{
    struct group *group = group_create(3, 3, 0, &fast, GCS_DURABILITY_DISK, 8);
    for (uint8_t i = 0; i < 3; i++)
        group_start(group, i);
    group_connect_all(group);
    group_settle(group);
    (void)group_story(group);
    group_wait(group, GROUP_HEARTBEAT_MS);
    expect(group, "0 > 1 ASK\n0 > 2 ASK\n1 > 0 AGREE\n2 > 0 AGREE\n"
                  "0 > 1 PREPARE\n0 > 2 PREPARE\n1 > 0 PROMISE\n2 > 0 PROMISE\n"
                  "0 > 1 LEVEL\n0 > 2 LEVEL\n1 > 0 STORED\n2 > 0 STORED\n"
                  "0 > 1 PROPOSE\n0 > 2 PROPOSE\n1 > 0 ACCEPTED\n2 > 0 ACCEPTED\n"
                  "0 > 1 INSTALL\n0 > 2 INSTALL\n0 epoch 1 at 1\n0 runs\n"
                  "1 epoch 1 at 1\n1 runs\n2 epoch 1 at 1\n2 runs\n"
                  "1 > 0 RESUME\n2 > 0 RESUME\n0 released to 1\n0 > 1 RESUME\n"
                  "2 > 1 RESUME\n1 released to 1\n0 > 2 RESUME\n1 > 2 RESUME\n"
                  "2 released to 1\n1 > 0 ACK\n2 > 0 ACK\n0 > 1 ACK\n"
                  "2 > 1 ACK\n0 > 2 ACK\n1 > 2 ACK\n");
    end(group);
}

/* Two one-way trips and one sync from multicast to release, and nobody had to be asked. */
Test(story, fast_delivery_in_an_idle_group_of_three)
{
    struct group *group = running(3, &fast, 8);
    cr_assert_eq(group_multicast(group, 0), 0);
    group_settle(group);
    expect(group, "0 received 0.1\n"
                  "0 > 1 DATA\n1 received 0.1\n0 > 2 DATA\n2 received 0.1\n"
                  "1 > 0 ACK\n0 delivers 0.1 at 2\n2 > 0 ACK\n0 released to 2\n"
                  "0 > 1 ACK\n1 delivers 0.1 at 2\n2 > 1 ACK\n1 released to 2\n"
                  "0 > 2 ACK\n2 delivers 0.1 at 2\n1 > 2 ACK\n2 released to 2\n");
    end(group);
}

/* Without the measures nothing moves until a heartbeat. */
Test(story, plain_protocol_waits_for_heartbeats)
{
    struct group *group = running(3, &plain, 8);
    cr_assert_eq(group_multicast(group, 0), 0);
    group_settle(group);
    expect(group, "0 received 0.1\n0 > 1 DATA\n1 received 0.1\n0 > 2 DATA\n2 received 0.1\n");
    for (uint8_t i = 0; i < 3; i++)
        group_tick(group, i);
    group_settle(group);
    expect(group, "1 > 0 ACK\n2 > 0 ACK\n0 delivers 0.1 at 2\n0 released to 2\n"
                  "2 > 1 ACK\n1 delivers 0.1 at 2\n1 released to 2\n"
                  "1 > 2 ACK\n2 delivers 0.1 at 2\n2 released to 2\n");
    end(group);
}

/* Nothing is delivered that no quorum has stored, and everything is once one has. */
Test(story, delivery_needs_a_stored_quorum_and_no_more)
{
    struct group *group = running(3, &fast, 8);
    cr_assert_eq(group_multicast(group, 0), 0);
    for (uint8_t round = 0; round < 2; round++)
        for (uint8_t i = 0; i < 3; i++) {
            for (uint8_t j = 0; j < 3; j++)
                while (group_carry(group, i, j))
                    ;
            group_turn(group, i);
        }
    (void)group_story(group);
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(group->nodes[i].delivered, 1, "received by all, stored by none");
    group_store(group, 1, 1);
    group_turn(group, 1);
    cr_assert(group_carry(group, 1, 0) && group_carry(group, 1, 2));
    expect(group, "1 > 0 ACK\n1 > 2 ACK\n");
    group_store(group, 2, 1);
    expect(group, "2 delivers 0.1 at 2\n2 released to 2\n");
    end(group);
}

/* At equal ts the lower rank goes first, at every member. */
Test(story, a_tie_is_broken_by_rank)
{
    struct group *group = running(3, &no_ahead, 8);
    cr_assert_eq(group_multicast(group, 2), 0);
    cr_assert_eq(group_multicast(group, 1), 0);
    group_settle(group);
    cr_assert_str_empty(group->violation, "%s", group->violation);
    cr_assert_eq(group->sequence[2].ts, 1);
    cr_assert_eq(group->sequence[2].origin, 1);
    cr_assert_eq(group->sequence[3].ts, 1);
    cr_assert_eq(group->sequence[3].origin, 2);
    end(group);
}

/* A promise on behalf of 1 reaches 0 before the message that it covers: it has to wait for it. */
Test(story, a_promise_overtakes_data)
{
    struct group *group = running(3, &no_ahead, 8);
    cr_assert_eq(group_multicast(group, 1), 0);
    cr_assert(group_carry(group, 1, 2));
    cr_assert_eq(group_multicast(group, 2), 0);
    cr_assert(group_carry(group, 2, 1));
    for (uint8_t i = 1; i < 3; i++) {
        while (group_store(group, i, 1))
            ;
        group_turn(group, i);
    }
    while (group_carry(group, 1, 2))
        ;
    group_tick(group, 2);
    group_tick(group, 2);
    while (group_carry(group, 2, 0))
        ;
    (void)group_store(group, 0, 1);
    (void)group_story(group);
    cr_assert_eq(group->nodes[0].delivered, 1, "2.1 delivered before 1.1 was received");
    cr_assert(group_carry(group, 1, 0));
    (void)group_store(group, 0, 1);
    expect(group, "1 > 0 DATA\n0 received 1.1\n0 delivers 1.1 at 2\n0 delivers 2.1 at 3\n"
                  "0 released to 2\n");
    group_settle(group);
    end(group);
}

/* What a broken link lost is sent again, once, and the other member did not notice. */
Test(story, a_link_resumes)
{
    struct group *group = running(3, &fast, 8);
    struct gcs_status status = {0};
    for (int m = 0; m < 3; m++)
        cr_assert_eq(group_multicast(group, 0), 0);
    cr_assert(group_carry(group, 0, 1));
    group_cut(group, 0, 1);
    group_settle(group);
    (void)group_story(group);
    cr_assert_eq(group->nodes[2].released, 2, "released without member 1");
    group_connect(group, 0, 1);
    gcs_core_status(group->nodes[0].core, &status);
    uint64_t data = group->counts[GCS_FRAME_DATA], resent = status.resent;
    group_settle(group);
    cr_assert_eq(group->counts[GCS_FRAME_DATA] - data, 2, "repeats exactly what was lost");
    cr_assert_eq(group->nodes[1].released, 4);
    gcs_core_status(group->nodes[0].core, &status);
    cr_assert_eq(status.resent - resent, 2);
    end(group);
}

Test(story, the_window_fills_and_opens)
{
    struct group *group = running(3, &fast, 2);
    cr_assert_eq(group_multicast(group, 0), 0);
    cr_assert_eq(group_multicast(group, 0), 0);
    cr_assert_eq(group_multicast(group, 0), GCS_E_WINDOW_FULL);
    group_settle(group);
    for (uint8_t i = 0; i < 3; i++)
        group_tick(group, i);
    group_settle(group);
    cr_assert_not_null(strstr(group_story(group), "0 window open\n"));
    cr_assert_eq(group_multicast(group, 0), 0);
    group_settle(group);
    end(group);
}

/* A member that does not apply holds the origin back, not only one that does not receive. */
Test(story, the_window_waits_for_the_slowest_to_apply)
{
    struct group *group = running(2, &fast, 2);
    for (int m = 0; m < 2; m++)
        cr_assert_eq(group_multicast(group, 0), 0);
    for (int round = 0; round < 8; round++) {
        for (uint8_t i = 0; i < 2; i++) {
            while (group_carry(group, (uint8_t)(1 - i), i))
                ;
            (void)group_store(group, i, UINT32_MAX);
            if (i == 0)
                (void)group_apply(group, i, UINT32_MAX);
            group_turn(group, i);
            group_tick(group, i);
        }
    }
    cr_assert_eq(group->nodes[1].released, 3, "all is released, nothing applied at member 1");
    cr_assert_eq(group_multicast(group, 0), GCS_E_WINDOW_FULL);
    (void)group_apply(group, 1, UINT32_MAX);
    group_tick(group, 1);
    group_settle(group);
    cr_assert_eq(group_multicast(group, 0), 0);
    group_settle(group);
    end(group);
}

/* One frame of acknowledgement for a burst. */
Test(story, a_burst_is_acknowledged_once)
{
    struct group *group = running(3, &fast, 64);
    for (int m = 0; m < 20; m++)
        cr_assert_eq(group_multicast(group, 0), 0);
    while (group_carry(group, 0, 1))
        ;
    uint32_t before = group->wires[1][0].count;
    group_turn(group, 1);
    cr_assert_eq(group->wires[1][0].count - before, 1);
    group_settle(group);
    end(group);
}

/* Many messages go through the bounded queue of actions without a loss. */
Test(story, a_long_backlog_passes_the_bounded_queue)
{
    struct group *group = running(3, &fast, 4096);
    group->tracing = false;
    group_cut(group, 0, 1);
    for (int m = 0; m < 3000; m++)
        cr_assert_eq(group_multicast(group, 0), 0);
    group_settle(group);
    group_connect(group, 0, 1);
    group_settle(group);
    cr_assert_eq(group->nodes[1].released, 3001);
    end(group);
}

/* --- a peer that breaks a rule loses its link, whatever it sent
 * ----------------------------------- */

struct offence {
    const char *name;
    struct gcs_frame frame;
    uint32_t payload_bytes;
};

Test(story, broken_rules_close_the_link)
{
    static const struct offence offences[] = {
        {"a gap", {.type = GCS_FRAME_DATA, .epoch = 1, .origin = 1, .seq = 3, .ts = 9}, 8},
        {"no time", {.type = GCS_FRAME_DATA, .epoch = 1, .origin = 1, .seq = 2, .ts = 1}, 8},
        {"another's name", {.type = GCS_FRAME_DATA, .epoch = 1, .origin = 2, .seq = 2, .ts = 9}, 8},
        {"size", {.type = GCS_FRAME_DATA, .epoch = 1, .origin = 1, .seq = 2, .ts = 9999}, 1001},
        {"stable",
         {.type = GCS_FRAME_DATA, .epoch = 1, .origin = 1, .seq = 2, .ts = 9999, .stable = 2},
         8},
        {"acknowledged", {.type = GCS_FRAME_ACK, .epoch = 1, .received = {99}}, 0},
        {"no payload", {.type = GCS_FRAME_DATA, .epoch = 1, .origin = 1, .seq = 2, .ts = 9999}, 0},
    };
    for (size_t o = 0; o < sizeof offences / sizeof *offences; o++) {
        struct group *group = running(3, &no_ahead, 8);
        cr_assert_eq(group_multicast(group, 1), 0);
        group_settle(group);
        group->closes_expected = true;
        struct gcs_frame frame = offences[o].frame;
        struct blob *payload =
            offences[o].payload_bytes ? blob_create(NULL, offences[o].payload_bytes) : NULL;
        group_forge(group, 1, 0, &frame, payload);
        blob_unref(payload);
        cr_assert_eq(group->closes, 1, "%s: not closed", offences[o].name);
        group_cut(group, 0, 1);
        group_connect(group, 0, 1);
        cr_assert_eq(group_multicast(group, 0), 0);
        group_settle(group);
        end(group);
    }
}

/* Frames of an epoch that is over, or not yet there, mean nothing. */
Test(story, other_epochs_are_ignored)
{
    struct group *group = running(3, &fast, 8);
    struct blob *payload = blob_create("12345678", 8);
    for (uint64_t epoch = 0; epoch < 4; epoch++) {
        struct gcs_frame frame = {
            .type = GCS_FRAME_DATA, .epoch = epoch, .origin = 1, .seq = 1, .ts = 5000};
        if (epoch != 1)
            group_forge(group, 1, 0, &frame, payload);
    }
    blob_unref(payload);
    expect(group, "");
    cr_assert_eq(group_multicast(group, 0), 0);
    group_settle(group);
    end(group);
}

Test(story, strangers_under_a_known_name_are_refused)
{
    struct group *group = running(3, &fast, 8);
    const struct gcs_core *core = group->nodes[0].core;
    const struct gcs_view_member now = {{1, 18}, {2}, 2, 0, {0}}, next = {{2, 5}, {2}, 2, 0, {0}},
                                 twin = {{1, 99}, {2}, 2, 0, {0}}, none = {{0, 0}, {2}, 2, 0, {0}},
                                 self = {{1, 18}, {1}, 1, 0, {0}}, bare = {{1, 18}, {0}, 2, 0, {0}},
                                 other = {{1, 18}, {9}, 2, 0, {0}};
    cr_assert_null(gcs_core_accepts(core, &now));
    cr_assert_null(gcs_core_accepts(core, &next));
    cr_assert_not_null(gcs_core_accepts(core, &twin), "two with one id");
    cr_assert_not_null(gcs_core_accepts(core, &none));
    cr_assert_not_null(gcs_core_accepts(core, &self), "itself");
    cr_assert_not_null(gcs_core_accepts(core, &bare), "no store");
    cr_assert_not_null(gcs_core_accepts(core, &other), "the member that the view lists is linked");
    group_cut(group, 0, 1);
    cr_assert_null(gcs_core_accepts(core, &other), "it may have been wiped");
    group_connect(group, 0, 1);
    group_settle(group);
    group_crash(group, 1, 0, false);
    group_start(group, 1);
    group_connect_all(group);
    group_settle(group);
    cr_assert_not_null(gcs_core_accepts(core, &now), "an older copy of its disk");
    end(group);
}
