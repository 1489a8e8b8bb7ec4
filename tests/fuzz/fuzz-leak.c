/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is appended is anybody's bytes. In one write by each sieve: the same places, all within the bytes.
 * In pieces: within what was given so far, each counted. What is not accepted changes nothing.
 */
#include "fuzz.h"

#include "../support/leak-made.h"
#include "fs/leak/internal.h"

const unsigned fuzz_runs = 6000;

static struct cof_leak_db *db;

struct seen {
	uint64_t end; /* of all bytes given so far */
	uint64_t sum; /* over the places */
	unsigned count;
};

static void see(void *user, const struct cof_leak *leak)
{
	struct seen *s = user;

	fuzz_check(leak->kind < COF_LEAK_KINDS && leak->len > 0);
	fuzz_check(leak->offset + leak->len <= s->end);
	fuzz_check(leak->offset + leak->len < s->end || leak->open_ended);
	s->sum = s->sum * 31 + leak->offset * 7 + leak->len + leak->kind;
	s->count++;
}

static void init(void)
{
	if (db)
		return;
	fuzz_check(cof_crypto_init(1u << 20, NULL) == 0);
	fuzz_check(cof_leak_db_new(&db) == 0);
}

static uint64_t whole(const uint8_t *data, size_t n)
{
	struct seen a = {.end = n}, b = {.end = n};
	struct cof_leak_stream *t;

	fuzz_check(cof_leak_stream_new(db, 0, NULL, 0, &t) == 0);
	fuzz_check(cof_leak_scan(db, t, data, n, see, &a) == a.count);
	fuzz_check(cof_leak_scan(db, t, data, n, see, &b) == b.count && a.sum == b.sum);
	cof_leak_stream_free(t);
	return a.sum;
}

static void pieces(const uint8_t *data, size_t n, size_t piece)
{
	struct seen s = {.end = 0};
	struct cof_leak_stream *t;

	fuzz_check(cof_leak_stream_new(db, 0, NULL, 0, &t) == 0);
	for (size_t at = 0; at < n; at += piece) {
		size_t len = COF_MIN(piece, n - at);
		unsigned before = s.count;

		s.end = at + len;
		fuzz_check(cof_leak_scan(db, t, data + at, len, see, &s) == s.count - before);
		cof_leak_accept(t, data + at, len);
	}
	cof_leak_stream_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t sum = 0;
	bool any = false;

	init();
	for (int way = 0; way < SIEVES; way++) {
		if (!cof_leak_use_sieve(way))
			continue;
		fuzz_check(!any || sum == whole(data, n));
		sum = whole(data, n);
		any = true;
	}
	if (n > 0)
		pieces(data, n, 1 + data[0] % 97);
	pieces(data, n, 2500);
	return 0;
}

void fuzz_seeds(void)
{
	struct logs l;

	init();
	logs_init(&l, 1);
	for (unsigned i = 0; i < 2 * COF_LEAK_KINDS; i++) {
		struct made m;

		made_leak(&l, i % COF_LEAK_KINDS, i, &m);
		fuzz_seed(m.text.data, m.text.len);
		made_done(&m);
	}
}
