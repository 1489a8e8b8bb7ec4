/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of the whole archive: the newest POLICY frame's, kept in memory and in the index. What only becomes
 * stronger is written at once, by the host's root; what promises less somewhere comes by a request that was
 * approved (act-profile.c). Either way an EVENT says what changed, old and new.
 */
#include "fs/archive/note.h"
#include "fs/archive/people.h"

#include <stdio.h>

#define KEY "profile" /* of the root, in the index: its text */

/* ---- in force ---- */

int cof_archive_policy(struct cof_archive *a, struct cof_profile *ret)
{
	pthread_mutex_lock(&a->profile_lock);
	*ret = a->profile;
	pthread_mutex_unlock(&a->profile_lock);
	return 0;
}

int64_t cof_policy_deviation(struct cof_archive *a)
{
	int64_t option = a->p.deviation, limit;

	pthread_mutex_lock(&a->profile_lock);
	limit = a->profile.deviation;
	/* An option may ask for less than a policy allows, never for more. */
	if (option && (option < limit || !a->profile_sequence))
		limit = option;
	pthread_mutex_unlock(&a->profile_lock);
	return limit;
}

static int keep(struct cof_archive *a, uint64_t sequence, const void *text, size_t n)
{
	struct cof_profile_file f;
	int r = cof_profile_parse(text, n, &f, NULL);

	if (r < 0)
		return r;
	pthread_mutex_lock(&a->profile_lock);
	if (sequence >= a->profile_sequence) {
		a->profile = f.archive;
		a->profile_sequence = sequence;
	}
	pthread_mutex_unlock(&a->profile_lock);
	cof_profile_file_done(&f);
	return 0;
}

/* A text that this version cannot read stays without effect here, as a type that it does not know. */
int cof_profile_apply(struct cof_archive *a, const struct cof_frame *f, const void *public_part, size_t public_len)
{
	cof_autobuf struct cof_buf value = {0};
	struct cof_field text;
	uint8_t sequence[8];
	int r = cof_field_find(public_part, public_len, COF_T_POLICY, &text);

	if (r < 0)
		return -EUCLEAN;
	r = keep(a, f->sequence, text.value, text.len);
	if (r == -EUCLEAN)
		return 0;
	cof_put_le64(sequence, f->sequence);
	cof_buf_add(&value, sequence, sizeof(sequence));
	cof_buf_add(&value, text.value, text.len);
	if (r < 0 || value.failed)
		return r < 0 ? r : -ENOMEM;
	return cof_index_put_value(a->ix, f->sequence, COF_ROOT_INO, KEY, value.data, value.len);
}

int cof_profile_load(struct cof_archive *a)
{
	cof_autobuf struct cof_buf value = {0};
	int r = cof_ix(a, cof_index_get_value(a->ix, COF_INDEX_NOW, COF_ROOT_INO, KEY, &value));

	if (r == -ENOENT)
		return 0;
	if (r < 0 || value.len < 8)
		return r < 0 ? r : cof_ix(a, -EUCLEAN);
	return keep(a, cof_get_le64(value.data), value.data + 8, value.len - 8);
}

/* ---- showing ---- */

int cof_profile_show(struct cof_archive *a, struct cof_json *into)
{
	cof_autobuf struct cof_buf text = {0};
	uint8_t digest[COF_HASH];
	char hex[2 * COF_HASH + 1];
	struct cof_profile p;
	uint64_t sequence;
	int r;

	pthread_mutex_lock(&a->profile_lock);
	p = a->profile;
	sequence = a->profile_sequence;
	pthread_mutex_unlock(&a->profile_lock);
	r = cof_profile_text(&p, &text);
	if (r < 0)
		return r;
	cof_sha256(text.data, text.len, digest);
	cof_hex(digest, sizeof(digest), hex);
	cof_json_set_str(into, "profile", p.profile);
	cof_json_set_bool(into, "set", sequence != 0);
	cof_json_set_uint(into, "sequence", sequence);
	cof_json_set_str(into, "sha256", hex);
	cof_json_set_str(into, "policy", (const char *)text.data);
	return 0;
}

/* ---- setting ---- */

struct told {
	struct cof_buf text, security, lockout; /* all; of them what guards the archive; the number of attempts */
	const char *weaker; /* the first key that promises less */
};

/* R13 to R16: who may, and how it is sealed. R20 to R31: keys and openers. R45: the network. The rest says what is
 * recorded, kept and done when, which is A.1.1 alone. */
static bool is_security(const char *rule)
{
	unsigned long n = *rule == 'R' ? strtoul(rule + 1, NULL, 10) : 0;

	return (n >= 13 && n <= 16) || (n >= 20 && n <= 31) || n == 45;
}

static void add(struct cof_buf *text, const struct cof_profile_change *c)
{
	cof_buf_printf(text, "%s%s: was '%s', is '%s'", text->len ? "\n" : "", c->key, c->old_value, c->new_value);
}

static int tell(void *user, const struct cof_profile_change *c)
{
	struct told *t = user;

	if (c->weaker && !t->weaker)
		t->weaker = c->key;
	add(&t->text, c);
	if (is_security(c->rule))
		add(&t->security, c);
	if (!strcmp(c->key, "lockout"))
		add(&t->lockout, c);
	return 0;
}

/* Canonical, and what it changes. -EINVAL with line and reason. */
static int compare(struct cof_archive *a, const char *text, struct cof_buf *ret_text, struct told *t, struct cof_diag *diag)
{
	struct cof_profile now;
	struct cof_profile_file f;
	int r = cof_profile_parse(text, strlen(text), &f, diag);

	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	r = cof_archive_policy(a, &now);
	if (r == 0)
		r = cof_profile_compare(&now, &f.archive, tell, t);
	if (r == 0)
		r = cof_profile_text(&f.archive, ret_text);
	cof_profile_file_done(&f);
	return r == 0 && (t->text.failed || t->security.failed || t->lockout.failed) ? -ENOMEM : r;
}

static int event(struct cof_archive *a, const char *name, const struct cof_buf *text)
{
	int r;

	if (!text->len)
		return 0;
	cof_gate_enter(a);
	r = cof_event_emit(a, &(struct cof_event){.type = name, .detail = (const char *)text->data}, NULL);
	cof_gate_leave(a);
	return r;
}

int cof_profile_put(struct cof_archive *a, const struct cof_who *who, const char *text, const uint8_t *request,
		    struct cof_diag *diag)
{
	cof_autobuf struct cof_buf canonical = {0}, fields = {0};
	uint8_t digest[COF_HASH];
	struct told t = {.weaker = NULL};
	struct cof_judgement w;
	uint64_t sequence;
	int r = compare(a, text, &canonical, &t, diag);

	if (r == 0 && t.weaker && !request) {
		(void)event(a, "policy-refused", &t.text);
		r = cof_fail(diag, -EPERM,
			     "%s would promise less: that takes a request that others approve (coffer request profile-set "
			     "STORE @FILE)",
			     t.weaker);
	}
	if (r == 0 && t.text.len) {
		cof_sha256(canonical.data, canonical.len, digest);
		cof_field_put(&fields, COF_T_POLICY, canonical.data, canonical.len);
		cof_field_put(&fields, COF_T_PROFILE_DIGEST, digest, sizeof(digest));
		if (request)
			cof_field_put(&fields, COF_T_REQUEST, request, 32);
		r = cof_people_put(a, who, COF_POLICY, &fields, NULL, &w, &sequence, diag);
		if (r == 0)
			r = event(a, "policy-set", &t.text);
		if (r == 0)
			r = event(a, COF_EV_PROFILE_CHANGED, &t.security);
		if (r == 0)
			r = event(a, COF_EV_LOCKOUT_CHANGED, &t.lockout);
	}
	cof_buf_done(&t.text);
	cof_buf_done(&t.security);
	cof_buf_done(&t.lockout);
	return r;
}

int cof_profile_set(struct cof_archive *a, const struct cof_who *who, const struct cof_json *args, struct cof_json *into,
		    struct cof_diag *diag)
{
	const char *text = cof_json_str(args, "policy");
	int r;

	if (!text)
		return cof_fail(diag, -EINVAL, "the text of the profile is missing");
	r = cof_profile_put(a, who, text, NULL, diag);
	return r < 0 ? r : cof_profile_show(a, into);
}
