/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time stamps: what is stamped is SHA-256 of the newest checkpoint's note. A query and its answer may lie
 * days apart, on hosts without a network, so STORE/stamps keeps the notes and nonces of the last queries
 * (fields, one outer field for each; no part of the format: without it the answer to an old query finds
 * nothing to belong to). A note that was altered there is not signed by the log, and is refused.
 */
#include "fs/archive/internal.h"

#define FILE_NAME "stamps"
#define KEPT 16
#define FILE_MAX (KEPT * (COF_NOTE_MAX + 128))

enum { TAG_QUERY = 1, TAG_NOTE, TAG_NONCE, TAG_BOOT_ID, TAG_BOOT_TIME };

struct query { /* into the file's bytes */
	struct cof_field whole, note;
	uint8_t nonce[COF_STAMP_NONCE];
	uint8_t boot_id[16];
	int64_t boot_time;
};

/* ---- STORE/stamps ---- */

static int parse(const struct cof_field *f, struct query *ret)
{
	*ret = (struct query){.whole = *f};
	if (f->tag != TAG_QUERY || cof_field_find(f->value, f->len, TAG_NOTE, &ret->note) < 0 ||
	    cof_field_bytes(f->value, f->len, TAG_NONCE, ret->nonce, sizeof(ret->nonce)) < 0 ||
	    cof_field_bytes(f->value, f->len, TAG_BOOT_ID, ret->boot_id, sizeof(ret->boot_id)) < 0 ||
	    cof_field_i64(f->value, f->len, TAG_BOOT_TIME, &ret->boot_time) < 0)
		return -EUCLEAN;
	return 0;
}

/* What is there and can be read; the oldest first. *ret_data is the caller's. */
static size_t load(struct cof_io *io, uint8_t **ret_data, struct query ret[KEPT])
{
	struct cof_field f;
	size_t n = 0, off = 0, count = 0;

	if (cof_io_load(io, FILE_NAME, FILE_MAX, ret_data, &n) < 0)
		return 0;
	while (count < KEPT && cof_field_next(*ret_data, n, &off, &f) == 1)
		if (parse(&f, &ret[count]) == 0)
			count++;
	return count;
}

unsigned cof_stamps_pending(struct cof_io *io)
{
	cof_autofree struct query *q = calloc(KEPT, sizeof(*q));
	cof_autofree uint8_t *data = NULL;

	return q ? (unsigned)load(io, &data, q) : 0;
}

static void keep(struct cof_buf *b, const struct query *q, size_t from, size_t n, size_t without)
{
	for (size_t i = from; i < n; i++)
		if (i != without)
			cof_field_put(b, TAG_QUERY, q[i].whole.value, q[i].whole.len);
}

static int save(struct cof_io *io, const struct cof_buf *b)
{
	if (b->failed)
		return -ENOMEM;
	return cof_io_replace(io, FILE_NAME, b->data ? b->data : (const uint8_t *)"", b->len);
}

/* ---- asking ---- */

static int add_query(struct cof_archive *a, const void *note, size_t n, const uint8_t nonce[COF_STAMP_NONCE])
{
	cof_autofree struct query *q = calloc(KEPT, sizeof(*q));
	cof_autobuf struct cof_buf one = {0}, all = {0};
	cof_autofree uint8_t *data = NULL;
	size_t count;

	if (!q)
		return -ENOMEM;
	count = load(a->io, &data, q);
	cof_field_put(&one, TAG_NOTE, note, n);
	cof_field_put(&one, TAG_NONCE, nonce, COF_STAMP_NONCE);
	cof_field_put(&one, TAG_BOOT_ID, a->clock.boot_id, sizeof(a->clock.boot_id));
	cof_field_put_i64(&one, TAG_BOOT_TIME, cof_now(CLOCK_BOOTTIME));
	keep(&all, q, count == KEPT, count, SIZE_MAX); /* the oldest makes room */
	cof_field_put(&all, TAG_QUERY, one.data, one.len);
	return one.failed ? -ENOMEM : save(a->io, &all);
}

static int newest_note(struct cof_archive *a, uint8_t **ret, size_t *ret_n, struct cof_checkpoint *cp)
{
	int r = cof_io_load(a->io, "checkpoint", COF_NOTE_MAX, ret, ret_n);

	return r < 0 ? r : cof_checkpoint_open(*ret, *ret_n, &a->conf.vkey, cp);
}

static int not_writable(struct cof_archive *a, struct cof_diag *diag)
{
	if (a->log && !atomic_load(&a->failed) && a->mount)
		return 0;
	return cof_fail(diag, -EROFS,
			"nothing can be recorded in this archive as it is: find out what is wrong (coffer "
			"status, coffer verify), then mount it again");
}

static int make_query(struct cof_archive *a, struct cof_buf *ret, struct cof_diag *diag)
{
	uint8_t nonce[COF_STAMP_NONCE], imprint[COF_HASH];
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint cp;
	size_t n = 0;
	int r = cof_archive_checkpoint(a);

	if (r == 0)
		r = newest_note(a, &note, &n, &cp);
	if (r < 0)
		return cof_fail(diag, r, "%s: there is no checkpoint that could be stamped: %s",
				cof_io_where(a->io), strerror(-r));
	cof_random(nonce, sizeof(nonce));
	nonce[0] |= 0x80; /* of full length: a number's leading zeros are not told */
	cof_sha256(note, n, imprint);
	r = cof_stamp_query(imprint, nonce, ret);
	if (r == 0)
		r = add_query(a, note, n, nonce);
	return r < 0 ? cof_fail(diag, r, "%s/" FILE_NAME " cannot be written: %s", cof_io_where(a->io),
				strerror(-r))
		     : 0;
}

int cof_archive_stamp_query(struct cof_archive *a, struct cof_buf *ret, struct cof_diag *diag)
{
	int r = not_writable(a, diag);

	if (r < 0)
		return r;
	pthread_mutex_lock(&a->stamp_lock);
	r = make_query(a, ret, diag);
	pthread_mutex_unlock(&a->stamp_lock);
	return r;
}

/* ---- the answer ---- */

struct answer {
	const uint8_t *token;
	size_t len;
	struct cof_stamp stamp;
	struct query *query; /* KEPT of them */
	uint8_t *data, *newest;
	size_t queries, mine; /* mine: which of them; queries: none */
	const void *note;
	size_t note_len;
	struct cof_checkpoint checkpoint;
};

static void answer_done(struct answer *w)
{
	free(w->query);
	free(w->data);
	free(w->newest);
}

static bool stamps(const struct answer *w, const void *note, size_t n)
{
	uint8_t hash[COF_HASH];

	cof_sha256(note, n, hash);
	return !memcmp(hash, w->stamp.imprint, COF_HASH);
}

static bool has_nonce(const struct answer *w, size_t query)
{
	return w->stamp.nonce_len == COF_STAMP_NONCE &&
	       !memcmp(w->stamp.nonce, w->query[query].nonce, COF_STAMP_NONCE);
}

/* Which note the token is for: of a query, else the newest checkpoint, which anybody may have had stamped. */
static int find_note(struct cof_archive *a, struct answer *w, struct cof_diag *diag)
{
	size_t n = 0;

	w->query = calloc(KEPT, sizeof(*w->query));
	if (!w->query)
		return -ENOMEM;
	w->queries = load(a->io, &w->data, w->query);
	for (size_t i = 0, mine = w->queries; i < w->queries; i++) {
		const struct cof_field *note = &w->query[i].note;

		/* Several queries may be for one checkpoint: the nonce tells which it answers. */
		if (!stamps(w, note->value, note->len) || (mine < w->queries && !has_nonce(w, i)))
			continue;
		w->mine = mine = i;
		w->note = note->value;
		w->note_len = note->len;
	}
	if (w->note)
		return 0;
	w->mine = w->queries;
	if (newest_note(a, &w->newest, &n, &w->checkpoint) == 0 && stamps(w, w->newest, n)) {
		w->note = w->newest;
		w->note_len = n;
		return 0;
	}
	return cof_fail(diag, -EXDEV,
			"the token is for none of the checkpoints that this archive asked to have stamped: it "
			"belongs to another archive, or %d queries were made since; make a new one (coffer clock "
			"--stamp-request FILE)",
			KEPT);
}

static int check_note(struct cof_archive *a, struct answer *w, struct cof_diag *diag)
{
	int r = cof_checkpoint_open(w->note, w->note_len, &a->conf.vkey, &w->checkpoint);

	if (r < 0 || w->checkpoint.size > cof_archive_frames(a))
		return cof_fail(diag, -EBADMSG,
				"%s/" FILE_NAME " was altered: the note that this token stamps is not a "
				"checkpoint of this log",
				cof_io_where(a->io));
	if (w->mine < w->queries && !has_nonce(w, w->mine))
		return cof_fail(diag, -EBADMSG,
				"the token does not carry the nonce of the query: it answers another one, "
				"perhaps an older one that was sent again");
	return 0;
}

static bool is_that(const struct cof_stamp *s, const struct cof_proof *p)
{
	return p->sequence && p->time == s->time && p->serial_len == s->serial_len &&
	       !memcmp(p->serial, s->serial, s->serial_len) && !strcmp(p->authority, s->authority);
}

/* A token, claimed ones too, that is dated before what is proven to have been earlier; or that is there. */
static int check_order(struct cof_archive *a, const struct cof_stamp *s, struct cof_diag *diag)
{
	struct cof_proof newest, claimed;
	char mine[32], there[32];

	pthread_mutex_lock(&a->proofs.lock);
	newest = a->proofs.newest;
	claimed = a->proofs.claimed;
	pthread_mutex_unlock(&a->proofs.lock);
	if (is_that(s, &newest) || (!s->trusted && is_that(s, &claimed))) /* a claimed one may become a proof */
		return cof_fail(diag, -EEXIST, "this token is in the chain already (frame %llu)",
				(unsigned long long)(is_that(s, &newest) ? newest.sequence : claimed.sequence));
	if (!newest.sequence || s->time + s->accuracy >= cof_proof_from(&newest))
		return 0;
	cof_time_text(s->time, mine);
	cof_time_text(newest.time, there);
	return cof_fail(diag, -ESTALE,
			"the token is dated %s, before the newest proof in the chain (%s, frame %llu, by %s): one "
			"of the two authorities' clocks is wrong, or this token was made before",
			mine, there, (unsigned long long)newest.sequence, newest.authority);
}

static int put_frame(struct cof_archive *a, const struct cof_who *who, const struct answer *w,
		     uint64_t *ret_sequence)
{
	static const struct cof_applied nothing;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_STAMP, .position = w->checkpoint.size, .system = true};
	const struct cof_stamp *s = &w->stamp;
	struct cof_append done;
	int r;

	cof_field_put(&fields, COF_T_NOTE, w->note, w->note_len);
	cof_field_put(&fields, COF_T_TOKEN, w->token, w->len);
	cof_field_put_i64(&fields, COF_T_PROOF_TIME, s->time);
	cof_field_put_i64(&fields, COF_T_ACCURACY, s->accuracy);
	cof_field_put(&fields, COF_T_SERIAL, s->serial, s->serial_len);
	cof_field_put_str(&fields, COF_T_AUTHORITY, s->authority);
	if (s->trusted)
		cof_field_put(&fields, COF_T_TRUSTED, s->anchor, sizeof(s->anchor));
	if (fields.failed)
		return -ENOMEM;
	d.public_part = fields.data;
	d.public_len = (uint32_t)fields.len;
	cof_gate_enter(a);
	r = cof_actor_use(a, who, true, &d.actor);
	if (r == 0)
		r = cof_archive_put(a, &d, &nothing, &done);
	cof_gate_leave(a);
	if (r == 0)
		r = cof_log_sync(a->log, done.ret_sequence);
	if (r == 0)
		*ret_sequence = done.ret_sequence;
	return r;
}

/* The clock knows better now, if the query was made in this boot; and the query is answered. */
static void settle(struct cof_archive *a, const struct answer *w)
{
	const struct query *q = w->mine < w->queries ? &w->query[w->mine] : NULL;
	cof_autobuf struct cof_buf left = {0};
	const struct cof_stamp *s = &w->stamp;
	bool same_boot = q && !memcmp(q->boot_id, a->clock.boot_id, sizeof(q->boot_id));

	if (s->trusted)
		cof_clock_proven(&a->clock, s->time - s->accuracy, s->time + s->accuracy,
				 same_boot ? q->boot_time : INT64_MIN, cof_now(CLOCK_BOOTTIME));
	if (!q)
		return;
	keep(&left, w->query, 0, w->queries, w->mine);
	(void)save(a->io, &left); /* else it may be answered twice, which does no harm */
}

static int take_answer(struct cof_archive *a, const struct cof_who *who, struct answer *w, const void *ca,
		       size_t ca_len, uint64_t *ret_sequence, struct cof_diag *diag)
{
	int r = cof_stamp_open(w->token, w->len, ca, ca_len, &w->stamp, diag);

	if (r == 0)
		r = find_note(a, w, diag);
	if (r == 0)
		r = check_note(a, w, diag);
	if (r == 0)
		r = check_order(a, &w->stamp, diag);
	if (r < 0)
		return r;
	r = put_frame(a, who, w, ret_sequence);
	if (r < 0)
		return cof_fail(diag, r, "the token cannot be recorded: %s", strerror(-r));
	settle(a, w);
	return 0;
}

int cof_archive_stamp(struct cof_archive *a, const struct cof_who *who, const void *answer, size_t n,
		      const void *ca, size_t ca_len, struct cof_stamped *ret, struct cof_diag *diag)
{
	struct answer w COF_CLEANUP(answer_done) = {0};
	struct cof_diag why = {""};
	uint64_t sequence = 0;
	int r = not_writable(a, diag);

	if (r < 0)
		return r;
	r = cof_stamp_token(answer, n, &w.token, &w.len, &why);
	if (r == 0) {
		pthread_mutex_lock(&a->stamp_lock);
		r = take_answer(a, who, &w, ca, ca_len, &sequence, &why);
		pthread_mutex_unlock(&a->stamp_lock);
	}
	if (r < 0)
		return cof_fail(diag, r, "%s", why.text[0] ? why.text : strerror(-r));
	*ret = (struct cof_stamped){.sequence = sequence, .covers = w.checkpoint.size, .stamp = w.stamp};
	return 0;
}

void cof_stamped_json(const struct cof_stamped *s, struct cof_json *into)
{
	char hex[2 * COF_HASH + 1];

	cof_json_set_uint(into, "sequence", s->sequence);
	cof_json_set_uint(into, "covers", s->covers);
	cof_json_set_time(into, "time", s->stamp.time);
	cof_json_set_int(into, "accuracy_ms", s->stamp.accuracy / 1000000);
	cof_json_set_str(into, "authority", s->stamp.authority);
	cof_json_set_bool(into, "proof", s->stamp.trusted);
	cof_hex(s->stamp.anchor, COF_HASH, hex);
	if (s->stamp.trusted)
		cof_json_set_str(into, "trusted", hex);
}
