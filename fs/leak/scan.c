/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: what is appended, put into windows for the sieve.
 *
 * A small append is copied behind the last bytes of the file and scanned there, from where the last scan
 * left something open. A large one takes two windows: the last bytes with the beginning of the
 * append, for what begins in them, and the append where it lies, for all else. Both windows see BACK bytes
 * before what they judge.
 */
#include "fs/leak/internal.h"

#define ROOM (COF_LEAK_STREAM - sizeof(uint64_t) - 4 * sizeof(uint32_t) - 2 * sizeof(struct recent))

struct cof_leak_stream {
	uint64_t end; /* size of the file */
	uint32_t len; /* bytes of it in tail: its last ones */
	uint32_t resume; /* in tail: the next scan begins here */
	/* of the last scan, in force once it is accepted */
	uint32_t next_resume; /* bytes before the end */
	uint32_t unused;
	struct recent recent, next_recent;
	uint8_t tail[ROOM];
};
_Static_assert(sizeof(struct cof_leak_stream) == COF_LEAK_STREAM, "a stream is of this size");
/* What begins less than BACK bytes into a large append has COF_LEAK_TAIL bytes, too. */
_Static_assert(ROOM >= 2 * COF_LEAK_TAIL + BACK, "the first window reaches far enough");

static const struct {
	const char *name;
	bool checksummed;
} kinds[COF_LEAK_KINDS] = {
    [COF_LEAK_PEM] = {"pem", false},	   [COF_LEAK_PEM_ENCRYPTED] = {"pem-encrypted", false},
    [COF_LEAK_OPENSSH] = {"openssh", false}, [COF_LEAK_PGP] = {"pgp", false},
    [COF_LEAK_GCP] = {"gcp", false},	   [COF_LEAK_DER] = {"der", false},
    [COF_LEAK_BIP39] = {"bip39", true},	   [COF_LEAK_SLIP39] = {"slip39", true},
    [COF_LEAK_BIP32] = {"bip32", true},	   [COF_LEAK_WIF] = {"wif", true},
    [COF_LEAK_AGE] = {"age", true},	   [COF_LEAK_RAW] = {"raw", false},
    [COF_LEAK_AWS] = {"aws", false},	   [COF_LEAK_GITHUB] = {"github", false},
    [COF_LEAK_GITLAB] = {"gitlab", false}, [COF_LEAK_SLACK] = {"slack", false},
    [COF_LEAK_STRIPE] = {"stripe", false}, [COF_LEAK_TELEGRAM] = {"telegram", false},
    [COF_LEAK_DISCORD] = {"discord", false}, [COF_LEAK_JWT] = {"jwt", false},
};

const char *cof_leak_name(enum cof_leak_kind kind)
{
	return kinds[kind].name;
}

bool cof_leak_checksummed(enum cof_leak_kind kind)
{
	return kinds[kind].checksummed;
}

/* Whether the two overlap; what only looks like a key, or fits by four bits, does not hide what is one. */
static bool hidden(const struct recent *r, unsigned i, enum cof_leak_kind kind, uint64_t from, uint64_t to)
{
	if (kind != r->kind[i] && (r->kind[i] == COF_LEAK_RAW || kind == COF_LEAK_SLIP39))
		return false;
	return from < r->end[i] && to > r->end[i] - r->len[i];
}

bool cof_leak_settled(const struct scan *s, size_t end)
{
	size_t known = s->settled > s->base ? COF_MIN(s->settled - s->base, s->n) : 0;

	return end < known && memchr(s->p + end, '\n', known - end);
}

void cof_leak_found(struct scan *s, enum cof_leak_kind kind, size_t at, size_t len)
{
	struct cof_leak leak = {kind, s->base + at, (uint32_t)COF_MIN(len, s->n - at), at + len >= s->n};
	struct recent *r = s->recent;

	for (unsigned i = 0; i < RECENT; i++)
		if (hidden(r, i, kind, leak.offset, leak.offset + len))
			return;
	r->end[r->next] = leak.offset + len;
	r->len[r->next] = (uint32_t)len;
	r->kind[r->next] = (uint8_t)kind;
	r->next = (r->next + 1) % RECENT;
	s->found++;
	if (s->fn)
		s->fn(s->user, &leak);
}

/* ---- streams ---- */

int cof_leak_stream_new(const struct cof_leak_db *db, uint64_t offset, const void *tail, size_t n,
			struct cof_leak_stream **ret)
{
	struct cof_leak_stream *s = calloc(1, sizeof(*s));
	size_t used = COF_MIN(COF_MIN(n, COF_LEAK_TAIL), offset);

	if (!s)
		return -ENOMEM;
	s->end = offset - used;
	if (used) {
		const uint8_t *last = (const uint8_t *)tail + n - used;

		cof_leak_scan(db, s, last, used, NULL, NULL);
		cof_leak_accept(s, last, used);
	}
	*ret = s;
	return 0;
}

void cof_leak_stream_free(struct cof_leak_stream *s)
{
	if (!s)
		return;
	explicit_bzero(s, sizeof(*s));
	free(s);
}

/* Keeps the last bytes only. What was left open before them is given up. */
static void shorten(struct cof_leak_stream *s)
{
	uint32_t cut = s->len > COF_LEAK_TAIL ? s->len - COF_LEAK_TAIL : 0;

	memmove(s->tail, s->tail + cut, s->len - cut);
	explicit_bzero(s->tail + (s->len - cut), cut);
	s->len -= cut;
	s->resume -= COF_MIN(s->resume, cut);
}

static unsigned scan_small(const struct cof_leak_db *db, struct cof_leak_stream *s, const void *p,
			   size_t n, cof_leak_fn fn, void *user)
{
	struct scan w = {.db = db, .p = s->tail, .last = true, .settled = s->end,
			 .recent = &s->next_recent, .fn = fn, .user = user};

	if (n > 0)
		memcpy(s->tail + s->len, p, n);
	w.n = w.hi = s->len + n;
	w.base = s->end - s->len;
	cof_leak_sieve(&w, s->resume);
	s->next_resume = (uint32_t)(w.n - w.resume);
	return w.found;
}

static unsigned scan_large(const struct cof_leak_db *db, struct cof_leak_stream *s, const void *p,
			   size_t n, cof_leak_fn fn, void *user)
{
	struct scan w = {.db = db, .p = s->tail, .settled = s->end, .recent = &s->next_recent, .fn = fn,
			 .user = user};

	memcpy(s->tail + s->len, p, ROOM - s->len);
	w.n = ROOM;
	w.hi = s->len + BACK;
	w.base = s->end - s->len;
	cof_leak_sieve(&w, s->resume);
	explicit_bzero(s->tail + s->len, ROOM - s->len);

	w.p = p;
	w.n = w.hi = n;
	w.lo = BACK;
	w.base = s->end;
	w.last = true;
	cof_leak_sieve(&w, BACK);
	s->next_resume = (uint32_t)COF_MIN(n - w.resume, COF_LEAK_TAIL);
	return w.found;
}

unsigned cof_leak_scan(const struct cof_leak_db *db, struct cof_leak_stream *s, const void *p, size_t n,
		       cof_leak_fn fn, void *user)
{
	s->next_recent = s->recent;
	if (n > ROOM - s->len)
		shorten(s);
	if (n > ROOM - s->len)
		return scan_large(db, s, p, n, fn, user);
	return scan_small(db, s, p, n, fn, user);
}

void cof_leak_accept(struct cof_leak_stream *s, const void *p, size_t n)
{
	if (n > ROOM - s->len) {
		memcpy(s->tail, (const uint8_t *)p + n - COF_LEAK_TAIL, COF_LEAK_TAIL);
		s->len = COF_LEAK_TAIL;
	} else { /* the scan copied them */
		s->len += (uint32_t)n;
	}
	s->end += n;
	s->resume = s->len - COF_MIN(s->next_resume, s->len);
	s->recent = s->next_recent;
}
