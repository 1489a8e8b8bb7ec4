/* SPDX-License-Identifier: Apache-2.0 */
/* Recall over a corpus of leaks, false positives over logs, and secrets cut at each of their bytes. */
#include <check.h>
#include <stdio.h>

#include "../../support/leak-made.h"
#include "fs/leak/internal.h"
#include "test-leak.h"

#define AROUND 6000 /* bytes of logs before a leak and behind it */

struct seen {
	uint64_t from, to; /* of the secret */
	enum cof_leak_kind kind;
	unsigned hits, others;
	struct cof_leak last, other;
};

static void see(void *user, const struct cof_leak *leak)
{
	struct seen *s = user;
	bool inside = leak->offset < s->to && leak->offset + leak->len > s->from;

	if (inside && leak->kind == s->kind) {
		s->hits++;
		s->last = *leak;
	}
	else if (!inside || (leak->kind != COF_LEAK_RAW && leak->kind != COF_LEAK_BIP39)) {
		s->others++; /* (cut short, a key may look like 32 raw bytes, and twelve words fit by chance) */
		s->other = *leak;
	}
}

static void feed(struct cof_leak_stream *t, const uint8_t *p, size_t n, struct seen *s)
{
	cof_leak_scan(leak_db, t, p, n, see, s);
	cof_leak_accept(t, p, n);
}

/* The leak amid logs, in pieces: how says which. */
static void feed_pieces(const struct cof_buf *all, unsigned how, struct logs *l, struct seen *s)
{
	struct cof_leak_stream *t;
	size_t at = 0;

	ck_assert_int_eq(cof_leak_stream_new(leak_db, 0, NULL, 0, &t), 0);
	while (at < all->len) {
		size_t n = all->len - at;
		const uint8_t *eol = memchr(all->data + at, '\n', n);
		unsigned chance = 1 + logs_below(l, 300);

		if (how == 1) /* lines */
			n = eol ? (size_t)(eol + 1 - (all->data + at)) : n;
		else if (how == 2) /* stdio's buffer */
			n = COF_MIN(n, 4096);
		else if (how == 3)
			n = COF_MIN(n, chance);
		else if (how == 4) /* once inside the secret */
			n = at ? n : s->from + logs_below(l, (unsigned)(s->to - s->from));
		else if (how == 5)
			n = COF_MIN(n, 7);
		feed(t, all->data + at, n, s);
		at += n;
	}
	cof_leak_stream_free(t);
}

static void surround(struct logs *l, const struct made *m, struct cof_buf *all)
{
	char text[AROUND];
	size_t before = logs_below(l, AROUND);

	logs_fill(l, text, before);
	cof_buf_add(all, text, before);
	cof_buf_add(all, "\n", 1);
	cof_buf_add(all, m->text.data, m->text.len);
	logs_fill(l, text, sizeof(text));
	cof_buf_add(all, text, sizeof(text));
}

START_TEST(recall)
{
	unsigned found[COF_LEAK_KINDS] = {0}, made[COF_LEAK_KINDS] = {0}, others = 0, all_found = 0;
	const unsigned total = 10000;
	struct logs l;

	logs_init(&l, 39);
	for (unsigned i = 0; i < total; i++) {
		enum cof_leak_kind kind = i % COF_LEAK_KINDS;
		cof_autobuf struct cof_buf all = {0};
		struct seen s = {.kind = kind};
		struct made m;

		made_leak(&l, kind, i / COF_LEAK_KINDS, &m);
		surround(&l, &m, &all);
		s.from = all.len - AROUND - m.text.len + m.at;
		s.to = s.from + m.len;
		feed_pieces(&all, i / COF_LEAK_KINDS % 6, &l, &s);
		made[kind]++;
		found[kind] += s.hits > 0;
		all_found += s.hits > 0;
		others += s.others;
		if (!s.hits || s.others)
			printf("%s (%s), pieces %u: %u hits, %u others (%s)\n", cof_leak_name(kind), m.how,
			       i / COF_LEAK_KINDS % 6, s.hits, s.others, cof_leak_name(s.other.kind));
		made_done(&m);
	}
	for (unsigned k = 0; k < COF_LEAK_KINDS; k++)
		ck_assert_msg(found[k] * 100 >= made[k] * 99, "%s: %u of %u", cof_leak_name(k), found[k],
			      made[k]);
	ck_assert_uint_ge(all_found * 100, total * 99);
	ck_assert_uint_eq(others, 0);
}
END_TEST

/* One leak of each form, in two writes cut at each byte from before it to behind it: said once, and its place
 * reaches from its first byte to no more than its last. */
START_TEST(cut_everywhere)
{
	enum cof_leak_kind kind = _i;
	struct logs l;

	logs_init(&l, 7 + (unsigned)_i);
	for (unsigned v = 0; v < 12; v++) {
		struct made m;

		made_leak(&l, kind, v, &m);
		for (size_t cut = 1; cut < m.text.len; cut += m.text.len > 600 ? 5 : 1) {
			struct seen s = {.kind = kind, .from = m.at, .to = m.at + m.len};
			struct cof_leak_stream *t;

			ck_assert_int_eq(cof_leak_stream_new(leak_db, 0, NULL, 0, &t), 0);
			feed(t, m.text.data, cut, &s);
			feed(t, m.text.data + cut, m.text.len - cut, &s);
			ck_assert_msg(s.hits == 1 && s.others == 0, "%s (%s) cut at %zu: %u and %u\n%.*s",
				      cof_leak_name(kind), m.how, cut, s.hits, s.others,
				      (int)m.text.len, m.text.data);
			ck_assert_msg(s.last.offset == m.at, "%s (%s) cut at %zu: at %u, not %zu\n%.*s",
				      cof_leak_name(kind), m.how, cut, (unsigned)s.last.offset, m.at,
				      (int)m.text.len, m.text.data);
			ck_assert_uint_le(s.last.len, m.len + 1);
			cof_leak_stream_free(t);
		}
		made_done(&m);
	}
}
END_TEST

struct tally {
	unsigned checked, other;
	enum cof_leak_kind last;
	uint64_t at;
};

static void count(void *user, const struct cof_leak *leak)
{
	struct tally *t = user;

	if (cof_leak_checksummed(leak->kind))
		t->checked++;
	else
		t->other++;
	t->last = leak->kind;
	t->at = leak->offset;
}

/* 50 MB, or 1 GB: none with a checksum, of the others one in 100 MB at most. */
START_TEST(false_positives)
{
	const size_t piece = 1 << 20, total = getenv("COFFER_LONG") ? 1000 : 48;
	cof_autofree char *text = malloc(piece);
	struct cof_leak_stream *t;
	struct tally tally = {0};
	struct logs l;

	logs_init(&l, 2026);
	ck_assert_int_eq(cof_leak_stream_new(leak_db, 0, NULL, 0, &t), 0);
	for (size_t i = 0; i < total; i++) {
		size_t step = i % 2 ? piece : 128;

		logs_fill(&l, text, piece);
		for (size_t at = 0; at < piece; at += step) {
			cof_leak_scan(leak_db, t, text + at, step, count, &tally);
			cof_leak_accept(t, text + at, step);
		}
		ck_assert_msg(tally.checked == 0, "a %s at %llu", cof_leak_name(tally.last),
			      (unsigned long long)tally.at);
	}
	cof_leak_stream_free(t);
	printf("%zu MiB of logs: %u found\n", total, tally.other);
	ck_assert_msg(tally.other <= total / 100, "%u in %zu MB, the last a %s", tally.other, total,
		      cof_leak_name(tally.last));
}
END_TEST

TCase *corpus_case(void)
{
	TCase *t = tcase_create("corpus");

	tcase_set_timeout(t, 14400);
	tcase_add_test(t, recall);
	tcase_add_loop_test(t, cut_everywhere, 0, COF_LEAK_KINDS);
	tcase_add_test(t, false_positives);
	return t;
}
