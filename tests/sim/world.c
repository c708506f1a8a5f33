/* The event queue: a binary heap ordered by (time, tie).
 *
 * Invariants: an event is in the heap at most once and knows its place; time never goes back; ties
 * and all draws come from the one generator, so a seed is a whole history. Nothing depends on the
 * value of a pointer. */
#include "tests/sim/world.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes ? bytes : 1);
    MUST(memory);
    return memory;
}

void world_init(struct world *world, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    prng_init(&world->prng, seed);
    world->heap_capacity = 1024;
    world->heap = sim_alloc((world->heap_capacity + 1) * sizeof *world->heap);
    world->now_ns = SIM_S(1000);
    world->wall_ns = (int64_t)SIM_S(1700000000);
    world->steps_max = UINT64_MAX;
}

void world_finish(struct world *world)
{
    free(world->heap);
    world->heap = NULL;
}

static bool before(const struct event *a, const struct event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->tie < b->tie;
}

static void put_at(struct world *world, struct event *event, uint32_t place)
{
    world->heap[place] = event;
    event->place = place;
}

static void sift_up(struct world *world, struct event *event, uint32_t place)
{
    while (place > 1 && before(event, world->heap[place / 2])) {
        put_at(world, world->heap[place / 2], place);
        place /= 2;
    }
    put_at(world, event, place);
}

static void sift_down(struct world *world, struct event *event, uint32_t place)
{
    for (;;) {
        uint32_t child = place * 2;
        if (child > world->heap_count)
            break;
        if (child < world->heap_count && before(world->heap[child + 1], world->heap[child]))
            child++;
        if (!before(world->heap[child], event))
            break;
        put_at(world, world->heap[child], place);
        place = child;
    }
    put_at(world, event, place);
}

void event_stop(struct world *world, struct event *event)
{
    uint32_t place = event->place;
    if (!place)
        return;
    event->place = 0;
    if (event->process)
        LIST_REMOVE(event, of_process);
    struct event *last = world->heap[world->heap_count--];
    if (last == event)
        return;
    if (place > 1 && before(last, world->heap[place / 2]))
        sift_up(world, last, place);
    else
        sift_down(world, last, place);
}

void event_start(struct world *world, struct event *event, uint64_t delay_ns)
{
    event_stop(world, event);
    if (event->process && !event->process->alive)
        return;
    if (world->heap_count == world->heap_capacity) {
        world->heap_capacity *= 2;
        world->heap = realloc(world->heap, (world->heap_capacity + 1) * sizeof *world->heap);
        MUST(world->heap);
    }
    event->put_off = false;
    event->time_ns = world->now_ns + delay_ns;
    event->tie = prng_next(&world->prng);
    if (event->process)
        LIST_INSERT_HEAD(&event->process->events, event, of_process);
    sift_up(world, event, ++world->heap_count);
}

/* What is due at a stopped process waits until it goes on; `false`: put off. */
static bool may_fire(struct world *world, struct event *event)
{
    struct process *process = event->process;
    if (!process || event->helper || process->paused_until_ns <= world->now_ns)
        return true;
    event_start(world, event, process->paused_until_ns - world->now_ns);
    event->put_off = true;
    return false;
}

static void count_step(struct world *world, const struct event *event)
{
    world->steps++;
    world_mix(world, world->now_ns);
    world_mix(world,
              (uint64_t)(unsigned char)event->label[0] << 8 | (unsigned char)event->label[1]);
}

struct event *world_take_due(struct world *world, struct process *process)
{
    struct event *event = world->heap_count ? world->heap[1] : NULL;
    if (!event || event->process != process || event->helper || event->time_ns > world->now_ns)
        return NULL;
    event_stop(world, event);
    count_step(world, event);
    return event;
}

bool world_step(struct world *world)
{
    if (world->stopped || !world->heap_count)
        return false;
    struct event *event = world->heap[1];
    world->now_ns = event->time_ns;
    event_stop(world, event);
    if (!may_fire(world, event))
        return true;
    count_step(world, event);
    if (event->process)
        process_fire(event->process, event);
    else
        event->fire(event);
    return true;
}

void world_mix(struct world *world, uint64_t value)
{
    uint64_t x = (world->trace_hash ^ value) * 0x9e3779b97f4a7c15u;
    world->trace_hash = x ^ (x >> 29);
}

void world_violation(struct world *world, const char *format, ...)
{
    world->stopped = true;
    if (world->violation[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(world->violation, sizeof world->violation, format, args);
    va_end(args);
    world_note(world, "VIOLATION %s", world->violation);
}

void world_note(struct world *world, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (bytes > (int)sizeof line - 1)
        bytes = (int)sizeof line - 1;
    world_mix(world, hash64(line, (size_t)bytes));
    if (world->trace)
        printf("%12.6f %7llu %s\n", (double)(world->now_ns - SIM_S(1000)) / 1e9,
               (unsigned long long)world->steps, line);
}

uint64_t world_between(struct world *world, uint64_t low, uint64_t high)
{
    return low + prng_below(&world->prng, high - low + 1);
}

uint64_t world_skewed(struct world *world, uint64_t low, uint64_t high)
{
    uint64_t span = high - low;
    switch (prng_below(&world->prng, 16)) {
    case 0:
        return world_between(world, low, high);
    case 1:
    case 2:
    case 3:
        return world_between(world, low, low + span / 10);
    default:
        return world_between(world, low, low + span / 40);
    }
}
