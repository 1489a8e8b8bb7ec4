/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs of time: what STAMP and COSIGN frames say, and which of them bound a frame. Tokens that were checked against
 * a trusted certificate, and cosignatures, are in the index as the stretches of an inode that no file has: each reaches
 * from the sequence of the proof before to its own; cosignatures of vaults in other places are so once more. So the proof before a frame and those behind it are found by
 * sequence, however many there are. Claimed ones bound nothing; the newest is kept to be shown.
 */
#include "fs/archive/evidence.h"

#include <stdio.h>

#define PROOFS (UINT64_C(1) << 63) /* above all inode numbers */
#define ELSEWHERE (PROOFS + 1)
#define CLAIMED "claimed"
#define AT_ONCE 8
#define MOST_BEHIND 4096 /* proofs behind a frame that do not cover it: nobody makes so many */

/* ---- what a frame says ---- */

static int read_vault(const void *fields, size_t n, struct cof_proof *p)
{
	struct cof_field field;
	struct cof_vkey vkey;
	char text[COF_VKEY_MAX];
	uint32_t elsewhere = 0;
	int r = cof_field_find(fields, n, COF_T_VAULT, &field);

	if (r < 0 || field.len >= sizeof(text))
		return -EUCLEAN;
	memcpy(text, field.value, field.len);
	text[field.len] = 0;
	if (cof_vkey_parse(text, &vkey) < 0)
		return -EUCLEAN;
	(void)cof_field_u32(fields, n, COF_T_ELSEWHERE, &elsewhere);
	p->vault = p->trusted = true;
	p->elsewhere = elsewhere == 1;
	p->accuracy = COF_COSIGN_ACCURACY;
	memcpy(p->anchor, vkey.public_key, sizeof(p->anchor));
	snprintf(p->authority, sizeof(p->authority), "%s", vkey.name);
	return 0;
}

static int read_stamp(const void *fields, size_t n, struct cof_proof *p)
{
	struct cof_field serial, authority;
	int r;

	if (cof_field_i64(fields, n, COF_T_ACCURACY, &p->accuracy) < 0 || p->accuracy < 0 ||
	    cof_field_find(fields, n, COF_T_SERIAL, &serial) < 0 || serial.len > sizeof(p->serial) ||
	    cof_field_find(fields, n, COF_T_AUTHORITY, &authority) < 0 || authority.len >= sizeof(p->authority))
		return -EUCLEAN;
	memcpy(p->serial, serial.value, serial.len);
	p->serial_len = serial.len;
	memcpy(p->authority, authority.value, authority.len);
	r = cof_field_bytes(fields, n, COF_T_TRUSTED, p->anchor, sizeof(p->anchor));
	p->trusted = r == 0;
	return r == -ENOENT ? 0 : r;
}

int cof_proof_read(const struct cof_frame *f, uint64_t address, const void *fields, size_t n,
		   struct cof_proof *ret)
{
	struct cof_proof p = {.sequence = f->sequence, .address = address, .covers = f->position};
	int r;

	if ((f->type != COF_STAMP && f->type != COF_COSIGN) || f->position > f->sequence ||
	    cof_field_i64(fields, n, COF_T_PROOF_TIME, &p.time) < 0)
		return -EUCLEAN;
	r = f->type == COF_COSIGN ? read_vault(fields, n, &p) : read_stamp(fields, n, &p);
	if (r == 0)
		*ret = p;
	return r;
}

static int load(struct cof_archive *a, uint64_t address, struct cof_proof *ret)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_frame f;
	int r = cof_reader_header(a->reader, address, &f, NULL, NULL);

	if (r == 0)
		r = f.type == COF_STAMP || f.type == COF_COSIGN ? 0 : -EUCLEAN;
	if (r == 0)
		r = cof_frame_read(a->reader, NULL, a->conf.id, address, &f, &fields, NULL);
	if (r == 0)
		r = cof_proof_read(&f, address, fields.data, fields.len, ret);
	return r;
}

/* Of a stretch: read once, then from memory while others do not push it out. */
static int get(struct cof_archive *a, const struct cof_stretch *s, struct cof_proof *ret)
{
	struct cof_proofs *all = &a->proofs;
	bool there = false;
	int r;

	pthread_mutex_lock(&all->lock);
	for (unsigned i = 0; i < COF_PROOFS_KEPT && !there; i++) {
		there = all->kept[i].sequence == s->sequence && all->kept[i].address == s->address;
		if (there)
			*ret = all->kept[i];
	}
	pthread_mutex_unlock(&all->lock);
	if (there)
		return 0;
	r = load(a, s->address, ret);
	if (r == -EUCLEAN || r == -ENODATA || (r == 0 && ret->sequence != s->sequence))
		return -COF_EINDEX;
	if (r < 0)
		return r;
	pthread_mutex_lock(&all->lock);
	all->kept[all->next++ % COF_PROOFS_KEPT] = *ret;
	pthread_mutex_unlock(&all->lock);
	return 0;
}

/* ---- the index ---- */

static int put_stretch(struct cof_archive *a, uint64_t object, const struct cof_proof *p)
{
	struct cof_stretch s = {.address = p->address, .sequence = p->sequence};
	int r = cof_index_end(a->ix, COF_INDEX_NOW, object, &s.position);

	if (r < 0 || s.position >= p->sequence) /* is there already */
		return r;
	s.length = p->sequence - s.position;
	return cof_index_add_stretch(a->ix, object, &s);
}

static int put(struct cof_archive *a, const struct cof_proof *p)
{
	uint8_t where[16];
	int r;

	cof_put_le64(where, p->address);
	cof_put_le64(where + 8, p->sequence);
	if (!p->trusted)
		return cof_index_put_value(a->ix, p->sequence, PROOFS, CLAIMED, where, sizeof(where));
	r = put_stretch(a, PROOFS, p);
	return r == 0 && p->elsewhere ? put_stretch(a, ELSEWHERE, p) : r;
}

int cof_proof_apply(struct cof_archive *a, const struct cof_proof *p)
{
	struct cof_proofs *all = &a->proofs;
	struct cof_proof *newest = p->trusted ? &all->newest : &all->claimed;
	int r = put(a, p);

	pthread_mutex_lock(&all->lock);
	if (r == 0 && p->sequence >= newest->sequence)
		*newest = *p;
	if (r == 0 && p->elsewhere && p->covers >= all->elsewhere.covers)
		all->elsewhere = *p;
	pthread_mutex_unlock(&all->lock);
	return r;
}

/* The stretch of the proof with this sequence, or of the first behind it. *ret_n 0: none. */
static int find(struct cof_archive *a, uint64_t object, uint64_t sequence, struct cof_stretch *ret, size_t max, size_t *ret_n)
{
	*ret_n = 0;
	return cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, object, sequence, ret, max, ret_n));
}

/* From the end on, the newest first; fn: 1: that is enough. */
static int backwards(struct cof_archive *a, uint64_t object, unsigned most, int (*fn)(void *user, const struct cof_proof *p),
		     void *user)
{
	struct cof_proof p = {.time = 0};
	struct cof_stretch s;
	uint64_t end = 0;
	size_t n = 1;
	int r = cof_index_end(a->ix, COF_INDEX_NOW, object, &end);

	for (unsigned i = 0; r == 0 && end && i < most; i++) {
		r = find(a, object, end - 1, &s, 1, &n);
		if (r < 0 || !n)
			break;
		r = get(a, &s, &p);
		if (r == 0)
			r = fn(user, &p);
		end = s.position;
	}
	return r < 0 ? r : 0;
}

int cof_proofs_newest(struct cof_archive *a, int (*fn)(void *user, const struct cof_proof *p), void *user)
{
	return backwards(a, PROOFS, COF_PROOFS_KEPT, fn, user);
}

static int take_newest(void *user, const struct cof_proof *p)
{
	*(struct cof_proof *)user = *p;
	return 1;
}

/* Two vaults take turns: the one that covers most. */
static int take_most(void *user, const struct cof_proof *p)
{
	struct cof_proof *most = user;

	if (p->covers > most->covers)
		*most = *p;
	return 0;
}

int cof_proofs_load(struct cof_archive *a)
{
	cof_autobuf struct cof_buf where = {0};
	struct cof_proof p = {0};
	int r = backwards(a, PROOFS, 1, take_newest, &p);

	if (r == 0 && p.sequence) {
		a->proofs.newest = p;
		cof_clock_proven(&a->clock, cof_proof_from(&p), cof_proof_to(&p), INT64_MIN, 0);
		r = backwards(a, ELSEWHERE, AT_ONCE, take_most, &a->proofs.elsewhere);
	}
	/* What is damaged there is found by who asks, and by verify. */
	if (cof_index_get_value(a->ix, COF_INDEX_NOW, PROOFS, CLAIMED, &where) == 0 && where.len == 16 &&
	    load(a, cof_get_le64(where.data), &p) == 0 && p.sequence == cof_get_le64(where.data + 8))
		a->proofs.claimed = p;
	return r == -ENOMEM ? r : 0;
}

/* ---- asking ---- */

static int before(struct cof_archive *a, uint64_t sequence, struct cof_proof *ret)
{
	struct cof_stretch s;
	size_t n;
	int r = find(a, PROOFS, sequence - 1, &s, 1, &n);

	if (r == 0 && (!n || s.sequence != sequence))
		r = cof_ix(a, -EUCLEAN);
	return r == 0 ? get(a, &s, ret) : r;
}

/* The first that covers a frame, of those that stand behind it; *ret_before: the one before it. 1: there is one. */
static int covering(struct cof_archive *a, uint64_t object, uint64_t sequence, uint64_t *ret_before, struct cof_proof *ret)
{
	struct cof_stretch s[AT_ONCE];
	uint64_t at = sequence;
	size_t n, seen = 0;
	int r = find(a, object, at, s, AT_ONCE, &n);

	if (r == 0 && n)
		*ret_before = s[0].position;
	while (r == 0 && n && seen < MOST_BEHIND) {
		for (size_t i = 0; i < n && r == 0; i++) {
			r = get(a, &s[i], ret);
			if (r == 0 && ret->covers > sequence)
				return 1;
		}
		seen += n;
		at = s[n - 1].position + s[n - 1].length;
		if (r == 0)
			r = find(a, object, at, s, AT_ONCE, &n);
	}
	return r;
}

#define HAS_BEFORE 1
#define HAS_AFTER 2

/* The last one before a frame and the first that covers it; which of them there are, and only those are set. */
static int around(struct cof_archive *a, uint64_t sequence, struct cof_proof *ret_before, struct cof_proof *ret_after)
{
	struct cof_proof p = {.time = 0};
	uint64_t first;
	int r, has = 0;

	pthread_mutex_lock(&a->proofs.lock);
	first = a->proofs.newest.sequence;
	pthread_mutex_unlock(&a->proofs.lock);
	if (!first)
		return 0;
	r = covering(a, PROOFS, sequence, &first, &p);
	if (r > 0) {
		*ret_after = p;
		has |= HAS_AFTER;
	}
	if (r >= 0 && first) {
		r = before(a, first, ret_before);
		has |= HAS_BEFORE;
	}
	return r < 0 ? r : has;
}

int cof_proof_span(struct cof_archive *a, uint64_t sequence, struct cof_span *ret)
{
	struct cof_proof from = {.time = 0}, to = {.time = 0};
	int has = around(a, sequence, &from, &to);

	*ret = (struct cof_span){INT64_MIN, INT64_MAX};
	if (has < 0)
		return has;
	if (has & HAS_BEFORE)
		ret->from = cof_proof_from(&from);
	if (has & HAS_AFTER)
		ret->to = cof_proof_to(&to);
	return 0;
}

int cof_proof_around(struct cof_archive *a, uint64_t sequence, struct cof_proof *ret_before, struct cof_proof *after)
{
	int r = around(a, sequence, ret_before, after);

	return r < 0 ? r : 0;
}

int cof_archived_at(struct cof_archive *a, uint64_t sequence, int64_t *ret)
{
	struct cof_proof p = {.time = 0};
	uint64_t ignored;
	int r;

	*ret = INT64_MAX;
	r = covering(a, ELSEWHERE, sequence, &ignored, &p);
	if (r > 0)
		*ret = p.time;
	return r < 0 ? r : 0;
}

int cof_archive_span(struct cof_archive *a, uint64_t sequence, struct cof_span *ret)
{
	int r;

	COF_GATED(a, r, cof_proof_span(a, sequence, ret));
	return r;
}

void cof_proof_json(const struct cof_proof *p, struct cof_json *into, const char *key)
{
	struct cof_json *o = cof_json_object();
	char hex[2 * 64 + 1];

	cof_json_set_str(o, "kind", p->vault ? "cosignature" : "rfc3161");
	cof_json_set_uint(o, "sequence", p->sequence);
	cof_json_set_uint(o, "covers", p->covers);
	cof_json_set_time(o, "time", p->time);
	cof_json_set_int(o, "accuracy_ms", p->accuracy / 1000000);
	cof_json_set_str(o, "authority", p->authority);
	cof_hex(p->serial, p->serial_len, hex);
	if (!p->vault)
		cof_json_set_str(o, "serial", hex);
	if (p->trusted && !p->vault) {
		cof_hex(p->anchor, sizeof(p->anchor), hex);
		cof_json_set_str(o, "trusted", hex);
	}
	cof_json_set(into, key, o);
}
