/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STORE/refusals: what was refused and is in no frame yet, for the next mount after a kill. No part
 * of the format; fixed in size; written with pwrite, not through a mapping: on a disk that fails a
 * mapping would end the daemon with SIGBUS. The page cache outlives the process, so nothing is
 * synced for that. A power cut may lose what came since the last sync, and never makes anything
 * twice: before a frame with a sum is written, the file already says on disk that it is being
 * written (and the log tells whether it was).
 *
 *   0         head, 64 bytes: magic, version, seed, budget, wall clock then, check
 *   4096      kinds, 128 bytes each (none crosses a page), with a check
 *   KNOWN     hashes of names that are listed, 8 bytes each
 *   NAMES     two halves of names that wait: length u16, kind u16, nonce 12, sealed (object, time,
 * name)
 *
 * Numbers, operations and rules are in clear; names are sealed, as they are everywhere on the disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fs/archive/event.h"

#define VERSION 1
#define HEAD 64
#define SLOT 128
#define SLOTS_AT 4096
#define KNOWN_AT (SLOTS_AT + ((COF_KINDS * SLOT + 4095) & ~4095))
#define NAMES_AT (KNOWN_AT + COF_KNOWN_SETS * COF_KNOWN_WAYS * 8)
#define SIZE (NAMES_AT + 2 * COF_NAMES_BYTES)
#define NAME_HEAD (4 + COF_NONCE)

static const char magic[8] = "COFREFU1";
static const char label[] = "coffer/1 refusals";

struct cof_ledger {
	int fd;
	struct cof_aead *aead; /* event lock */
	bool failed;
};

size_t cof_ledger_name_bytes(const struct cof_name *n)
{
	return NAME_HEAD + 16 + strlen(n->path) + COF_TAG;
}

/* ---- writing ---- */

static void put(struct cof_archive *a, const void *p, size_t n, off_t at)
{
	struct cof_ledger *l = a->events->ledger;
	ssize_t r;

	if (!l || l->failed)
		return;
	do
		r = pwrite(l->fd, p, n, at);
	while (r < 0 && errno == EINTR);
	if (r == (ssize_t)n)
		return;
	l->failed = true;
	cof_alarm(
	    a,
	    "%s/refusals cannot be written (%s): refusals are counted in memory from now on, and a "
	    "kill would lose what is not in the log yet.",
	    cof_io_where(a->io), r < 0 ? strerror(errno) : "short write");
}

static void put_tally(uint8_t *p, const struct cof_tally *t)
{
	cof_put_le64(p, t->n);
	cof_put_le64(p + 8, (uint64_t)t->first);
	cof_put_le64(p + 16, (uint64_t)t->last);
}

static void get_tally(const uint8_t *p, struct cof_tally *t)
{
	t->n = cof_get_le64(p);
	t->first = (int64_t)cof_get_le64(p + 8);
	t->last = (int64_t)cof_get_le64(p + 16);
}

/* 0 mount, 4 actor, 8 uid, 12 errno, 16 operation, 32 rule, 64 count, 88 its flight as u32 distance
 * … */
static void encode(const struct cof_refused *k, uint8_t out[SLOT])
{
	memset(out, 0, SLOT);
	if (!k->used)
		return;
	out[0] = 1;
	out[1] = k->key.scope;
	cof_put_le16(out + 2, (uint16_t)-k->error);
	cof_put_le32(out + 4, k->mount);
	cof_put_le32(out + 8, k->key.actor);
	cof_put_le32(out + 12, k->key.uid);
	memcpy(out + 16, k->key.operation, 12);
	memcpy(out + 28, k->key.rule, 32);
	put_tally(out + 60, &k->count);
	put_tally(out + 84, &k->flight);
	cof_put_le64(out + 108, k->flight_from);
	cof_put_le32(out + 124, cof_crc32c(0, out, 124));
}

/* 1: a kind, 0: none, -EUCLEAN. */
static int decode(const uint8_t in[SLOT], struct cof_key *key, struct cof_refused *k)
{
	static const uint8_t none[SLOT];

	if (!memcmp(in, none, SLOT))
		return 0;
	if (cof_crc32c(0, in, 124) != cof_get_le32(in + 124) || in[0] != 1 || in[1] >= COF_SCOPES ||
	    in[59] || in[27])
		return -EUCLEAN;
	key->scope = in[1];
	k->error = -(int)cof_get_le16(in + 2);
	k->mount = cof_get_le32(in + 4);
	key->actor = cof_get_le32(in + 8);
	key->uid = cof_get_le32(in + 12);
	memcpy(key->operation, in + 16, 12);
	memcpy(key->rule, in + 28, 32);
	get_tally(in + 60, &k->count);
	get_tally(in + 84, &k->flight);
	k->flight_from = cof_get_le64(in + 108);
	return 1;
}

void cof_ledger_kind(struct cof_archive *a, uint16_t i)
{
	uint8_t slot[SLOT];

	if (!a->events->ledger)
		return;
	encode(&a->events->kind[i], slot);
	put(a, slot, sizeof(slot), SLOTS_AT + (off_t)i * SLOT);
}

void cof_ledger_known(struct cof_archive *a, unsigned set, unsigned way)
{
	uint8_t p[8];

	cof_put_le64(p, a->events->known[set][way]);
	put(a, p, sizeof(p), KNOWN_AT + ((off_t)set * COF_KNOWN_WAYS + way) * 8);
}

void cof_ledger_all_known(struct cof_archive *a)
{
	put(a, a->events->known, sizeof(a->events->known), KNOWN_AT);
}

void cof_ledger_head(struct cof_archive *a)
{
	struct cof_events *e = a->events;
	uint8_t p[HEAD] = {0};

	memcpy(p, magic, sizeof(magic));
	cof_put_le32(p + 8, VERSION);
	cof_put_le64(p + 16, e->seed);
	cof_put_le64(p + 24, (uint64_t)e->budget);
	cof_put_le64(p + 32, (uint64_t)cof_now(CLOCK_REALTIME));
	cof_put_le32(p + 60, cof_crc32c(0, p, 60));
	put(a, p, sizeof(p), 0);
}

static off_t half_at(unsigned half)
{
	return (off_t)(NAMES_AT + half * COF_NAMES_BYTES);
}

void cof_ledger_clear_names(struct cof_archive *a, unsigned half)
{
	put(a, (uint8_t[2]){0, 0}, 2, half_at(half));
}

/* The two zero bytes behind it end the list. */
void cof_ledger_name(struct cof_archive *a, unsigned half, size_t at, const struct cof_name *n)
{
	struct cof_ledger *l = a->events->ledger;
	uint8_t buf[NAME_HEAD + 16 + COF_REFUSED_NAME + COF_TAG + 2], plain[16 + COF_REFUSED_NAME];
	size_t len = strlen(n->path), bytes = cof_ledger_name_bytes(n);

	if (!l || l->failed || len > COF_REFUSED_NAME)
		return;
	cof_put_le16(buf, (uint16_t)bytes);
	cof_put_le16(buf + 2, n->kind);
	cof_random(buf + 4, COF_NONCE);
	cof_put_le64(plain, n->object);
	cof_put_le64(plain + 8, (uint64_t)n->time);
	memcpy(plain + 16, n->path, len);
	if (cof_aead_seal(l->aead, buf + 4, buf, 4, plain, 16 + len, buf + NAME_HEAD) < 0)
		return; /* the name only; it is counted all the same */
	buf[bytes] = buf[bytes + 1] = 0;
	put(a, buf, bytes + 2, half_at(half) + (off_t)at);
}

void cof_ledger_sync(struct cof_archive *a)
{
	struct cof_ledger *l = a->events->ledger;

	if (!l || l->failed || fdatasync(l->fd) == 0)
		return;
	l->failed = true;
	cof_alarm(a,
		  "%s/refusals cannot be synced (%s): refusals are counted in memory from now on.",
		  cof_io_where(a->io), strerror(errno));
}

/* ---- opening ---- */

static int open_file(struct cof_archive *a)
{
	cof_autofree char *path = NULL;
	struct stat st;
	int fd;

	if (asprintf(&path, "%s/refusals", cof_io_where(a->io)) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_size != SIZE && st.st_size)) {
		/* Another version's, or none of ours. */
		if (!S_ISREG(st.st_mode) || ftruncate(fd, 0) < 0) {
			close(fd);
			return -EUCLEAN;
		}
		st.st_size = 0;
	}
	/* Space that is certain: the counts go on when the disk is full. */
	if (!st.st_size && posix_fallocate(fd, 0, SIZE)) {
		close(fd);
		(void)unlink(path);
		return -ENOSPC;
	}
	return fd;
}

static int make_aead(struct cof_archive *a, struct cof_aead **ret)
{
	cof_autosecret uint8_t *key = cof_secret_alloc(COF_KEY);
	int r = key ? cof_hkdf(a->conf.id, sizeof(a->conf.id), cof_keys_index(a->keys), COF_KEY,
			       label, sizeof(label) - 1, key, COF_KEY)
		    : -ENOMEM;

	return r < 0 ? r : cof_aead_new(key, ret);
}

int cof_ledger_open(struct cof_archive *a, struct cof_ledger **ret, bool *ret_fresh)
{
	struct cof_ledger *l;
	uint8_t head[HEAD];
	int r;

	if (!strcmp(cof_io_name(a->io), "simulated"))
		return -EOPNOTSUPP;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->fd = open_file(a);
	r = l->fd < 0 ? l->fd : make_aead(a, &l->aead);
	if (r < 0) {
		cof_ledger_close(l);
		return r;
	}
	*ret_fresh = pread(l->fd, head, HEAD, 0) != HEAD || memcmp(head, magic, sizeof(magic)) ||
		     cof_get_le32(head + 8) != VERSION ||
		     cof_get_le32(head + 60) != cof_crc32c(0, head, 60);
	*ret = l;
	return 0;
}

void cof_ledger_close(struct cof_ledger *l)
{
	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	cof_aead_free(l->aead);
	free(l);
}

/* ---- loading ---- */

static int load_head(struct cof_events *e)
{
	uint8_t p[HEAD];
	int64_t passed;

	if (pread(e->ledger->fd, p, HEAD, 0) != HEAD)
		return -EIO;
	passed = cof_now(CLOCK_REALTIME) - (int64_t)cof_get_le64(p + 32);
	e->seed = cof_get_le64(p + 16);
	e->budget = (int64_t)cof_get_le64(p + 24);
	if (passed > 0)
		e->budget += COF_MIN(passed / COF_NSEC, 86400) * COF_BUDGET_SECOND;
	if (e->budget < 0 || e->budget > COF_BUDGET)
		e->budget = COF_BUDGET;
	return 0;
}

static int load_kinds(struct cof_events *e, unsigned *ret_damaged)
{
	cof_autofree uint8_t *p = malloc((size_t)COF_KINDS * SLOT);

	if (!p)
		return -ENOMEM;
	if (pread(e->ledger->fd, p, (size_t)COF_KINDS * SLOT, SLOTS_AT) != COF_KINDS * SLOT)
		return -EIO;
	for (uint16_t i = 0; i < COF_KINDS; i++) {
		struct cof_key key = {0};
		struct cof_refused from = {0}, *k;
		int r = decode(p + (size_t)i * SLOT, &key, &from);

		if (r < 0)
			(*ret_damaged)++;
		if (r <= 0)
			continue;
		k = cof_kind_put(e, i, &key);
		k->mount = from.mount;
		k->error = from.error;
		k->count = from.count;
		k->flight = from.flight;
		k->flight_from = from.flight_from;
	}
	return 0;
}

/* What ends it early is what was being written when the process was killed: not acknowledged. */
static void load_names(struct cof_events *e, const uint8_t *p)
{
	size_t at = 0;

	while (at + 2 <= COF_NAMES_BYTES) {
		size_t bytes = cof_get_le16(p + at), n = bytes - NAME_HEAD - COF_TAG;
		uint8_t plain[16 + COF_REFUSED_NAME + 1];
		struct cof_refused *k;
		char *path;

		if (bytes < NAME_HEAD + 16 + COF_TAG || n > 16 + COF_REFUSED_NAME ||
		    bytes > COF_NAMES_BYTES - at ||
		    cof_aead_open(e->ledger->aead, p + at + 4, p + at, 4, p + at + NAME_HEAD, n,
				  plain) < 0)
			return;
		plain[n] = 0;
		k = cof_get_le16(p + at + 2) < COF_KINDS ? &e->kind[cof_get_le16(p + at + 2)]
							 : NULL;
		path = k && k->used ? strdup((char *)plain + 16) : NULL;
		if (path && !cof_name_wait(e, k, cof_get_le64(plain),
					   (int64_t)cof_get_le64(plain + 8), path))
			free(path);
		at += bytes;
	}
}

static int load_halves(struct cof_events *e)
{
	cof_autofree uint8_t *p = malloc(COF_NAMES_BYTES);

	if (!p)
		return -ENOMEM;
	for (unsigned half = 0; half < 2; half++) {
		if (pread(e->ledger->fd, p, COF_NAMES_BYTES, half_at(half)) !=
		    (ssize_t)COF_NAMES_BYTES)
			return -EIO;
		load_names(e, p);
	}
	return 0;
}

int cof_ledger_load(struct cof_archive *a, unsigned *ret_damaged)
{
	struct cof_events *e = a->events;
	int r = load_head(e);

	if (r == 0)
		r = load_kinds(e, ret_damaged);
	if (r == 0)
		r = load_halves(e);
	if (r == 0 &&
	    pread(e->ledger->fd, e->known, sizeof(e->known), KNOWN_AT) != sizeof(e->known))
		r = -EIO;
	return r;
}
