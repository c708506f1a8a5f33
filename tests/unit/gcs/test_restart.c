/* Restarts: docs/protocol.md, section 8, scenario by scenario. */
#include "group.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct gcs_measures fast = {true, true, true, true};

static struct group *running(uint8_t n, enum gcs_durability durability)
{
    struct group *group = group_create(n, &fast, durability, 8);
    for (uint8_t i = 0; i < n; i++)
        group_start(group, i);
    group_connect_all(group);
    group_settle(group);
    (void)group_story(group);
    return group;
}

static void end(struct group *group)
{
    cr_assert(group_converge(group), "never at rest: %s", group->violation);
    cr_assert_str_empty(group->violation, "%s", group->violation);
    for (uint8_t i = 0; i < group->n; i++)
        cr_assert_not(group->nodes[i].failed, "%u: %s", i, group->nodes[i].failure);
    group_destroy(group);
}

static void send(struct group *group, uint8_t i, int count)
{
    for (; count; count--)
        cr_assert_eq(group_multicast(group, i), 0);
}

static void restart(struct group *group, uint8_t i)
{
    group_start(group, i);
    group_connect_all(group);
}

static uint64_t epoch_of(const struct group *group, uint8_t i)
{
    return gcs_core_epoch(group->nodes[i].core);
}

Test(restart, of_one_begins_an_epoch)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    send(group, 0, 2);
    send(group, 1, 1);
    group_settle(group);
    (void)group_story(group);
    group_crash(group, 2, 0, false);
    restart(group, 2);
    group_settle(group);
    const char *story = group_story(group);
    cr_assert_not_null(strstr(story, "0 epoch 2 at 5\n"), "it went:\n%s", story);
    cr_assert_not_null(strstr(story, "2 delivers 0.1 at 2\n"), "replayed; it went:\n%s", story);
    send(group, 2, 1);
    group_settle(group);
    end(group);
}

/* Every seat, the leader's included. */
Test(restart, of_each_one_in_turn)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    for (uint8_t i = 0; i < 3; i++) {
        for (uint8_t j = 0; j < 3; j++)
            send(group, j, 2);
        group_settle(group);
        group_flush(group, i);
        group_crash(group, i, 0, true);
        restart(group, i);
        group_settle(group);
        cr_assert_eq(epoch_of(group, i), i + 2u);
    }
    end(group);
}

Test(restart, of_all_keeps_what_was_released)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    send(group, 0, 3);
    group_settle(group);
    uint64_t released = group->released;
    for (uint8_t i = 0; i < 3; i++)
        group_crash(group, i, 0, false);
    for (uint8_t i = 3; i-- > 0;)
        restart(group, i);
    group_settle(group);
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_geq(group->nodes[i].delivered, released + 1);
    end(group);
}

/* A message that one member alone has stored is in the cut: the others get it by PULL and PUSH. */
Test(restart, levels_from_a_holder_that_does_not_lead)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    send(group, 1, 2);
    (void)group_store(group, 1, 2);
    for (uint8_t i = 0; i < 3; i++)
        group_crash(group, i, 0, false);
    for (uint8_t i = 0; i < 3; i++)
        restart(group, i);
    group_settle(group);
    cr_assert_geq(group->counts[GCS_FRAME_PULL], 1);
    cr_assert_geq(group->counts[GCS_FRAME_PUSH], 4);
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(group->nodes[i].delivered, 4, "epoch, two messages, epoch");
    end(group);
}

/* A message that nobody has stored is gone, and its number is used again by nobody. */
Test(restart, of_all_voids_what_nobody_stored)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    send(group, 1, 1);
    for (uint8_t i = 0; i < 3; i++)
        group_crash(group, i, 0, false);
    for (uint8_t i = 0; i < 3; i++)
        restart(group, i);
    group_settle(group);
    cr_assert_eq(group->nodes[1].delivered, 2, "two epochs");
    end(group);
}

/* Members installed, one only prepared: it finishes the epoch by itself, then all begin the next.
 */
Test(restart, between_prepared_and_install)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    send(group, 0, 2);
    group_settle(group);
    group_crash(group, 2, 0, false);
    restart(group, 2);
    for (int round = 0; round < 100 && epoch_of(group, 0) == 1; round++)
        for (uint8_t i = 0; i < 3; i++) {
            for (uint8_t j = 0; j < 3; j++)
                if (!(i == 1 && j == 0 && group->counts[GCS_FRAME_INSTALL] > 4))
                    while (group_carry(group, j, i) && group->counts[GCS_FRAME_PREPARED] < 4)
                        ;
            (void)group_store(group, i, UINT32_MAX);
            (void)group_save(group, i);
            (void)group_apply(group, i, UINT32_MAX);
            if (group->counts[GCS_FRAME_PREPARED] == 4 && group->nodes[1].alive) {
                (void)group_story(group);
                group_crash(group, 1, 0, true);
            }
        }
    cr_assert_eq(epoch_of(group, 0), 2, "the leader installed");
    restart(group, 1);
    cr_assert_eq(epoch_of(group, 1), 1, "member 1 did not");
    group_settle(group);
    cr_assert_geq(group->counts[GCS_FRAME_CATCH_UP], 1);
    for (uint8_t i = 0; i < 3; i++)
        cr_assert_eq(epoch_of(group, i), 3);
    end(group);
}

/* The link to one member breaks when INSTALL is on its way: it hears it again, no new epoch. */
Test(restart, a_lost_install_is_repeated)
{
    struct group *group = running(2, GCS_DURABILITY_DISK);
    group_crash(group, 1, 0, false);
    restart(group, 1);
    uint64_t installs = group->counts[GCS_FRAME_INSTALL];
    for (int round = 0; round < 100 && epoch_of(group, 0) == 1; round++) {
        while (group_carry(group, 1, 0))
            ;
        (void)group_save(group, 0);
        (void)group_apply(group, 0, UINT32_MAX);
        if (epoch_of(group, 0) == 1 && group->counts[GCS_FRAME_PREPARED] < 2) {
            while (group_carry(group, 0, 1))
                ;
            (void)group_save(group, 1);
        }
    }
    cr_assert_eq(epoch_of(group, 0), 2);
    group_cut(group, 0, 1);
    cr_assert_eq(group->counts[GCS_FRAME_INSTALL], installs, "it was lost");
    group_connect(group, 0, 1);
    group_settle(group);
    cr_assert_eq(epoch_of(group, 0), 2);
    cr_assert_eq(epoch_of(group, 1), 2);
    end(group);
}

/* Any link that breaks during a round ends it; the next one succeeds. */
Test(restart, a_broken_round_is_begun_again)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    send(group, 0, 2);
    group_settle(group);
    group_crash(group, 1, 0, false);
    restart(group, 1);
    for (int k = 0; k < 6; k++) {
        (void)group_carry(group, 0, 2);
        (void)group_carry(group, 2, 0);
    }
    group_cut(group, 0, 2);
    group_settle(group);
    cr_assert_eq(epoch_of(group, 0), 1);
    group_connect(group, 0, 2);
    group_settle(group);
    cr_assert_eq(epoch_of(group, 0), 2);
    end(group);
}

/* What was sent and not ordered when another member fell is delivered before the next epoch. */
Test(restart, messages_of_survivors_are_never_lost)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    group_crash(group, 2, 0, false);
    send(group, 0, 3);
    send(group, 1, 2);
    restart(group, 2);
    group_settle(group);
    cr_assert_eq(group->nodes[2].delivered, 7, "epoch, five messages, epoch");
    end(group);
}

/* The indices of a replay are those of the first time, whatever the state machine had kept. */
Test(restart, replays_with_the_same_indices)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    for (int epoch = 0; epoch < 3; epoch++) {
        for (uint8_t i = 0; i < 3; i++)
            send(group, i, 3);
        group_settle(group);
        if (epoch == 1)
            group_flush(group, 2);
        group_crash(group, 2, 0, true);
        restart(group, 2);
        group_settle(group);
    }
    cr_assert_eq(group->nodes[2].delivered, 31, "four epochs, 27 messages");
    end(group);
}

/* durability = memory and a power cut: what the log of one lost comes out of another's log. */
Test(restart, lost_messages_are_fetched_from_a_log)
{
    struct group *group = running(3, GCS_DURABILITY_MEMORY);
    for (int round = 0; round < 3; round++) {
        send(group, 0, 4);
        group_settle(group);
        for (uint8_t i = 0; i < 3; i++)
            group_tick(group, i);
        group_settle(group);
    }
    group->nodes[2].stored -= 5;
    group_crash(group, 2, 0, false);
    restart(group, 2);
    group_settle(group);
    cr_assert_geq(group->fetches, 1);
    cr_assert_eq(group->nodes[2].delivered, 14, "two epochs, twelve messages");
    end(group);
}

/* And when no log has them any more, the member says so and stops; the others only wait. */
Test(restart, what_no_log_has_is_said)
{
    struct group *group = running(3, GCS_DURABILITY_MEMORY);
    send(group, 0, 6);
    group_settle(group);
    for (uint8_t i = 0; i < 3; i++)
        group_tick(group, i);
    group_settle(group);
    group->nodes[2].stored -= 5;
    for (uint8_t i = 0; i < 2; i++)
        group->nodes[i].trimmed = group->nodes[i].stored;
    group_crash(group, 2, 0, false);
    restart(group, 2);
    group_settle(group);
    cr_assert(group->nodes[2].failed);
    cr_assert_not(group->nodes[0].failed);
    cr_assert_not(group->nodes[1].failed);
    group_destroy(group);
}

Test(restart, a_log_that_lost_its_tail_is_refused_on_disk)
{
    struct group *group = running(2, GCS_DURABILITY_DISK);
    for (int round = 0; round < 40; round++) {
        send(group, 0, 1);
        group_settle(group);
        group_tick(group, 1);
        group_settle(group);
    }
    group_flush(group, 1);
    cr_assert_gt(group->nodes[1].trimmed, 0, "the floor never moved");
    group->nodes[1].trimmed = 0;
    group->nodes[1].flushed = 0;
    group->nodes[1].stored = 3;
    group_crash(group, 1, 0, false);
    group_start(group, 1);
    cr_assert(group->nodes[1].failed);
    group_destroy(group);
}

Test(restart, different_settings_never_run_together)
{
    struct group *group = group_create(2, &fast, GCS_DURABILITY_DISK, 8);
    group_start(group, 0);
    group->config.limits.window_messages = 9;
    group_start(group, 1);
    group_connect_all(group);
    group_settle(group);
    cr_assert_not(group->nodes[0].running);
    cr_assert_str_eq(gcs_core_waits_for(group->nodes[0].core),
                     "a member is configured with another durability, window or payload size");
    group_destroy(group);
}

/* --- state of another time, group, or of chance
 * ---------------------------------------------------- */

Test(restart, damaged_state_is_refused)
{
    struct group *group = running(3, GCS_DURABILITY_DISK);
    struct node *node = &group->nodes[1];
    struct gcs_core_config config = group->config;
    config.rank = 1;
    config.incarnation.count = 5;
    uint8_t *memory = calloc(1, gcs_core_bytes(&config));
    struct gcs_core *core;
    for (size_t bytes = 1; bytes < node->state_bytes; bytes++)
        cr_assert_eq(gcs_core_init(memory, &config, node->state, bytes, &core), -EBADMSG);
    config.applied.epoch = 2;
    cr_assert_eq(gcs_core_init(memory, &config, node->state, node->state_bytes, &core), -EBADMSG,
                 "older than what is applied");
    config.applied.epoch = 1;
    config.nodes[2] = 77;
    cr_assert_eq(gcs_core_init(memory, &config, node->state, node->state_bytes, &core), -EBADMSG,
                 "of another group");
    free(memory);
    group_destroy(group);
}

Test(restart, a_log_that_does_not_fit_is_refused)
{
    struct group *group = running(1, GCS_DURABILITY_DISK);
    struct node *node = &group->nodes[0];
    struct blob *payload = blob_create("x", 1);
    const struct gcs_message bad[] = {
        {.epoch = 0, .seq = 1, .ts = 1, .payload = payload},
        {.epoch = 9, .seq = 1, .ts = 1, .payload = payload},
        {.epoch = 1, .seq = 5, .ts = 1, .payload = payload},
        {.epoch = 1, .seq = 1, .ts = 0, .payload = payload},
        {.epoch = 1, .seq = 1, .ts = 1, .origin = 1, .payload = payload},
    };
    struct gcs_core_config config = group->config;
    config.incarnation.count = 5;
    config.recovered_max = 10;
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
        void *memory = calloc(1, gcs_core_bytes(&config));
        struct gcs_core *core;
        cr_assert_eq(gcs_core_init(memory, &config, node->state, node->state_bytes, &core), 0);
        struct gcs_event event = {.kind = GCS_EVENT_RECOVERED, .message = bad[b]};
        cr_assert_eq(gcs_step(core, &event), -EBADMSG, "record %zu", b);
        free(memory);
    }
    blob_unref(payload);
    group_destroy(group);
}
