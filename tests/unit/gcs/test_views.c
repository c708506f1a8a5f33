/* Views: docs/protocol.md, section 4, scenario by scenario. Members are named by their place; in
 * sets the lowest bit is 0. */
#include "group.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct gcs_measures fast = {true, true, true, true};

static struct group *founded_with(enum gcs_durability durability, uint8_t nodes, uint8_t founders,
                                  uint8_t witnesses)
{
    struct group *group = group_create(nodes, founders, witnesses, &fast, durability, 8);
    for (uint8_t i = 0; i < founders; i++)
        group_start(group, i);
    group_connect_all(group);
    group_wait(group, 100);
    for (uint8_t i = 0; i < founders; i++)
        cr_assert(group->nodes[i].running, "member %u never ran", i);
    (void)group_story(group);
    return group;
}

static struct group *founded(uint8_t nodes, uint8_t founders, uint8_t witnesses)
{
    return founded_with(GCS_DURABILITY_DISK, nodes, founders, witnesses);
}

static void end(struct group *group)
{
    cr_assert(group_converge(group), "never at rest: %s", group->violation);
    cr_assert_str_empty(group->violation, "%s", group->violation);
    group_destroy(group);
}

static void send(struct group *group, uint8_t i, int count)
{
    for (; count; count--)
        cr_assert_eq(group_multicast(group, i), 0);
    group_settle(group);
}

static void expect_view(struct group *group, uint8_t i, uint16_t members, uint16_t absent)
{
    cr_assert_str_empty(group->violation, "%s", group->violation);
    cr_assert(group->nodes[i].running, "%u does not run; it went:\n%s", i, group_story(group));
    cr_assert_eq(group_view(group, i), members, "%u has view %x", i, group_view(group, i));
    cr_assert_eq(group_absent(group, i), absent, "%u has absent %x", i, group_absent(group, i));
}

Test(views, a_crashed_member_is_left_out)
{
    struct group *group = founded(3, 3, 0);
    send(group, 0, 2);
    group_crash(group, 2, 0, false);
    cr_assert_eq(group_multicast(group, 1), 0);
    group_settle(group);
    cr_assert_eq(group->nodes[1].released, 3, "released without member 2");
    group_wait(group, 1000);
    expect_view(group, 0, 3, 4);
    expect_view(group, 1, 3, 4);
    cr_assert_eq(group->nodes[1].released, 5);
    end(group);
}

Test(views, a_restart_before_suspicion_keeps_the_members)
{
    struct group *group = founded(3, 3, 0);
    send(group, 0, 2);
    group_crash(group, 2, 0, false);
    group_start(group, 2);
    group_connect_all(group);
    group_wait(group, 100);
    for (uint8_t i = 0; i < 3; i++)
        expect_view(group, i, 7, 0);
    cr_assert_eq(group->views[2].members[2].incarnation.count, 2);
    cr_assert_eq(group_epoch(group, 0), 2);
    end(group);
}

/* A copy of the disk of before the last start counts as the last start did, and is another one. */
Test(views, an_older_copy_of_a_disk_is_refused)
{
    struct group *group = founded(3, 3, 0);
    group_crash(group, 2, 0, false);
    group_start(group, 2);
    group_connect_all(group);
    group_wait(group, 100);
    group_crash(group, 1, 0, false);
    group_start(group, 1); /* what it knows of the others is on its disk */
    struct gcs_view_member member = group->views[2].members[2];
    cr_assert_null(gcs_core_accepts(group->nodes[1].core, &member));
    member.incarnation.random++;
    cr_assert_not_null(gcs_core_accepts(group->nodes[1].core, &member), "as many starts");
    member.incarnation.count++;
    cr_assert_null(gcs_core_accepts(group->nodes[1].core, &member));
    member.incarnation.count -= 2;
    cr_assert_not_null(gcs_core_accepts(group->nodes[1].core, &member), "fewer starts");
    group_connect_all(group);
    group_wait(group, 1000);
    end(group);
}

/* Of three one may go, then of two the higher; the higher of two alone waits. */
Test(views, three_two_one)
{
    struct group *group = founded(3, 3, 0);
    group_crash(group, 0, 0, false);
    group_wait(group, 1000);
    expect_view(group, 1, 6, 1);
    group_crash(group, 2, 0, false);
    group_wait(group, 1000);
    expect_view(group, 1, 2, 5);
    send(group, 1, 1);
    cr_assert_eq(group->nodes[1].released, group->nodes[1].delivered);
    group_start(group, 0);
    group_start(group, 2);
    end(group);
}

Test(views, the_higher_of_two_waits_for_the_lower)
{
    struct group *group = founded(2, 2, 0);
    group_crash(group, 0, 0, false);
    group_wait(group, 3000);
    uint8_t ranks;
    cr_assert_eq(group_epoch(group, 1), 1);
    cr_assert_not_null(gcs_core_waits_for(group->nodes[1].core, &ranks));
    cr_assert_eq(ranks, 1);
    cr_assert_not(group_may_read(group, 1));
    group_start(group, 0);
    end(group);
}

/* Two and two: the half with the lowest member goes on, the other does nothing. */
Test(views, only_one_of_two_halves_goes_on)
{
    struct group *group = founded(4, 4, 0);
    group_isolate(group, 3);
    cr_assert_eq(group_multicast(group, 2), 0);
    group_wait(group, 2000);
    expect_view(group, 0, 3, 12);
    expect_view(group, 1, 3, 12);
    send(group, 0, 1);
    cr_assert_eq(group_epoch(group, 2), 1);
    cr_assert_eq(group->nodes[2].delivered, 1);
    cr_assert_not(group_may_read(group, 2));
    end(group);
}

Test(views, a_wiped_disk_does_not_vote)
{
    struct group *group = founded(3, 3, 0);
    send(group, 0, 2);
    group_crash(group, 1, 0, false);
    group_crash(group, 2, 0, false);
    group_wipe(group, 2);
    group_start_outside(group, 2, true);
    group_connect_all(group);
    group_wait(group, 3000);
    cr_assert_eq(group_epoch(group, 0), 1, "one of three with a wiped one is no quorum");
    cr_assert_not(group_may_read(group, 0));
    group_start(group, 1);
    end(group);
}

/* Two with data and a witness: either of the two goes on with it. */
Test(views, a_witness_makes_a_quorum_with_either)
{
    for (uint8_t dead = 0; dead < 2; dead++) {
        struct group *group = founded(3, 3, 4);
        send(group, 0, 1);
        group_crash(group, dead, 0, false);
        group_wait(group, 1500);
        expect_view(group, (uint8_t)(1 - dead), (uint16_t)(7 & ~(1 << dead)),
                    (uint16_t)(1 << dead));
        send(group, (uint8_t)(1 - dead), 2);
        group_start(group, dead);
        end(group);
    }
}

/* 2 was away, and what it missed is in the memory of the others but of `forgetful`. It is out. */
static struct group *one_voted_out(uint16_t forgetful)
{
    struct group *group = founded(3, 3, 0);
    send(group, 0, 1);
    group_flush(group, 2);
    group_isolate(group, 4);
    group_wait(group, 1000);
    send(group, 0, 5);
    for (uint8_t i = 0; i < 2; i++)
        if (forgetful >> i & 1)
            group->nodes[i].history_from = group->nodes[i].applied;
    group_connect_all(group);
    group_wait(group, 100);
    cr_assert_eq(group->nodes[2].life, LIFE_OUT);
    return group;
}

Test(views, one_voted_out_joins_by_being_fed)
{
    struct group *group = one_voted_out(0);
    group_revive(group);
    group_connect_all(group);
    group_wait(group, 1000);
    expect_view(group, 2, 7, 0);
    cr_assert_eq(group->snapshots, 0);
    cr_assert_gt(group->counts[GCS_FRAME_FEED], 4);
    end(group);
}

/* It has no vote, and nobody counts on what it was fed: it is out at once, and may begin again. */
Test(views, one_that_joins_may_give_it_up)
{
    struct group *group = founded(3, 3, 0);
    send(group, 0, 1);
    group_flush(group, 2);
    group_isolate(group, 4);
    group_wait(group, 1000);
    group_connect_all(group);
    group_wait(group, 100);
    group_isolate(group, 4);
    group_revive(group);
    cr_assert_eq(group_leave(group, 2, true), 0);
    cr_assert_eq(group->nodes[2].life, LIFE_OUT);
    group_revive(group);
    group_connect_all(group);
    group_wait(group, 1000);
    expect_view(group, 2, 7, 0);
    end(group);
}

static unsigned snapshots_to_come_back(uint16_t forgetful)
{
    struct group *group = one_voted_out(forgetful);
    group_revive(group);
    group_connect_all(group);
    group_wait(group, 1000);
    unsigned snapshots = group->snapshots;
    group_revive(group);
    end(group);
    return snapshots;
}

Test(views, whoever_remembers_enough_feeds_before_a_snapshot_is_needed)
{
    cr_assert_eq(snapshots_to_come_back(1), 0);
    cr_assert_eq(snapshots_to_come_back(2), 0);
    cr_assert_eq(snapshots_to_come_back(3), 1);
}

Test(views, a_new_node_joins_by_a_snapshot)
{
    struct group *group = founded(4, 3, 0);
    send(group, 0, 5);
    group_start_outside(group, 3, true);
    group_connect_all(group);
    group_wait(group, 200);
    cr_assert_eq(group->snapshots, 1);
    cr_assert(group_converge(group));
    expect_view(group, 3, 15, 0);
    end(group);
}

Test(views, a_node_that_nobody_added_stays_away)
{
    struct group *group = founded(4, 3, 0);
    group_start_outside(group, 3, false);
    group_connect_all(group);
    group_wait(group, 500);
    cr_assert_eq(group->nodes[3].life, LIFE_REMOVED);
    end(group);
}

Test(views, one_that_leaves_is_told_when_all_have_the_next_view)
{
    struct group *group = founded(3, 3, 0);
    cr_assert_eq(group_leave(group, 1, false), 0);
    group_wait(group, 500);
    cr_assert_eq(group->nodes[1].life, LIFE_REMOVED, "%d", group->nodes[1].life);
    expect_view(group, 0, 5, 0);
    expect_view(group, 2, 5, 0);
    end(group);
}

Test(views, an_absent_one_is_removed)
{
    struct group *group = founded(3, 3, 0);
    cr_assert_eq(group_remove(group, 0, 2), -EBUSY);
    cr_assert_eq(group_remove(group, 0, 5), -ENOENT);
    group_crash(group, 2, 0, false);
    group_wait(group, 1000);
    expect_view(group, 0, 3, 4);
    cr_assert_eq(group_remove(group, 1, 2), 0);
    group_wait(group, 500);
    expect_view(group, 0, 3, 0);
    group_start(group, 2);
    group_connect_all(group);
    group_wait(group, 500);
    cr_assert_eq(group->nodes[2].life, LIFE_REMOVED);
    end(group);
}

/* Its heartbeats go on, but without its promises nothing is ordered. */
Test(views, one_that_never_installs_the_view_is_left_out)
{
    struct group *group = founded(4, 4, 0);
    group->nodes[2].installs_hang = true;
    group_crash(group, 3, 0, false);
    group_wait(group, 1500);
    expect_view(group, 0, 7, 8);
    cr_assert_not(group->nodes[2].running);
    group_wait(group, (uint32_t)(group->config.lag_after_ns / 1000000) + 1500);
    expect_view(group, 0, 3, 12);
    group->nodes[2].installs_hang = false;
    group_wait(group, 1000);
    cr_assert_eq(group->nodes[2].life, LIFE_OUT, "%s", group_story(group));
    end(group);
}

/* Nobody but the one that was asked sees a reason for a change any more. */
Test(views, one_that_was_missing_when_it_was_removed_goes_when_it_is_back)
{
    struct group *group = founded(2, 2, 0);
    cr_assert_eq(group_remove(group, 1, 0), -EBUSY);
    group_cut(group, 0, 1);
    for (unsigned i = 0; i < 4; i++) {
        group->now_ns += UINT64_C(50000000);
        group_tick(group, 1);
    }
    cr_assert_eq(group_remove(group, 1, 0), 0);
    group_connect_all(group);
    group_wait(group, 500);
    cr_assert_eq(group->nodes[0].life, LIFE_REMOVED, "%s", group_story(group));
    expect_view(group, 1, 2, 0);
    end(group);
}

/* The first to propose does not miss it: it is left out, and removed by the view after that. */
Test(views, a_removal_outlasts_a_view_that_did_not_fulfil_it)
{
    struct group *group = founded(3, 3, 0);
    group_cut(group, 1, 2);
    for (unsigned i = 0; i < 4; i++) {
        group->now_ns += UINT64_C(50000000);
        group_tick(group, 1);
    }
    cr_assert_eq(group_remove(group, 1, 2), 0);
    group_cut(group, 0, 1);
    group_cut(group, 0, 2);
    group_connect(group, 0, 1);
    group_wait(group, 2000);
    expect_view(group, 0, 3, 0);
    group_connect_all(group);
    group_wait(group, 500);
    cr_assert_eq(group->nodes[2].life, LIFE_REMOVED, "%s", group_story(group));
    end(group);
}

/* The first joiner is heard, never says that it has stored what it was given, and tries again. */
Test(views, a_joiner_that_hangs_does_not_keep_another_one_out)
{
    struct group *group = founded(3, 1, 0);
    send(group, 0, 3);
    for (uint8_t i = 1; i < 3; i++)
        group_start_outside(group, i, true);
    group_connect_all(group);
    group_wait(group, 100);
    group->nodes[1].saves_hang = true;
    for (int i = 0; i < 12; i++) {
        group_revive(group);
        group_connect_all(group);
        group_wait(group, 500);
    }
    cr_assert_eq(group_view(group, 0), 5, "%s", group_story(group));
    group->nodes[1].saves_hang = false;
    end(group);
}

/* Until the proposer has asked the other survivor for what the dead member had sent it alone. */
static void step_until_pulled(struct group *group)
{
    for (int step = 1; step < 400; step++) {
        group->now_ns += UINT64_C(5000000);
        for (uint8_t i = 0; i < 2; i++) {
            group_clock(group, i);
            if (step % 10 == 0)
                group_tick(group, i);
            (void)group_save(group, i);
            (void)group_store(group, i, 8);
            group_turn(group, i);
        }
        while (group_carry(group, 1, 0))
            ;
        const struct carried *frame;
        STAILQ_FOREACH (frame, &group->wires[0][1].frames, entry)
            if (frame->type == GCS_FRAME_PULL)
                return;
        while (group_carry(group, 0, 1))
            ;
    }
    cr_assert(false, "it never pulled; it went:\n%s", group_story(group));
}

Test(views, a_link_that_breaks_while_a_view_is_levelled_costs_no_time_out)
{
    struct group *group = founded(3, 3, 0);
    group_cut(group, 0, 2);
    cr_assert_eq(group_multicast(group, 2), 0);
    group_turn(group, 2);
    while (group_carry(group, 2, 1))
        ;
    group_crash(group, 2, 1, false);
    step_until_pulled(group);
    group_cut(group, 0, 1);
    group_connect(group, 0, 1);
    group_wait(group, 1000);
    expect_view(group, 0, 3, 4);
    cr_assert(group->sent_placed[1]);
    group_start(group, 2);
    end(group);
}

/* A joiner asks anew where nothing comes for a while; what is being read for it is sent then. */
Test(views, what_a_slow_disk_gives_is_not_thrown_away)
{
    struct group *group = one_voted_out(0);
    group_cut(group, 1, 2);
    group->nodes[0].fetches_hang = true;
    group_revive(group);
    group_connect(group, 0, 2);
    uint64_t joins = group->counts[GCS_FRAME_JOIN], fed = group->counts[GCS_FRAME_FEED_EPOCH];
    group_wait(group, 3500);
    cr_assert_geq(group->counts[GCS_FRAME_JOIN], joins + 2, "it asked again");
    cr_assert_eq(group->counts[GCS_FRAME_FEED_EPOCH], fed);
    group->nodes[0].fetches_hang = false;
    cr_assert(group_fetch(group, 0));
    group->nodes[0].fetches_hang = true;
    group_settle(group);
    cr_assert_gt(group->counts[GCS_FRAME_FEED_EPOCH], fed);
    group->nodes[0].fetches_hang = false;
    end(group);
}

/* It has said that it stored what one ballot wants; a later one, which wants less, was refused by
 * the others, or came from a proposer that is gone. */
Test(views, a_candidate_keeps_its_word)
{
    struct group *group = founded(2, 1, 0);
    group_start_outside(group, 1, true);
    group_connect_all(group);
    group_wait(group, 100);
    send(group, 0, 3);
    group_revive(group);
    group_connect_all(group);
    uint64_t stored = group->counts[GCS_FRAME_STORED];
    for (int round = 0; round < 1000 && group->counts[GCS_FRAME_STORED] == stored; round++) {
        for (uint8_t i = 0; i < 2; i++) {
            (void)group_fetch(group, i);
            (void)group_store(group, i, 8);
            (void)group_apply(group, i, 8);
            (void)group_save(group, i);
            group_tick(group, i);
            group_turn(group, i);
            while (group->counts[GCS_FRAME_STORED] == stored &&
                   group_carry(group, i, (uint8_t)(1 - i)))
                ;
        }
    }
    cr_assert_gt(group->counts[GCS_FRAME_STORED], stored);
    struct gcs_frame level = {.type = GCS_FRAME_LEVEL, .epoch = 1, .ballot = 99 << 8 | 1};
    group_forge(group, 0, 1, &level, NULL);
    cr_assert_eq(group->nodes[1].life, LIFE_UP, "%s", group->nodes[1].reason);
    group_wait(group, 200);
    expect_view(group, 1, 3, 0);
    end(group);
}

/* Two members, and time in small steps, until one frame of this type has been carried; nothing
 * after it. */
static void step_until_carried(struct group *group, uint16_t type)
{
    uint64_t before = group->counts[type];
    for (int step = 1; step < 4000 && group->counts[type] == before; step++) {
        group->now_ns += UINT64_C(1000000);
        for (uint8_t i = 0; i < 2; i++) {
            group_clock(group, i);
            if (step % 50 == 0)
                group_tick(group, i);
            (void)group_save(group, i);
            (void)group_store(group, i, 8);
            (void)group_apply(group, i, 8);
            group_turn(group, i);
        }
        for (uint8_t i = 0; i < 2; i++)
            while (group->counts[type] == before && group_carry(group, i, (uint8_t)(1 - i)))
                ;
    }
    cr_assert_gt(group->counts[type], before, "it went:\n%s", group_story(group));
}

/* The proposer loses power when the other one has installed what it decided, and with it messages
 * that are in the cut. Without its vote the other one could not go on. */
Test(views, who_lost_messages_by_a_power_cut_still_votes)
{
    struct group *group = founded_with(GCS_DURABILITY_MEMORY, 3, 3, 0);
    send(group, 0, 5);
    group_crash(group, 2, 0, false);
    step_until_carried(group, GCS_FRAME_INSTALL);
    group_power_cut(group, 0, 2);
    group_settle(group);
    cr_assert_eq(group_epoch(group, 1), 2, "it went:\n%s", group_story(group));
    group_start(group, 0);
    group_connect(group, 0, 1);
    group_wait(group, 3000);
    expect_view(group, 1, 2, 5);
    cr_assert_eq(group->nodes[0].life, LIFE_OUT);
    group_start(group, 2);
    end(group);
}

/* It would be the first to propose. */
Test(views, one_that_is_configured_otherwise_is_left_out)
{
    struct group *group = founded(3, 3, 0);
    group_crash(group, 0, 0, false);
    group->config.limits.window_messages = 16;
    group_start(group, 0);
    group->config.limits.window_messages = 8;
    group_connect_all(group);
    group_wait(group, 2000);
    expect_view(group, 1, 6, 1);
    end(group);
}

Test(views, sequences_that_break_a_planted_core_leave_this_one_whole)
{
    const char *name, *violation;
    for (unsigned number = 0; (violation = scenario_run(number, &name)), name; number++)
        cr_assert_null(violation, "%s: %s", name, violation);
}

/* From a cut to the view without the member, in heartbeats' tenths. */
static uint64_t wait_for_view(struct group *group, uint8_t i, uint64_t epoch)
{
    uint64_t from = group->now_ns;
    while (group_epoch(group, i) < epoch && group->now_ns < from + UINT64_C(5000000000)) {
        group->now_ns += UINT64_C(5000000);
        for (uint8_t j = 0; j < group->n; j++) {
            group_clock(group, j);
            if ((group->now_ns - from) % UINT64_C(50000000) == 0)
                group_tick(group, j);
        }
        group_settle(group);
        (void)group_may_read(group, 2);
    }
    return group->now_ns - from;
}

/* The lease of one that is only cut off is waited for; that of one that is proven dead is not. */
Test(views, a_lease_is_waited_for_and_a_death_notice_ends_the_wait)
{
    struct group *cut = founded(3, 3, 0), *dead = founded(3, 3, 0);
    group_isolate(cut, 4);
    uint64_t slow_ns = wait_for_view(cut, 0, 2);
    cr_assert_geq(slow_ns, cut->config.lease_ns);
    cr_assert_gt(cut->reads, 0, "it read, as long as its lease held");
    cr_assert_not(group_may_read(cut, 2));
    group_crash(dead, 2, 0, false);
    group_death(dead, 0, 2);
    group_death(dead, 1, 2);
    uint64_t fast_ns = wait_for_view(dead, 0, 2);
    cr_assert_lt(fast_ns, UINT64_C(20000000), "%lu", fast_ns);
    end(cut);
    end(dead);
}

/* Nor that of one that says that it ends; and what it had sent is ordered. */
Test(views, who_ends_in_order_is_not_waited_for)
{
    struct group *group = founded(3, 3, 0);
    cr_assert_eq(group_multicast(group, 2), 0);
    cr_assert(group_may_read(group, 2));
    group_end(group, 2);
    cr_assert_not(group_may_read(group, 2));
    cr_assert_eq(group_multicast(group, 2), GCS_E_NOT_RUNNING);
    group->closes_expected = true;
    uint64_t waited_ns = wait_for_view(group, 0, 2);
    cr_assert_lt(waited_ns, UINT64_C(20000000), "%lu", waited_ns);
    group_settle(group);
    cr_assert(group->sent_placed[group->sent]);
    expect_view(group, 0, 3, 4);
    expect_view(group, 1, 3, 4);
    group_crash(group, 2, 0, true);
    group_start(group, 2);
    group_connect_all(group);
    cr_assert(group_converge(group));
    expect_view(group, 0, 7, 0);
    end(group);
}

/* Both members with data want to leave: the lower one goes, the other one is told that it stays. */
Test(views, of_two_that_leave_one_stays)
{
    struct group *group = founded(3, 3, 2);
    cr_assert_eq(group_leave(group, 0, true), 0);
    cr_assert_eq(group_leave(group, 2, true), 0);
    group_wait(group, 2000);
    cr_assert_eq(group->nodes[0].life, LIFE_OUT);
    cr_assert_not(group->nodes[0].stays);
    cr_assert(group->nodes[2].stays);
    expect_view(group, 2, 6, 1);
    group_wait(group, 200);
    cr_assert(group_may_read(group, 2));
    cr_assert_eq(group_leave(group, 2, true), -EBUSY);
    end(group);
}

/* The others have heard that 2 leaves. So it does not stay because 0 said that it does, too: that
 * one has started again, and does not want to any more. */
Test(views, nobody_stays_once_the_others_know_that_it_leaves)
{
    struct group *group = founded(3, 3, 2);
    struct gcs_frame leave = {
        .type = GCS_FRAME_LEAVE, .epoch = group_epoch(group, 2), .target_node = 1};
    cr_assert_eq(group_leave(group, 2, false), 0);
    group_forge(group, 0, 2, &leave, NULL);
    group_tick(group, 2);
    cr_assert_eq(group_leave(group, 2, false), 0, "it has been promised");
    group_wait(group, 3000);
    cr_assert_not(group->nodes[2].stays);
    cr_assert_eq(group->nodes[2].life, LIFE_REMOVED);
    end(group);
}

/* 1 prepares while 0's ballot is under way; the higher one wins, 0 is refused, one view comes. */
Test(views, two_proposers_make_one_view)
{
    struct group *group = founded(3, 3, 0);
    group_crash(group, 2, 0, false);
    struct gcs_frame prepare = {.type = GCS_FRAME_PREPARE, .epoch = 1, .ballot = 9 << 8 | 2};
    group_wait(group, 100);
    cr_assert_eq(group_epoch(group, 0), 1, "it waits for a lease");
    cr_assert_not(group->nodes[0].running);
    group_forge(group, 1, 0, &prepare, NULL);
    group_wait(group, 3000);
    expect_view(group, 0, 3, 4);
    expect_view(group, 1, 3, 4);
    cr_assert_eq(group_epoch(group, 0), 2);
    end(group);
}

/* What was accepted is proposed again unchanged, though the one that it leaves out is back. */
Test(views, an_accepted_proposal_is_repeated_unchanged)
{
    struct group *group = founded(3, 3, 0);
    uint64_t before = group->counts[GCS_FRAME_PROPOSE];
    group_isolate(group, 4);
    for (int step = 1; step < 200; step++) {
        group->now_ns += UINT64_C(5000000);
        for (uint8_t i = 0; i < 2; i++) {
            group_clock(group, i);
            if (step % 10 == 0)
                group_tick(group, i);
            (void)group_save(group, i);
            group_turn(group, i);
        }
        while (group_carry(group, 0, 1))
            ;
        while (group->counts[GCS_FRAME_PROPOSE] == before && group_carry(group, 1, 0))
            ;
    }
    group_crash(group, 0, 0, false);
    cr_assert_eq(group_epoch(group, 1), 1, "0 decided alone, and is gone");
    group_connect(group, 1, 2);
    group_wait(group, 3000);
    cr_assert_eq(group->views[2].count, 2, "it went:\n%s", group_story(group));
    cr_assert_eq(group->views[2].members[0].node, 1, "it went:\n%s", group_story(group));
    cr_assert_eq(group->views[2].absent[0].node, 3);
    group_start(group, 0);
    end(group);
}

/* An origin crashes with a message that nobody else has: void, and its index is another's. */
Test(views, what_nobody_else_has_is_void)
{
    struct group *group = founded(3, 3, 0);
    for (uint8_t i = 1; i < 3; i++)
        group_cut(group, 0, i);
    cr_assert_eq(group_multicast(group, 0), 0);
    (void)group_store(group, 0, 1);
    group_crash(group, 0, 0, false);
    group_wait(group, 1500);
    expect_view(group, 1, 6, 1);
    send(group, 1, 1);
    group_start(group, 0);
    cr_assert(group_converge(group), "%s", group->violation);
    cr_assert_not(group->sent_placed[1]);
    end(group);
}

/* 0 and 1 lose power, keep so much of their logs, and are back. What is nowhere any more begins at
 * index `lost`. */
static void power_fails_at_both(struct group *group, uint32_t keep_0, uint32_t keep_1,
                                uint64_t lost)
{
    group_power_cut(group, 0, keep_0);
    group_power_cut(group, 1, keep_1);
    group_lost(group, lost);
    group_start(group, 0);
    group_start(group, 1);
    group_connect(group, 0, 1);
    for (int i = 0; i < 6; i++) {
        group_wait(group, 2000);
        group_revive(group);
        group_connect_all(group);
    }
}

/* Power fails at all with data: who has most founds the next view, and the others join it. */
Test(views, where_all_have_lost_something_the_longest_goes_on)
{
    struct group *group = founded_with(GCS_DURABILITY_MEMORY, 3, 3, 0);
    send(group, 0, 5);
    group_crash(group, 2, 0, false);
    group_wait(group, 1000);
    send(group, 0, 2);
    power_fails_at_both(group, 3, 2, 5);
    expect_view(group, 0, 3, 4);
    send(group, 0, 1);
    cr_assert_eq(group->nodes[1].released, group->nodes[0].delivered);
    group_start(group, 2);
    end(group);
}

/* What was accepted is proposed again, whoever may know of more messages. */
Test(views, an_accepted_proposal_waits_for_nobody_that_it_leaves_out)
{
    struct group *group = founded_with(GCS_DURABILITY_MEMORY, 3, 3, 0);
    send(group, 0, 5);
    group_crash(group, 2, 0, false);
    step_until_carried(group, GCS_FRAME_ACCEPTED);
    power_fails_at_both(group, 4, 4, 6);
    expect_view(group, 0, 3, 4);
    group_start(group, 2);
    end(group);
}

/* The next view is decided, and none of its members has all of the cut: what their logs hold of it
 * is not lost for that. */
Test(views, what_the_logs_hold_survives_an_outage_in_a_change_of_view)
{
    struct group *group = founded_with(GCS_DURABILITY_MEMORY, 2, 2, 0);
    send(group, 0, 5);
    group_crash(group, 1, 0, false);
    group_start(group, 1);
    group_connect(group, 0, 1);
    step_until_carried(group, GCS_FRAME_PROPOSE);
    for (int i = 0; i < 2; i++)
        (void)group_save(group, 1);
    power_fails_at_both(group, 4, 4, 6);
    expect_view(group, 0, 3, 0);
    for (uint32_t id = 1; id <= 4; id++)
        cr_assert(group->sent_placed[id], "%u; it went:\n%s", id, group_story(group));
    end(group);
}

/* The one with data differs from a witness of a lower node id. */
Test(views, a_witness_does_not_say_what_is_usual)
{
    struct group *group = founded(3, 3, 1);
    send(group, 1, 2);
    group_crash(group, 2, 0, false);
    group_wait(group, 2000);
    expect_view(group, 1, 3, 4);
    group_crash(group, 1, 0, false);
    group->config.limits.window_messages = 16;
    group_start(group, 1);
    group->config.limits.window_messages = 8;
    group_connect_all(group);
    group_wait(group, 3000);
    cr_assert(group->nodes[1].running, "it went:\n%s", group_story(group));
    cr_assert_str_empty(group->violation, "%s", group->violation);
    group_destroy(group);
}

Test(views, one_that_is_configured_otherwise_does_not_join)
{
    struct group *group = founded(3, 3, 0);
    group_crash(group, 0, 0, false);
    group->config.limits.window_messages = 16;
    group_start(group, 0);
    group_connect_all(group);
    group_wait(group, 2000);
    expect_view(group, 1, 6, 1);
    group_revive(group);
    group_connect_all(group);
    group_wait(group, 1000);
    cr_assert_eq(group->nodes[0].life, LIFE_FAILED, "%s", group->nodes[0].reason);
    expect_view(group, 1, 6, 1);
    group->config.limits.window_messages = 8;
    group_cut(group, 0, 1);
    group_cut(group, 0, 2);
    group_start_outside(group, 0, false);
    end(group);
}

/* 2 was away, is being fed, and its disk gives nothing before its removal. */
static struct group *one_that_is_fed(void)
{
    struct group *group = one_voted_out(0);
    group->nodes[0].fetches_hang = group->nodes[1].fetches_hang = true;
    group_revive(group);
    return group;
}

Test(views, one_that_is_removed_while_it_is_fed_stays_away)
{
    struct group *group = one_that_is_fed();
    group_connect_all(group);
    group_wait(group, 200);
    cr_assert_eq(group_remove(group, 0, 2), 0);
    group_wait(group, 500);
    expect_view(group, 0, 3, 0);
    group->nodes[0].fetches_hang = group->nodes[1].fetches_hang = false;
    group_wait(group, 6000);
    cr_assert_eq(group->nodes[2].life, LIFE_REMOVED, "%s", group_story(group));
    expect_view(group, 0, 3, 0);
    end(group);
}

/* The group lost its end, and went on from there. */
Test(views, one_that_is_fed_what_does_not_follow_begins_anew)
{
    struct group *group = one_that_is_fed();
    group_connect(group, 0, 2);
    group_wait(group, 150);
    const struct node *joiner = &group->nodes[2];
    struct gcs_frame feed = {.type = GCS_FRAME_FEED,
                             .epoch = gcs_core_epoch(joiner->core) + 1,
                             .index = joiner->delivered + 1,
                             .seq = 1,
                             .ts = 77};
    group_forge(group, 0, 2, &feed, group->payloads[1]);
    cr_assert_eq(joiner->life, LIFE_OUT);
    group->nodes[0].fetches_hang = group->nodes[1].fetches_hang = false;
    end(group);
}

/* It was fed by one that had delivered more, or has more than the group. */
Test(views, a_joiner_that_is_ahead_wedges_nobody)
{
    struct group *group = founded(4, 3, 0);
    send(group, 0, 5);
    group_start_outside(group, 3, true);
    group_connect(group, 0, 3);
    group_connect(group, 1, 3);
    group_connect(group, 2, 3);
    struct gcs_frame join = {.type = GCS_FRAME_JOIN,
                             .epoch = 1,
                             .flags = GCS_FLAG_ADDED | GCS_FLAG_STATE,
                             .index = 50,
                             .limits = group->config.limits};
    for (int i = 0; i < 40; i++) {
        if (i % 10 == 0)
            group_forge(group, 3, 0, &join, NULL);
        group_wait(group, 50);
        cr_assert(group->nodes[0].running, "it went:\n%s", group_story(group));
    }
    end(group);
}

/* How long the group stands still in one piece, in ms, of 20 s. */
static unsigned longest_wedge(struct group *group)
{
    unsigned longest = 0, now = 0;
    for (int i = 0; i < 400; i++) {
        group_wait(group, GROUP_HEARTBEAT_MS);
        now = group->nodes[0].running ? 0 : now + GROUP_HEARTBEAT_MS;
        longest = now > longest ? now : longest;
    }
    return longest;
}

Test(views, joiners_that_hang_stop_the_group_one_at_a_time)
{
    struct group *group = founded(6, 2, 0);
    send(group, 0, 3);
    for (uint8_t i = 2; i < 6; i++)
        group_start_outside(group, i, true);
    group_connect_all(group);
    group_wait(group, 100);
    for (uint8_t i = 2; i < 6; i++)
        group->nodes[i].saves_hang = true;
    group_revive(group);
    group_connect_all(group);
    unsigned wedge = longest_wedge(group);
    cr_assert_leq(wedge, 1000, "%u ms", wedge);
    cr_assert_geq(wedge, 500, "none was tried");
    for (uint8_t i = 2; i < 6; i++)
        group->nodes[i].saves_hang = false;
    end(group);
}

/* Its link breaks when the group is wedged for it, and comes back: nothing is on its way to it. */
Test(views, a_candidate_that_lost_its_link_is_left_out_at_once)
{
    struct group *group = founded(4, 3, 0);
    send(group, 0, 3);
    group_start_outside(group, 3, true);
    group_connect_all(group);
    group_wait(group, 100);
    for (uint8_t i = 0; i < 3; i++)
        group->nodes[i].saves_hang = true;
    group_revive(group);
    group_connect_all(group);
    group_wait(group, 100);
    cr_assert_not(group->nodes[0].running, "it went:\n%s", group_story(group));
    for (uint8_t i = 0; i < 3; i++)
        group_cut(group, i, 3);
    group_connect_all(group);
    for (uint8_t i = 0; i < 3; i++)
        group->nodes[i].saves_hang = false;
    group_wait(group, 200);
    cr_assert_eq(group->views[2].count, 3, "it went:\n%s", group_story(group));
    cr_assert(group->nodes[0].running);
    end(group);
}

/* --- all down --- */

/* The `number`th order of `n` things. */
static void order_of(unsigned number, uint8_t n, uint8_t order[GROUP_NODES_MAX])
{
    uint8_t left[GROUP_NODES_MAX];
    for (uint8_t i = 0; i < n; i++)
        left[i] = i;
    for (uint8_t i = 0; i < n; i++) {
        uint8_t count = (uint8_t)(n - i), at = (uint8_t)(number % count);
        number /= count;
        order[i] = left[at];
        memmove(&left[at], &left[at + 1], (size_t)(count - at - 1));
    }
}

/* Members of the last view with their disks: more than half, or half with the lowest. */
static bool is_enough(uint16_t set, uint8_t n)
{
    unsigned count = (unsigned)__builtin_popcount(set);
    return 2 * count > n || (2 * count == n && set & 1);
}

/* @wiped: whose disk is empty, and who is added again; n: nobody's. */
static void come_back(uint8_t n, unsigned number, uint8_t wiped)
{
    struct group *group = founded(n, n, 0);
    uint8_t order[GROUP_NODES_MAX];
    uint16_t back = 0;
    order_of(number, n, order);
    for (uint8_t i = 0; i < n; i++)
        send(group, i, 2);
    for (uint8_t i = 0; i < n; i++) {
        cr_assert_eq(group_multicast(group, i), 0);
        group_turn(group, i);
    }
    for (uint8_t i = 0; i < n; i++)
        group_crash(group, i, 0, false);
    if (wiped < n)
        group_wipe(group, wiped);
    for (uint8_t i = 0; i < n; i++) {
        if (order[i] == wiped)
            group_start_outside(group, wiped, true);
        else
            group_start(group, order[i]);
        back |= order[i] == wiped ? 0 : (uint16_t)(1 << order[i]);
        group_connect_all(group);
        group_wait(group, 2000);
        bool runs = false;
        for (uint8_t j = 0; j < n; j++)
            runs = runs || group->nodes[j].running;
        cr_assert_eq(runs, is_enough(back, n), "%u of %u, order %u, wiped %u: %x are back", i + 1,
                     n, number, wiped, back);
    }
    end(group);
}

Test(views, all_down_and_back_in_every_order_with_each_disk_wiped)
{
    for (uint8_t wiped = 0; wiped <= 3; wiped++)
        for (unsigned number = 0; number < 6; number++)
            come_back(3, number, wiped);
    for (uint8_t wiped = 0; wiped <= 4; wiped++)
        for (unsigned number = 0; number < 24; number++)
            come_back(4, number, wiped);
}
