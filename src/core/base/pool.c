/* pool.c: tiles claimed from one 64-bit ticket.
 *
 *     ticket = generation (32 bits) | next tile (32 bits)
 *
 * A thread claims by moving the ticket from (g, i) to (g, i+1) with compare-and-swap. That succeeds
 * only while job g is the current one, so a worker that slept through a job's end can never run a
 * tile of it, and nobody has to wait for sleepers: the caller takes tiles like everybody else and a
 * job ends when all its tiles are done, however many threads came. Between jobs the ticket is
 * closed; fn, ctx and the count are read after the ticket and are proved unchanged by the swap (a
 * sequence lock).
 *
 * Waking is a tree: the caller wakes two sleepers, and each woken thread that still finds work
 * wakes two more. With more threads than cores nobody spins, and a job ends before the crowd is
 * awake: forcing 64 threads onto two cores costs little. */
#include "core/base/pool.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/base/alloc.h"
#include "core/base/cpu.h"

#define CLOSED ((uint64_t)1 << 31) /* in the ticket: larger than any tile number */
enum { SPIN_ROUNDS = 2000 }; /* some tens of microseconds, the gap between two steps of a model */

struct worker {
    struct pool *pool;
    pthread_t thread;
    unsigned number;
};

struct pool {
    _Alignas(64) atomic_uint_fast64_t ticket;
    _Alignas(64) atomic_size_t done; /* finished tiles of the current job */
    _Alignas(64) atomic_size_t tiles;
    _Atomic(pool_tile *) fn;
    _Atomic(void *) ctx;
    atomic_uint sleepers; /* workers in the wait, or about to be */
    atomic_bool caller_waits, quit;
    pthread_mutex_t lock; /* of both conditions */
    pthread_cond_t work, finished;
    pthread_mutex_t turn; /* one job at a time */
    unsigned threads, spin;
    struct worker *workers; /* threads - 1 of them: the caller is worker 0 */
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wake(struct pool *p, unsigned count)
{
    if (!atomic_load(&p->sleepers))
        return;
    pthread_mutex_lock(&p->lock);
    while (count--)
        pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

/* Runs tiles until none is left to claim; then reports how many it ran. */
static void take_tiles(struct pool *p, unsigned worker, bool was_asleep)
{
    size_t mine = 0, tiles;
    for (;;) {
        uint64_t t = atomic_load_explicit(&p->ticket, memory_order_acquire);
        uint64_t tile = t & 0xFFFFFFFF;
        pool_tile *fn = atomic_load_explicit(&p->fn, memory_order_acquire);
        void *ctx = atomic_load_explicit(&p->ctx, memory_order_acquire);
        tiles = atomic_load_explicit(&p->tiles, memory_order_acquire);
        if (tile >= tiles || tile >= CLOSED)
            break;
        if (!atomic_compare_exchange_weak(&p->ticket, &t, t + 1))
            continue;
        if (was_asleep && tile + 1 < tiles)
            wake(p, 2);
        was_asleep = false;
        fn(ctx, tile, worker);
        mine++;
    }
    /* A job cannot end while a thread has tiles unreported, so tiles is still this job's. */
    if (mine && atomic_fetch_add(&p->done, mine) + mine == tiles && atomic_load(&p->caller_waits)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_signal(&p->finished);
        pthread_mutex_unlock(&p->lock);
    }
}

/* An open job other than the last one seen? */
static bool job_ready(struct pool *p, uint32_t seen)
{
    uint64_t t = atomic_load(&p->ticket);
    return !(t & CLOSED) && (uint32_t)(t >> 32) != seen;
}

/* Returns whether it slept. */
static bool wait_for_job(struct pool *p, uint32_t seen)
{
    for (unsigned i = 0; i < p->spin; i++) {
        if (job_ready(p, seen) || atomic_load_explicit(&p->quit, memory_order_relaxed))
            return false;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1);
    while (!job_ready(p, seen) && !atomic_load(&p->quit))
        pthread_cond_wait(&p->work, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return true;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    uint32_t seen = 0;
    for (;;) {
        bool slept = wait_for_job(p, seen);
        if (atomic_load(&p->quit))
            return NULL;
        seen = (uint32_t)(atomic_load(&p->ticket) >> 32);
        take_tiles(p, w->number, slept);
    }
}

static void wait_for_end(struct pool *p, size_t tiles)
{
    for (unsigned i = 0; i < p->spin; i++) {
        if (atomic_load_explicit(&p->done, memory_order_acquire) == tiles)
            return;
        relax();
    }
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->caller_waits, true);
    while (atomic_load(&p->done) != tiles)
        pthread_cond_wait(&p->finished, &p->lock);
    atomic_store(&p->caller_waits, false);
    pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, size_t tiles, pool_tile *fn, void *ctx)
{
    uint64_t generation;
    assert(tiles < CLOSED);
    if (p)
        pthread_mutex_lock(&p->turn);
    if (!p || p->threads == 1 || tiles < 2) {
        for (size_t i = 0; i < tiles; i++)
            fn(ctx, i, 0);
    } else {
        generation = (atomic_load(&p->ticket) >> 32) + 1;
        atomic_store(&p->ticket, generation << 32 | CLOSED);
        atomic_store_explicit(&p->fn, fn, memory_order_release);
        atomic_store_explicit(&p->ctx, ctx, memory_order_release);
        atomic_store_explicit(&p->tiles, tiles, memory_order_release);
        atomic_store_explicit(&p->done, 0, memory_order_release);
        atomic_store(&p->ticket, generation << 32);
        wake(p, tiles > 2 ? 2 : 1);
        take_tiles(p, 0, false);
        wait_for_end(p, tiles);
    }
    if (p)
        pthread_mutex_unlock(&p->turn);
}

/* Signals are for the program's own threads: workers are born with all of them blocked. */
static unsigned start_workers(struct pool *p, unsigned wanted)
{
    sigset_t all, before;
    unsigned i;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (i = 0; i < wanted; i++) {
        p->workers[i] = (struct worker){.pool = p, .number = i + 1};
        if (pthread_create(&p->workers[i].thread, NULL, worker_main, &p->workers[i]))
            break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return i;
}

struct pool *pool_new(unsigned threads)
{
    unsigned granted = cpu_granted();
    struct pool *p = mem_aligned(_Alignof(struct pool), sizeof *p);
    if (!p)
        return NULL;
    *p = (struct pool){0};
    if (!threads)
        threads = granted;
    p->spin = threads <= granted ? SPIN_ROUNDS : 0;
    p->workers = mem_array(threads - 1, sizeof *p->workers);
    if (!p->workers) {
        mem_free(p);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->turn, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->finished, NULL);
    /* Workers do not read p->threads, so it may be settled after they run: when the system gives
     * fewer threads than asked for, the pool is smaller, not broken. */
    p->threads = 1 + start_workers(p, threads - 1);
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->quit, true);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i + 1 < p->threads; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->turn);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->finished);
    mem_free(p->workers);
    mem_free(p);
}

unsigned pool_threads(const struct pool *p)
{
    return p ? p->threads : 1;
}
