/* The simulated loop and disk do what their contracts say. */
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- loop ---- */

struct step {
    struct loop_task task;
    struct loop *loop;
    struct step *defers; /* from inside its run */
    char letter;
    char *log;
};

static void step_run(struct loop_task *task)
{
    struct step *step = CONTAINER_OF(task, struct step, task);
    step->log[strlen(step->log)] = step->letter;
    if (step->defers)
        loop_defer(step->loop, &step->defers->task);
}

struct turn {
    struct loop *loop;
    struct step steps[4];
    char log[16];
};

static void turn_run(void *user)
{
    struct turn *turn = user;
    for (int i = 0; i < 3; i++)
        loop_defer(turn->loop, &turn->steps[i].task);
    loop_defer(turn->loop, &turn->steps[0].task); /* once more is the same */
}

Test(sim_loop, tasks_run_phase_by_phase)
{
    struct world world;
    struct process process;
    world_init(&world, 1);
    process_init(&process, &world, "p");
    struct turn turn = {.loop = &process.loop};
    static const enum loop_phase phases[] = {LOOP_PHASE_SEND, LOOP_PHASE_ORDER, LOOP_PHASE_SUBMIT,
                                             LOOP_PHASE_SUBMIT};
    for (int i = 0; i < 4; i++)
        turn.steps[i] = (struct step){.task = {.run = step_run, .phase = phases[i]},
                                      .loop = turn.loop,
                                      .letter = (char)('a' + i),
                                      .log = turn.log};
    turn.steps[1].defers = &turn.steps[3]; /* an earlier phase, from a later one */
    process_turn(&process, turn_run, &turn);
    cr_assert_str_eq(turn.log, "cbda");
    process_finish(&process);
    world_finish(&world);
}

struct job {
    struct work work;
    int ran, done;
};

static void job_run(struct work *work)
{
    CONTAINER_OF(work, struct job, work)->ran++;
}

static void job_done(struct work *work)
{
    CONTAINER_OF(work, struct job, work)->done++;
}

struct job_pair {
    struct work_queue *queue;
    struct job jobs[2];
};

static void submit_both(void *user)
{
    struct job_pair *pair = user;
    for (int i = 0; i < 2; i++) {
        pair->jobs[i] = (struct job){.work = {.run = job_run, .done = job_done}};
        work_queue_submit(pair->queue, &pair->jobs[i].work);
    }
}

static bool half_done(void *user)
{
    return *(bool *)user;
}

/* A crash between run and done, before run, and in the middle of it, all happen. */
Test(sim_loop, work_may_be_cut_anywhere)
{
    int ran[3] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct world world;
        struct process process;
        bool half = seed & 1;
        world_init(&world, seed);
        process_init(&process, &world, "p");
        struct job_pair pair = {.queue = work_queue_create(&process.loop, "q")};
        process_turn(&process, submit_both, &pair);
        for (uint64_t steps = prng_below(&world.prng, 5); steps > 0; steps--)
            world_step(&world);
        cr_assert(pair.jobs[0].done <= pair.jobs[0].ran);
        cr_assert(pair.jobs[1].ran <= pair.jobs[0].done);
        process_kill(&process, half_done, &half);
        ran[pair.jobs[0].ran + pair.jobs[1].ran]++;
        cr_assert(world.heap_count == 0);
        work_queue_destroy(pair.queue);
        process_finish(&process);
        world_finish(&world);
    }
    cr_assert(ran[0] > 5 && ran[1] > 5 && ran[2] > 5);
}

struct alarm {
    struct loop_timer timer;
    int fired;
};

static void alarm_fire(struct loop_timer *timer)
{
    CONTAINER_OF(timer, struct alarm, timer)->fired++;
}

Test(sim_loop, timers_and_pauses)
{
    struct world world;
    struct process process;
    struct alarm alarm = {.fired = 0};
    world_init(&world, 3);
    process_init(&process, &world, "p");
    cr_assert_eq(loop_timer_init(&process.loop, &alarm.timer, alarm_fire), 0);
    loop_timer_start(&alarm.timer, SIM_MS(5));
    process_pause(&process, SIM_MS(50));
    uint64_t before = loop_now_ns(&process.loop);
    while (world_step(&world))
        ;
    cr_assert_eq(alarm.fired, 1);
    cr_assert(loop_now_ns(&process.loop) - before >= SIM_MS(50));
    loop_timer_start(&alarm.timer, SIM_MS(5));
    loop_timer_stop(&alarm.timer);
    cr_assert(!world_step(&world));
    loop_timer_finish(&alarm.timer);
    process_finish(&process);
    world_finish(&world);
}

static void nothing(struct event *event)
{
    (void)event;
}

Test(sim_loop, a_pause_on_top_of_a_pause_ends_for_all)
{
    struct world world;
    struct process process;
    struct alarm alarm = {.fired = 0};
    struct event other = {.fire = nothing, .label = "other"};
    world_init(&world, 4);
    process_init(&process, &world, "p");
    cr_assert_eq(loop_timer_init(&process.loop, &alarm.timer, alarm_fire), 0);
    loop_timer_start(&alarm.timer, SIM_MS(5));
    process_pause(&process, SIM_S(100));
    event_start(&world, &other, SIM_MS(10)); /* behind the alarm, which is put off now */
    cr_assert(world_step(&world));
    process_pause(&process, SIM_S(200));
    process_resume(&process);
    uint64_t resumed_ns = world.now_ns;
    cr_assert(world_step(&world));
    cr_assert_eq(alarm.fired, 1);
    cr_assert_eq(world.now_ns, resumed_ns);
    loop_timer_finish(&alarm.timer);
    process_finish(&process);
    world_finish(&world);
}

/* ---- disk ---- */

static void write_two(struct disk *disk, const char *name, const char *stable, const char *loose)
{
    struct disk_file *file;
    cr_assert_eq(disk->ops->open(disk, name, true, &file), 0);
    cr_assert_eq(disk->ops->append(file, stable, strlen(stable)), 0);
    cr_assert_eq(disk->ops->sync(file), 0);
    cr_assert_eq(disk->ops->sync_directory(disk), 0);
    cr_assert_eq(disk->ops->append(file, loose, strlen(loose)), 0);
    disk->ops->close(file);
}

static int64_t content(struct disk *disk, const char *name, char *to, size_t bytes)
{
    struct disk_file *file;
    if (disk->ops->open(disk, name, false, &file) < 0)
        return -1;
    int64_t count = disk->ops->read(file, 0, to, bytes);
    disk->ops->close(file);
    return count;
}

Test(sim_disk, a_power_cut_keeps_what_was_synced)
{
    int whole = 0, none = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct world world;
        char text[64];
        world_init(&world, seed);
        struct platter *platter = platter_create(&world);
        struct disk *disk = sim_disk_create(platter);
        write_two(disk, "f", "stable", "loose");
        platter_power_cut(platter, false);
        int64_t count = content(disk, "f", text, sizeof text);
        cr_assert(count >= 6 && count <= 11);
        cr_assert(memcmp(text, "stableloose", (size_t)count) == 0);
        whole += count == 11;
        none += count == 6;
        disk->ops->destroy(disk);
        platter_destroy(platter);
        world_finish(&world);
    }
    cr_assert(whole > 3 && none > 3);
}

Test(sim_disk, names_are_stable_after_sync_directory)
{
    int old = 0, new = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct world world;
        char text[64];
        world_init(&world, seed);
        struct platter *platter = platter_create(&world);
        struct disk *disk = sim_disk_create(platter);
        write_two(disk, "name", "first", "");
        write_two(disk, "temporary", "second", "");
        cr_assert_eq(disk->ops->rename(disk, "temporary", "name"), 0);
        platter_power_cut(platter, true);
        int64_t count = content(disk, "name", text, sizeof text);
        cr_assert((count == 5 && memcmp(text, "first", 5) == 0) ||
                  (count == 6 && memcmp(text, "second", 6) == 0));
        old += count == 5;
        new += count == 6;
        disk->ops->destroy(disk);
        platter_destroy(platter);
        world_finish(&world);
    }
    cr_assert(old > 3 && new > 3);
}

/* What a dead process still does has no effect, and is not told so. */
Test(sim_disk, the_dead_write_nothing)
{
    struct world world;
    char text[64];
    world_init(&world, 1);
    struct platter *platter = platter_create(&world);
    struct disk *disk = sim_disk_create(platter), *after;
    write_two(disk, "f", "before", "");
    sim_disk_cut(disk, 0);
    write_two(disk, "g", "x", "y");
    cr_assert_eq(disk->ops->unlink(disk, "f"), 0);
    after = sim_disk_create(platter);
    cr_assert_eq(content(after, "f", text, sizeof text), 6);
    cr_assert_eq(content(after, "g", text, sizeof text), -1);
    disk->ops->destroy(disk);
    after->ops->destroy(after);
    platter_destroy(platter);
    world_finish(&world);
}

Test(sim_disk, faults)
{
    struct world world;
    struct disk_file *file;
    world_init(&world, 1);
    struct platter *platter = platter_create(&world);
    struct disk *disk = sim_disk_create(platter);
    cr_assert_eq(disk->ops->open(disk, "f", true, &file), 0);
    cr_assert_eq(disk->ops->open(disk, "g/h", true, &(struct disk_file *){0}), -EINVAL);
    platter_fail_sync(platter);
    cr_assert_eq(disk->ops->sync(file), -EIO);
    cr_assert_eq(disk->ops->sync(file), 0);
    platter_set_full(platter, true);
    cr_assert_eq(disk->ops->append(file, "x", 1), -ENOSPC);
    platter_heal(platter);
    cr_assert_eq(disk->ops->append(file, "x", 1), 0);
    disk->ops->close(file);
    disk->ops->destroy(disk);
    platter_destroy(platter);
    world_finish(&world);
}
