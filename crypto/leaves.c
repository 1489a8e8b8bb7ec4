/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaf hashes of one large message on several processors. SHA-256 is what a large write spends most of its time
 * in, and its pieces are hashed apart: while the caller still seals the later ones, threads that have nothing
 * else to do hash the first, in order; the caller takes the rest from the end, which is what its cache holds.
 *
 * One message at a time is shared, and only while there are fewer large messages under way than processors:
 * with as many there is nobody to help. Where that was so a moment ago it will be again: helpers that come for
 * what is left of one message only take the processor from the next one.
 */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "crypto/leaves.h"

#define HELPERS 3
#define CROWDED 16 /* messages that are not shared after as many as processors were under way */
#define SPINS 2000 /* some tens of µs: one piece */
#define BESIDE 31  /* what is claimed of a job besides its pieces */

struct cof_leaves {
	unsigned n, processors;
	pthread_t thread[HELPERS];
	_Atomic unsigned under_way; /* large messages */
	_Atomic int crowded;	    /* messages that are still to go without help; a hint */

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t more, left;
	struct cof_leaf_job *job;
	uint64_t number; /* of the job, so that nobody takes one twice */
	bool stop;
};

static void hash_piece(struct cof_leaf_job *j, unsigned k)
{
	cof_merkle_leaf(j->piece[k].iov_base, j->piece[k].iov_len, j->leaf[k]);
	atomic_fetch_add_explicit(&j->done, 1, memory_order_release);
}

/* True if piece k is the caller's from now on. */
static bool claim(struct cof_leaf_job *j, unsigned k)
{
	uint32_t bit = UINT32_C(1) << k;

	return !(atomic_fetch_or_explicit(&j->claimed, bit, memory_order_acquire) & bit);
}

/* Spins for a moment, then lets others run. */
static void breathe(unsigned *spins)
{
	if (++*spins > SPINS)
		sched_yield();
#ifdef __x86_64__
	else
		__builtin_ia32_pause();
#endif
}

/* Whoever comes first. */
static void run_beside(struct cof_leaf_job *j)
{
	if (!j->beside || !claim(j, BESIDE))
		return;
	j->beside->run(j->beside->user);
	atomic_fetch_add_explicit(&j->done, 1, memory_order_release);
}

static void help_with(struct cof_leaves *l, struct cof_leaf_job *j)
{
	run_beside(j);
	for (unsigned k = 0; k < j->n; k++) {
		unsigned spins = 0;

		while (atomic_load_explicit(&j->ready, memory_order_acquire) <= k)
			breathe(&spins);
		if (atomic_load(&l->under_way) >= l->processors)
			return; /* whoever came has more use for this processor */
		if (claim(j, k))
			hash_piece(j, k);
	}
}

static void *helper(void *user)
{
	struct cof_leaves *l = user;
	uint64_t seen = 0;

	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct cof_leaf_job *j;

		while (!l->stop && (!l->job || l->number == seen))
			pthread_cond_wait(&l->more, &l->lock);
		if (l->stop)
			break;
		seen = l->number;
		j = l->job;
		j->inside++;
		pthread_mutex_unlock(&l->lock);
		help_with(l, j);
		pthread_mutex_lock(&l->lock);
		if (!--j->inside)
			pthread_cond_broadcast(&l->left);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

int cof_leaves_new(unsigned processors, struct cof_leaves **ret)
{
	struct cof_leaves *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->more, NULL);
	pthread_cond_init(&l->left, NULL);
	l->processors = processors;
	/* Fewer than wanted will do, none too. */
	for (unsigned i = 1; i < processors && l->n < HELPERS; i++)
		if (pthread_create(&l->thread[l->n], NULL, helper, l) == 0)
			l->n++;
	*ret = l;
	return 0;
}

void cof_leaves_free(struct cof_leaves *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->more);
	pthread_mutex_unlock(&l->lock);
	for (unsigned i = 0; i < l->n; i++)
		pthread_join(l->thread[i], NULL);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->more);
	pthread_cond_destroy(&l->left);
	free(l);
}

void cof_leaves_begin(struct cof_leaves *l, struct cof_leaf_job *j, unsigned n,
		      uint8_t (*leaf)[COF_HASH], const struct cof_beside *beside)
{
	j->n = n;
	j->beside = beside;
	j->leaf = leaf;
	j->n_ready = j->inside = 0;
	j->shared = false;
	atomic_init(&j->ready, 0);
	atomic_init(&j->claimed, 0);
	atomic_init(&j->done, 0);
	if (!l)
		return;
	if (atomic_fetch_add(&l->under_way, 1) + 1 >= l->processors || !l->n) {
		atomic_store_explicit(&l->crowded, CROWDED, memory_order_relaxed);
		return;
	}
	if (atomic_load_explicit(&l->crowded, memory_order_relaxed) > 0) {
		atomic_fetch_sub_explicit(&l->crowded, 1, memory_order_relaxed);
		return;
	}
	pthread_mutex_lock(&l->lock);
	if (!l->job) {
		l->job = j;
		l->number++;
		j->shared = true;
		pthread_cond_broadcast(&l->more);
	}
	pthread_mutex_unlock(&l->lock);
}

void cof_leaves_ready(struct cof_leaf_job *j, const void *piece, size_t n)
{
	unsigned k = j->n_ready++;

	j->piece[k] = (struct iovec){.iov_base = (void *)(uintptr_t)piece, .iov_len = n};
	if (j->shared)
		atomic_store_explicit(&j->ready, j->n_ready, memory_order_release);
	else
		hash_piece(j, k);
}

/* Nobody looks at the job after this. */
static void withdraw(struct cof_leaves *l, struct cof_leaf_job *j)
{
	unsigned spins = 0, all = j->n + (j->beside != NULL);

	while (atomic_load_explicit(&j->done, memory_order_acquire) < all && spins < SPINS)
		breathe(&spins);
	pthread_mutex_lock(&l->lock);
	l->job = NULL;
	while (j->inside)
		pthread_cond_wait(&l->left, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void cof_leaves_end(struct cof_leaves *l, struct cof_leaf_job *j)
{
	run_beside(j);
	if (j->shared) {
		/* Pieces that were never sealed, after an error: whoever waits for them is let go. */
		for (unsigned k = j->n; k-- > j->n_ready;)
			(void)claim(j, k);
		for (unsigned k = j->n_ready; k-- > 0 && claim(j, k);)
			hash_piece(j, k);
		atomic_store_explicit(&j->ready, j->n, memory_order_release);
		withdraw(l, j);
	}
	if (l)
		atomic_fetch_sub(&l->under_way, 1);
}
