/* The simulator is a transport and a store, not a mock: both keep the contracts that TCP and
 * LevelDB keep, by the same tests. */
#include "tests/sim/net.h"
#include "tests/sim/store.h"
#include "tests/transport/contract.h"
#include "tests/unit/store/contract.h"

#include <stdlib.h>

/* ---- transport ---- */

struct sim_fixture {
    struct world world;
    struct sim_net net;
    struct process server, client;
};

static void nothing(void *user)
{
    (void)user;
}

static void fixture_run(struct transport_fixture *fixture)
{
    struct sim_fixture *sim = fixture->user;
    uint64_t until = sim->world.now_ns + SIM_MS(1);
    process_turn(&sim->server, nothing, NULL);
    if (sim->client.alive)
        process_turn(&sim->client, nothing, NULL);
    while (sim->world.heap_count && sim->world.heap[1]->time_ns <= until)
        world_step(&sim->world);
    sim->world.now_ns = until;
}

static bool not_half(void *user)
{
    (void)user;
    return false;
}

static void fixture_kill_client(struct transport_fixture *fixture)
{
    struct sim_fixture *sim = fixture->user;
    process_kill(&sim->client, not_half, NULL);
    sim_transport_kill(fixture->client, SIM_DEATH_KILLED);
    net_transport_destroy(fixture->client);
    fixture->client = NULL;
}

static void fixture_finish(struct transport_fixture *fixture)
{
    struct sim_fixture *sim = fixture->user;
    process_finish(&sim->client);
    process_finish(&sim->server);
    sim_net_finish(&sim->net);
    world_finish(&sim->world);
    free(sim);
}

static void fixture_make(struct transport_fixture *fixture)
{
    struct sim_fixture *sim = sim_alloc(sizeof *sim);
    world_init(&sim->world, 1);
    sim_net_init(&sim->net, &sim->world);
    sim->net.delay_high_ns = SIM_US(500);
    process_init(&sim->server, &sim->world, "server");
    process_init(&sim->client, &sim->world, "client");
    *fixture = (struct transport_fixture){
        .server = sim_transport_create(&sim->net, &sim->server, 0),
        .client = sim_transport_create(&sim->net, &sim->client, 1),
        .listen_address = "here:0",
        .dead_address = "here:1",
        .user = sim,
        .run = fixture_run,
        .kill_client = fixture_kill_client,
        .finish = fixture_finish,
    };
}

TRANSPORT_CONTRACT(sim_transport, fixture_make)

/* ---- store ---- */

static struct store *store_new(void *user)
{
    struct store *store = NULL;
    cr_assert_eq(sim_store_open(user, true, &store, NULL), 0);
    return store;
}

static struct store *store_again(void *user, struct store *store)
{
    store_close(store);
    cr_assert_eq(sim_store_open(user, false, &store, NULL), 0);
    return store;
}

Test(sim_store, contract)
{
    struct world world;
    world_init(&world, 1);
    struct vault *vault = vault_create(&world);
    store_contract_run(
        &(struct store_fixture){.create = store_new, .reopen = store_again, .user = vault});
    vault_destroy(vault);
    world_finish(&world);
}

static void put(struct store *store, const char *key, const char *value, bool sync)
{
    struct store_batch *batch = store_batch_create();
    cr_assert_eq(store_batch_put(batch, key, strlen(key), value, strlen(value)), 0);
    cr_assert_eq(store_write(store, batch, sync, NULL), 0);
    store_batch_destroy(batch);
}

static bool has(struct store *store, const char *key)
{
    void *value = NULL;
    size_t bytes;
    int code = store_get(store, key, strlen(key), &value, &bytes, NULL);
    free(value);
    return code == 0;
}

/* What was synced stays, of the rest a prefix: over many seeds both an empty and a whole one. */
Test(sim_store, power_cut)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world world;
        struct store *store;
        world_init(&world, seed);
        struct vault *vault = vault_create(&world);
        store = store_new(vault);
        put(store, "a", "1", true);
        put(store, "b", "2", false);
        put(store, "c", "3", false);
        vault_power_cut(vault);
        cr_assert(has(store, "a"));
        cr_assert(has(store, "b") || !has(store, "c"));
        kept += has(store, "c");
        lost += !has(store, "b");
        store_close(store);
        vault_destroy(vault);
        world_finish(&world);
    }
    cr_assert(lost > 5 && kept > 5);
}
