/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The people of an archive, and the judge over its own chain.
 *
 * PEOPLE, REQUEST and APPROVAL frames, and SHELF and POLICY which say what rules they have to meet, are few: the index has them as the stretches of an inode that no file
 * has, as it has the proofs of time, and a mount tells the judge of all of them. They were judged when they
 * were accepted; their signatures are not checked again then, by coffer verify they are.
 *
 * Everything here happens under one lock, the outermost of the archive: what was judged is what is written.
 */
#include "fs/archive/note.h"
#include "fs/archive/incident.h"
#include "fs/archive/people.h"

#include <stdio.h>

#define PEOPLE_FRAMES ((UINT64_C(1) << 63) + 112) /* above all inode numbers */

struct rule_frame { /* SHELF or POLICY, written by somebody without the people lock */
	struct rule_frame *next;
	struct cof_judge_frame frame;
	uint8_t fields[];
};

struct cof_people_state {
	pthread_mutex_t lock;
	struct cof_judge *judge; /* lock */
	pthread_mutex_t queue_lock; /* a leaf */
	struct rule_frame *queue;   /* in order of their frames */
	bool unreadable; /* frames of theirs are missing or damaged: nothing more of theirs is taken */
};

/* The judge would take the first people anew, where it could not read those that there are. */
static int readable(const struct cof_archive *a, struct cof_diag *diag)
{
	return a->people->unreadable
		   ? cof_fail(diag, -EIO, "what people signed in this archive cannot all be read: nothing that takes signatures is done in "
					  "this mount. coffer verify names the place")
		   : 0;
}

/* What was written meanwhile, below this sequence. */
static void drain(struct cof_archive *a, uint64_t below)
{
	struct cof_people_state *p = a->people;
	struct cof_judgement w;

	for (;;) {
		struct rule_frame *f;

		pthread_mutex_lock(&p->queue_lock);
		f = p->queue;
		if (f && f->frame.sequence < below)
			p->queue = f->next;
		else
			f = NULL;
		pthread_mutex_unlock(&p->queue_lock);
		if (!f)
			return;
		(void)cof_judge_take(p->judge, &f->frame, &w);
		free(f);
	}
}

void cof_people_lock(struct cof_archive *a)
{
	pthread_mutex_lock(&a->people->lock);
	drain(a, UINT64_MAX);
}

void cof_people_unlock(struct cof_archive *a)
{
	pthread_mutex_unlock(&a->people->lock);
}

struct cof_judge *cof_people_judge(struct cof_archive *a)
{
	return a->people->judge;
}

const char *cof_people_vault_of(struct cof_archive *a, const uint8_t key[32])
{
	const struct cof_people *people = a->people->unreadable ? NULL : cof_judge_people(a->people->judge);
	const struct cof_person *vault = people ? cof_people_vault(people, key) : NULL;

	return vault ? cof_vault_administration(vault) : NULL;
}

void cof_people_free(struct cof_archive *a)
{
	if (!a->people)
		return;
	while (a->people->queue) {
		struct rule_frame *f = a->people->queue;

		a->people->queue = f->next;
		free(f);
	}
	cof_judge_free(a->people->judge);
	pthread_mutex_destroy(&a->people->lock);
	pthread_mutex_destroy(&a->people->queue_lock);
	free(a->people);
	a->people = NULL;
}

int cof_people_writable(struct cof_archive *a, struct cof_diag *diag)
{
	if (a->log && !atomic_load(&a->failed) && a->mount)
		return 0;
	return cof_fail(diag, -EROFS, "nothing can be recorded in this archive as it is: find out what is wrong (coffer status, "
				      "coffer verify), then mount it again");
}

/* ---- what the judge asks ---- */

/* Each checkpoint flushes the tiles up to its size, and heads in requests are those of checkpoints. After an unclean
 * end those behind what recovery trusted were cut, and are stored again only with the next one. */
static int head_of(void *user, uint64_t size, uint8_t ret[32])
{
	struct cof_archive *a = user;
	int r = size > cof_archive_frames(a) ? -ENOENT : cof_tree_head(a->io, size, ret);

	if (r != -ENOENT || !size || size > cof_archive_frames(a))
		return r;
	r = cof_archive_checkpoint(a);
	return r < 0 ? r : cof_tree_head(a->io, size, ret);
}

/* ---- the chain's frames ---- */

/* For the judge, who is asked later. */
static int queue(struct cof_archive *a, const struct cof_frame *f, const void *fields, size_t n)
{
	struct rule_frame *q = malloc(sizeof(*q) + n), **at;

	if (!q)
		return -ENOMEM;
	memcpy(q->fields, fields, n);
	q->next = NULL;
	q->frame = (struct cof_judge_frame){.type = f->type,
					    .sequence = f->sequence,
					    .object = f->object,
					    .record_time = f->record_time,
					    .retention_time = f->retention_time,
					    .proven_from = INT64_MIN,
					    .fields = q->fields,
					    .n = n,
					    .trusted = true};
	pthread_mutex_lock(&a->people->queue_lock);
	for (at = &a->people->queue; *at; at = &(*at)->next)
		;
	*at = q;
	pthread_mutex_unlock(&a->people->queue_lock);
	return 0;
}

bool cof_people_judged_event(const void *public_part, size_t public_len)
{
	struct cof_field field;

	return cof_field_find(public_part, public_len, COF_T_REVIEWED, &field) == 0 ||
	       cof_field_find(public_part, public_len, COF_T_CHANGE, &field) == 0 || cof_incident_form(public_part, public_len);
}

int cof_people_apply(struct cof_archive *a, const struct cof_frame *f, uint64_t address, const void *public_part,
		     size_t public_len)
{
	struct cof_stretch s = {.address = address, .sequence = f->sequence};
	int r = cof_index_end(a->ix, COF_INDEX_NOW, PEOPLE_FRAMES, &s.position);

	if (r == 0 && a->people && (f->type == COF_SHELF || f->type == COF_POLICY) && a->load_at == COF_INDEX_NOW)
		r = queue(a, f, public_part, public_len);
	if (r < 0 || s.position >= f->sequence) /* is there already */
		return r;
	s.length = f->sequence - s.position;
	return cof_index_add_stretch(a->ix, PEOPLE_FRAMES, &s);
}

static int64_t proven_before(struct cof_archive *a, uint64_t sequence)
{
	int64_t from = INT64_MIN;

	pthread_mutex_lock(&a->proofs.lock);
	if (a->proofs.newest.sequence && a->proofs.newest.sequence < sequence)
		from = cof_proof_from(&a->proofs.newest);
	pthread_mutex_unlock(&a->proofs.lock);
	return from;
}

static int read_one(struct cof_archive *a, const struct cof_stretch *s, struct cof_frame *f, struct cof_buf *fields)
{
	int r = cof_reader_header(a->reader, s->address, f, NULL, NULL);

	if (r == -ENODATA || r == -EUCLEAN || (r == 0 && f->sequence != s->sequence))
		return -COF_EINDEX;
	return r < 0 ? r : cof_frame_read(a->reader, NULL, a->conf.id, s->address, f, fields, NULL);
}

/* One frame that was accepted earlier. By which proof its time was bounded does not matter any more: its
 * signature is not looked at, and that it was not expired was seen then. */
static int tell_one(void *user, const struct cof_frame *f, const struct cof_buf *fields)
{
	struct cof_archive *a = user;
	struct cof_judge_frame jf = {.type = f->type,
				     .sequence = f->sequence,
				     .object = f->object,
				     .position = f->position,
				     .record_time = f->record_time,
				     .retention_time = f->retention_time,
				     .proven_from = INT64_MIN,
				     .fields = fields->data,
				     .n = fields->len,
				     .trusted = true};
	struct cof_judgement w;
	int r = cof_judge_take(a->people->judge, &jf, &w);

	if (r == 0 && f->type == COF_EVENT)
		r = cof_incident_meet(a, f->sequence, fields->data, fields->len);
	return r == -EPERM ? 0 : r; /* without effect then, as for everybody who judges it */
}

/* After an error the index is asked anew: what it said may be what was wrong. */
int cof_people_next(struct cof_archive *a, struct cof_people_walk *w, uint64_t before, struct cof_frame *ret, struct cof_buf *ret_fields)
{
	const struct cof_stretch *s;
	int r = 0;

	if (w->i == w->n) {
		w->i = w->n = 0;
		r = cof_ix(a, cof_index_stretches(a->ix, COF_INDEX_NOW, PEOPLE_FRAMES, w->position, w->stretch, COF_COUNT(w->stretch), &w->n));
	}
	s = &w->stretch[w->i];
	if (r < 0 || w->i == w->n || s->sequence >= before)
		return r;
	r = read_one(a, s, ret, ret_fields);
	if (r < 0) {
		w->i = w->n = 0;
		return r;
	}
	w->position = s->position + s->length;
	w->i++;
	return 1;
}

int cof_people_each(struct cof_archive *a, cof_people_fn fn, void *user)
{
	struct cof_people_walk w = {.n = 0};
	int r;

	do {
		cof_autobuf struct cof_buf fields = {0};
		struct cof_frame f = {.sequence = 0};

		r = cof_people_next(a, &w, UINT64_MAX, &f, &fields);
		if (r <= 0)
			return r;
		r = fn(user, &f, &fields);
	} while (r == 0);
	return r;
}

int cof_people_load(struct cof_archive *a)
{
	struct cof_judge_params p = {.verify = a->p.verify_signature,
				     .verify_user = a->p.verify_user,
				     .head = head_of,
				     .head_user = a,
				     .partial = true};
	int r;

	a->people = calloc(1, sizeof(*a->people));
	if (!a->people)
		return -ENOMEM;
	pthread_mutex_init(&a->people->lock, NULL);
	pthread_mutex_init(&a->people->queue_lock, NULL);
	memcpy(p.archive_id, a->conf.id, sizeof(p.archive_id));
	r = cof_judge_new(&p, &a->people->judge);
	if (r == 0)
		r = cof_people_each(a, tell_one, a);
	if (r == 0 || r == -ENOMEM)
		return r;
	/* Damage does not keep the rest from being read. */
	a->people->unreadable = true;
	if (a->log)
		cof_fault(a, "What people signed cannot all be read (%s): until it can, nothing that takes signatures is done. Run coffer "
			     "verify.", strerror(-r));
	return 0;
}

/* ---- judging and writing one ---- */

static void frame_now(struct cof_archive *a, uint8_t type, const struct cof_buf *fields, struct cof_judge_frame *ret)
{
	*ret = (struct cof_judge_frame){
	    .type = type, .sequence = cof_archive_frames(a), .fields = fields->data, .n = fields->len};
	cof_clock_now(&a->clock, &ret->record_time, &ret->retention_time);
	ret->proven_from = proven_before(a, UINT64_MAX);
}

bool cof_people_about_roles(const char *document, size_t n)
{
	static const char action[] = "\"action\":\"people-"; /* set, first; inside of a string quotes are escaped */

	return memmem(document, n, action, sizeof(action) - 1) != NULL;
}

const char *cof_people_kind(uint8_t type, const struct cof_buf *public_part)
{
	struct cof_field document;
	bool about = type == COF_PEOPLE;

	if (type == COF_REQUEST && cof_field_find(public_part->data, public_part->len, COF_T_DOCUMENT, &document) == 0)
		about = cof_people_about_roles((const char *)document.value, document.len);
	return about ? "A.2.1" : NULL;
}

int cof_people_refused_as(struct cof_archive *a, const struct cof_who *who, const char *what, const char *kind, const char *rule,
			  const char *reason, struct cof_diag *diag)
{
	cof_autofree char *detail = NULL;

	if (asprintf(&detail, "%s refused (%s) to uid %u: %s", what, rule, who->uid, reason) < 0)
		detail = NULL;
	cof_gate_enter(a);
	(void)cof_event_emit(a, &(struct cof_event){.type = COF_EV_REQUEST_REFUSED, .catalogue = kind, .who = who, .reason = rule,
						   .detail = detail ? detail : rule},
			     NULL);
	cof_gate_leave(a);
	return cof_fail(diag, -EPERM, "%s (%s)", reason, rule);
}

int cof_people_refused(struct cof_archive *a, const struct cof_who *who, const char *what, const char *rule, const char *reason,
		       struct cof_diag *diag)
{
	return cof_people_refused_as(a, who, what, NULL, rule, reason, diag);
}

int cof_people_ask(struct cof_archive *a, uint8_t type, const struct cof_buf *public_part, struct cof_judgement *ret,
		   struct cof_diag *diag)
{
	struct cof_judge_frame f;
	int r;

	if (public_part->failed)
		return -ENOMEM;
	r = readable(a, diag);
	if (r < 0)
		return r;
	frame_now(a, type, public_part, &f);
	r = cof_judge_ask(a->people->judge, &f, ret);
	return r < 0 ? cof_fail(diag, r, "%s", ret->reason[0] ? ret->reason : strerror(-r)) : 0;
}

static int write_frame(struct cof_archive *a, const struct cof_who *who, uint8_t type, const struct cof_buf *public_part,
		       const struct cof_buf *private_part, struct cof_append *done)
{
	static const struct cof_applied nothing;
	struct cof_draft d = {.type = type, .system = true};
	int r;

	d.public_part = public_part->data;
	d.public_len = (uint32_t)public_part->len;
	if (private_part) {
		d.plain = private_part->data;
		d.length = (uint32_t)private_part->len;
	}
	cof_gate_enter(a);
	r = cof_actor_use(a, who, true, &d.actor);
	pthread_mutex_lock(&a->rules_lock);
	if (r == 0)
		r = cof_archive_put(a, &d, &nothing, done);
	pthread_mutex_unlock(&a->rules_lock);
	cof_gate_leave(a);
	if (r == 0)
		drain(a, done->ret_sequence);
	return r == 0 ? cof_log_sync(a->log, done->ret_sequence) : r;
}

/* A key may have ended between the question and the frame: then it is judged as a verifier will see it. */
static int take_written(struct cof_archive *a, const struct cof_append *done, int64_t asked, struct cof_judge_frame *f,
			struct cof_judgement *ret)
{
	f->sequence = done->ret_sequence;
	f->record_time = done->ret_record_time;
	f->retention_time = done->ret_retention_time;
	f->trusted = f->record_time / COF_NSEC == asked / COF_NSEC;
	return cof_judge_take(a->people->judge, f, ret);
}

/* The judge frees its own with the frame. Those that are none stay empty. */
static int copy_people(struct cof_archive *a, struct cof_people *ret)
{
	const struct cof_people *now = cof_judge_people(a->people->judge);

	return now ? cof_people_parse(now->text, now->text_len, now->revoked, now->revoked_len, "", ret, NULL) : 0;
}

static void tell_people(struct cof_archive *a, const struct cof_who *who, const struct cof_buf *public_part,
			const struct cof_people *before, uint64_t sequence)
{
	const struct cof_people *now = cof_judge_people(a->people->judge);
	struct cof_field request;
	bool approved = cof_field_find(public_part->data, public_part->len, COF_T_REQUEST, &request) == 0 && request.len == 32;

	if (now)
		cof_people_told(a, who, approved ? request.value : NULL, before->text ? before : NULL, now,
				sequence);
}

int cof_people_put(struct cof_archive *a, const struct cof_who *who, uint8_t type, const struct cof_buf *public_part,
		   const struct cof_buf *private_part, struct cof_judgement *ret, uint64_t *ret_sequence,
		   struct cof_diag *diag)
{
	struct cof_people before = {.text = NULL};
	struct cof_judge_frame f;
	struct cof_append done = {0};
	struct cof_diag why = {""};
	struct cof_field people;
	int64_t asked;
	int r;

	if (public_part->failed || (private_part && private_part->failed))
		return -ENOMEM;
	r = readable(a, diag);
	if (r < 0)
		return r;
	frame_now(a, type, public_part, &f);
	r = cof_judge_ask(a->people->judge, &f, ret);
	if (r == -EPERM)
		return cof_people_refused_as(a, who, cof_frame_type_name(type), cof_people_kind(type, public_part), ret->rule,
					  ret->reason, diag);
	if (r < 0)
		return cof_fail(diag, r, "%s", ret->reason[0] ? ret->reason : strerror(-r));
	if (type == COF_PEOPLE && cof_field_find(public_part->data, public_part->len, COF_T_PEOPLE, &people) == 0)
		r = cof_people_fit(a, (const char *)people.value, people.len, &why);
	if (r < 0)
		return cof_people_refused_as(a, who, cof_frame_type_name(type), cof_people_kind(type, public_part), "hardware", why.text, diag);
	asked = f.record_time;
	r = type == COF_PEOPLE ? copy_people(a, &before) : 0;
	if (r == 0)
		r = write_frame(a, who, type, public_part, private_part, &done);
	if (r < 0)
		cof_people_done(&before);
	if (r < 0)
		return cof_fail(diag, r, "it cannot be recorded: %s", strerror(-r));
	r = take_written(a, &done, asked, &f, ret);
	*ret_sequence = done.ret_sequence;
	if (r == 0 && type == COF_PEOPLE)
		tell_people(a, who, public_part, &before, done.ret_sequence);
	cof_people_done(&before);
	return r == -EPERM ? cof_people_refused_as(a, who, cof_frame_type_name(type), cof_people_kind(type, public_part), ret->rule,
						ret->reason, diag)
	       : r < 0	   ? cof_fail(diag, r, "%s", strerror(-r))
			   : 0;
}

int cof_people_emit(struct cof_archive *a, struct cof_event *e, int64_t asked, struct cof_judgement *ret, uint64_t *ret_sequence,
		    struct cof_diag *diag)
{
	struct cof_buf fields = {.data = (uint8_t *)e->public_fields, .len = e->public_len};
	struct cof_judge_frame f;
	struct cof_append done = {0};
	int r;

	frame_now(a, COF_EVENT, &fields, &f);
	e->done = &done;
	cof_gate_enter(a);
	pthread_mutex_lock(&a->rules_lock);
	r = cof_event_emit(a, e, ret_sequence);
	pthread_mutex_unlock(&a->rules_lock);
	cof_gate_leave(a);
	if (r == 0) {
		drain(a, done.ret_sequence);
		r = cof_log_sync(a->log, done.ret_sequence);
	}
	if (r < 0)
		return cof_fail(diag, r, "it cannot be recorded: %s", strerror(-r));
	r = take_written(a, &done, asked, &f, ret);
	if (r == 0)
		r = cof_incident_meet(a, done.ret_sequence, fields.data, fields.len);
	return r < 0 ? cof_fail(diag, r, "%s", ret->reason[0] ? ret->reason : strerror(-r)) : 0;
}

/* ---- small things of the verbs ---- */

int cof_people_bytes(const struct cof_json *args, const char *key, size_t max, struct cof_buf *ret, struct cof_diag *diag)
{
	const char *s = cof_json_str(args, key);
	size_t len = s ? strlen(s) : 0, n = 0;

	if (!s || len > cof_base64_len(max))
		return cof_fail(diag, -EINVAL, "\"%s\" is missing or too long", key);
	cof_buf_add(ret, s, len); /* room: the text is longer than its bytes */
	if (ret->failed)
		return -ENOMEM;
	if (cof_unbase64(s, len, ret->data, len, &n) < 0)
		return cof_fail(diag, -EINVAL, "\"%s\" is no base64", key);
	ret->len = n;
	ret->data[n] = '\0';
	return 0;
}

int cof_people_signature(const struct cof_people *people, const char *principal, const struct cof_buf *armored,
			 struct cof_buf *ret, struct cof_diag *diag)
{
	const struct cof_person *p;
	struct cof_signature_info info;
	cof_autobuf struct cof_buf value = {0};
	int r = cof_signature_read((const char *)armored->data, armored->len, &info, diag);

	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	if (!principal || !*principal) {
		p = cof_people_signer(people, &info);
		if (!p)
			return cof_fail(diag, -EINVAL, "the key that signed is nobody's in the people file, or an authority's that "
						       "stands for several: name the person (--as NAME)");
		principal = p->name;
	}
	cof_buf_add(&value, principal, strlen(principal) + 1);
	cof_buf_add(&value, armored->data, armored->len);
	if (value.failed)
		return -ENOMEM;
	cof_field_put(ret, COF_T_SIGNATURE, value.data, value.len);
	return ret->failed ? -ENOMEM : 0;
}
