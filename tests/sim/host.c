/* Power on, power off. A crash is: the helper threads stop somewhere, the process's events vanish,
 * nothing that it still does has an effect, its memory is freed by its own functions. An end is:
 * these functions have their effect, as main's last ones have. */
#include "tests/sim/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void process_speed(struct host *host)
{
    host->process->work_low_ns = SIM_US(20) * host->slow_factor;
    host->process->work_high_ns = SIM_MS(4) * host->slow_factor;
}

void host_set_slow(struct host *host, uint64_t factor)
{
    host->slow_factor = factor;
    if (host->process)
        process_speed(host);
}

/* Whose disk failed it, or will. */
static bool is_excused(const struct host *host)
{
    return host->excused || vault_is_damaged(host->vault);
}

static void start_program(void *user)
{
    struct host *host = user;
    struct error error = {{0}};
    int code = host->ops->start(host, &error);
    if (code < 0 && is_excused(host))
        host_program_failed(host, error.text);
    else if (code < 0)
        world_violation(host->world, "validity: %s does not start: %s (%d)", host->name, error.text,
                        code);
}

void host_start(struct host *host)
{
    if (host->up)
        return;
    event_stop(host->world, &host->restart);
    host->up = true;
    host->lives++;
    world_note(host->world, "%s starts, life %llu", host->name, (unsigned long long)host->lives);
    host->process = sim_alloc(sizeof *host->process);
    process_init(host->process, host->world, host->name);
    process_speed(host);
    host->transport = sim_transport_create(host->net, host->process, host->id);
    host->disk = sim_disk_create(host->platter);
    sim_net_host_up(host->net, host->id);
    process_turn(host->process, start_program, host);
}

/* The crash falls into the item that the helper thread works on: some of its operations happen. */
static bool cut_midway(void *user)
{
    struct host *host = user;
    if (prng_chance(&host->world->prng, 1, 2))
        return false;
    sim_disk_cut(host->disk, (uint32_t)world_between(host->world, 0, 5));
    return true;
}

/* What is left of the process, its program gone. */
static void process_end(struct host *host)
{
    net_transport_destroy(host->transport);
    host->disk->ops->destroy(host->disk);
    process_finish(host->process);
    free(host->process);
    host->process = NULL;
    host->up = false;
}

void host_crash(struct host *host, enum sim_death death)
{
    if (!host->up)
        return;
    world_note(host->world, "%s %s", host->name,
               death == SIM_DEATH_POWER ? "loses power" : "is killed");
    event_stop(host->world, &host->fail);
    event_stop(host->world, &host->off);
    process_kill(host->process, cut_midway, host);
    sim_disk_cut(host->disk, 0);
    vault_cut_process(host->vault);
    sim_transport_kill(host->transport, death);
    host->ops->destroy(host);
    process_end(host);
    if (death == SIM_DEATH_POWER) {
        platter_power_cut(host->platter, host->torn);
        vault_power_cut(host->vault);
    }
}

void host_end(struct host *host)
{
    if (!host->up)
        return;
    world_note(host->world, "%s ends", host->name);
    event_stop(host->world, &host->fail);
    event_stop(host->world, &host->off);
    host->ops->destroy(host);
    process_end(host);
}

static void restart_now(struct event *event)
{
    host_start(CONTAINER_OF(event, struct host, restart));
}

void host_restart_later(struct host *host, uint64_t delay_ns)
{
    if (!host->up)
        event_start(host->world, &host->restart, delay_ns);
}

/* The supervisor starts another one on what the failed sync left, or the machine is switched off
 * and on. */
static void fail_now(struct event *event)
{
    struct host *host = CONTAINER_OF(event, struct host, fail);
    host_crash(host, world_between(host->world, 0, 1) ? SIM_DEATH_POWER : SIM_DEATH_KILLED);
    platter_heal(host->platter);
    vault_heal(host->vault);
    host->excused = false;
    host_restart_later(host, world_between(host->world, SIM_MS(50), SIM_MS(500)));
}

void host_program_failed(struct host *host, const char *detail)
{
    if (!host->up || !host->process->alive)
        return;
    world_note(host->world, "%s says that it fails: %s", host->name, detail);
    if (!is_excused(host)) {
        world_violation(host->world, "validity: %s stops without a fault of its own: %s",
                        host->name, detail);
        return;
    }
    event_start(host->world, &host->fail, 0);
}

static void off_now(struct event *event)
{
    host_crash(CONTAINER_OF(event, struct host, off), SIM_DEATH_KILLED);
}

void host_off(struct host *host)
{
    event_start(host->world, &host->off, 0);
}

void host_wipe(struct host *host)
{
    MUST(!host->up);
    platter_destroy(host->platter);
    vault_destroy(host->vault);
    host->platter = platter_create(host->world);
    host->vault = vault_create(host->world);
    host->excused = false;
}

void host_init(struct host *host, struct world *world, struct sim_net *net, uint32_t id,
               const char *name, const struct host_ops *ops, void *user)
{
    memset(host, 0, sizeof *host);
    host->world = world;
    host->net = net;
    host->id = id;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->ops = ops;
    host->user = user;
    host->slow_factor = 1;
    host->platter = platter_create(world);
    host->vault = vault_create(world);
    host->fail = (struct event){.fire = fail_now, .label = "fail"};
    host->restart = (struct event){.fire = restart_now, .label = "restart"};
    host->off = (struct event){.fire = off_now, .label = "off"};
}

void host_finish(struct host *host)
{
    host_crash(host, SIM_DEATH_KILLED);
    event_stop(host->world, &host->fail);
    event_stop(host->world, &host->restart);
    platter_destroy(host->platter);
    vault_destroy(host->vault);
}
