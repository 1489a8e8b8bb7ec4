/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a key on the TPM road: who may open it, made, read. */
#include "tools/tpm-road.h"
#include "tools/file.h"
#include "tools/escrow-tpm.h"
#include "tools/opener.h"

#include "base/json.h"

#include <stdio.h>

#define FILE_MAX (256u << 10)
#define FORMAT "coffer-tpm-key/1"

void tpm_road_done(struct tpm_road *r)
{
	cof_buf_done(&r->file);
}

/* What ties the object to its key: part of its policy, and of what is signed. */
static void reference(const char *key, const char *recipient, uint8_t ret[COF_HASH])
{
	char text[256];
	int n = snprintf(text, sizeof(text), "coffer/1 tpm key\n%s\n%s\n", key, recipient);

	cof_sha256(text, (size_t)n, ret);
}

/* ---- who may open ---- */

struct reading {
	struct cof_quorum *q;
	const struct ledger *l;
	const char *path;
	char sets[1024];
	struct cof_diag *diag;
};

/* By its approved enrolment. */
static int add_person(struct reading *r, const char *name)
{
	struct cof_quorum *q = r->q;

	if (q->n_persons == COF_QUORUM_KEYS || strlen(name) >= COF_QUORUM_NAME)
		return cof_fail(r->diag, -EINVAL, "%s: more than %d persons, or a name that is too long: %.40s", r->path, COF_QUORUM_KEYS, name);
	if (!escrow_tpm_key(r->l, name, q->person[q->n_persons].point))
		return cof_fail(r->diag, -EPERM, "%.40s has no key for a TPM that was enrolled on this shelf and is not revoked: coffer escrow enroll "
						 "--p256, and its approvals, come first", name);
	strcpy(q->person[q->n_persons++].name, name);
	return 0;
}

static int load_key(struct reading *r, const char *name, const char *file)
{
	const char *slash = strrchr(r->path, '/');
	cof_autobuf struct cof_buf pem = {0};
	cof_autofree char *path = NULL;
	struct cof_diag why = {""};
	uint8_t point[COF_P256_POINT];
	int e = add_person(r, name);

	if (e < 0)
		return e;
	if (asprintf(&path, "%.*s%s", *file == '/' || !slash ? 0 : (int)(slash - r->path + 1), r->path, file) < 0)
		return -ENOMEM;
	e = file_load(path, 8192, &pem, r->diag);
	if (e < 0)
		return e;
	e = cof_p256_public(pem.data ? (void *)pem.data : "", pem.len, point, &why);
	if (e < 0)
		return cof_fail(r->diag, e, "%s: %s", path, why.text);
	return memcmp(point, r->q->person[r->q->n_persons - 1].point, sizeof(point))
		       ? cof_fail(r->diag, -EPERM, "%s: another key is enrolled for %.40s", path, name)
		       : 0;
}

static int one_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct reading *r = user;

	if (section && !strcmp(section, "quorum") && !strcmp(key, "sets") && !*r->sets && strlen(value) < sizeof(r->sets)) {
		strcpy(r->sets, value);
		return 0;
	}
	if (section && !strncmp(section, "person ", 7) && !strcmp(key, "key"))
		return load_key(r, section + 7, value);
	return cof_fail(r->diag, -EUCLEAN, "%s, line %d: known are sets in [quorum], once, and key in [person NAME]", r->path, line);
}

static int add_set(struct reading *r, char *text)
{
	struct cof_quorum *q = r->q;

	if (q->n_sets == COF_QUORUM_SETS)
		return cof_fail(r->diag, -EINVAL, "%s: more than %d sets", r->path, COF_QUORUM_SETS);
	for (char *save = NULL, *name = strtok_r(text, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		unsigned i = 0;

		while (i < q->n_persons && strcmp(q->person[i].name, name) != 0)
			i++;
		if (i == q->n_persons) {
			int e = add_person(r, name);

			if (e < 0)
				return e;
		}
		q->set[q->n_sets] |= 1u << i;
	}
	q->n_sets++;
	return 0;
}

int tpm_road_quorum(const char *path, const struct ledger *l, struct cof_quorum *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0};
	struct reading r = {.q = ret, .l = l, .path = path, .diag = diag};
	int e = file_load(path, 65536, &text, diag);

	*ret = (struct cof_quorum){.n_persons = 0};
	if (e == 0)
		e = cof_ini_parse(text.data ? (char *)text.data : "", text.len, one_key, &r, diag);
	for (char *save = NULL, *set = e < 0 ? NULL : strtok_r(r.sets, ",", &save); e == 0 && set; set = strtok_r(NULL, ",", &save))
		e = add_set(&r, set);
	return e == 0 ? cof_quorum_check(ret, diag) : e;
}

/* ---- made ---- */

/* One counter for each quorum: raising it ends all keys that were sealed for it. */
static int get_counter(struct cof_tpm *t, struct cof_quorum *q, struct cof_diag *diag)
{
	struct cof_tpm_index list[COF_TPM_INDEX_RANGE];
	uint8_t seed[COF_HASH];
	struct iovec iov[1 + COF_QUORUM_KEYS] = {{q->set, sizeof(q->set[0]) * q->n_sets}};
	size_t n = 0;
	int r;

	for (unsigned i = 0; i < q->n_persons; i++)
		iov[1 + i] = (struct iovec){q->person[i].point, COF_P256_POINT};
	cof_sha256v(iov, 1 + (int)q->n_persons, seed);
	r = cof_tpm_index_list(t, seed, list, &n, diag);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (list[i].kind == COF_TPM_INDEX_NORMAL) {
			q->object.index = list[i].index;
			return cof_tpm_counter_read(t, q->object.index, COF_TPM_NORMAL, &q->object.value, diag);
		}
	if (r == 0)
		r = cof_tpm_index_free(t, seed, &q->object.index, diag);
	return r == 0 ? cof_tpm_counter_define(t, q->object.index, COF_TPM_NORMAL, &q->object.value, diag) : r;
}

static void set_base64(struct cof_json *o, const char *name, const struct cof_buf *b)
{
	cof_autofree char *text = malloc(cof_base64_len(b->len) + 1);

	if (!text)
		return;
	cof_base64(b->data, b->len, text);
	cof_json_set_str(o, name, text);
}

static int write_file(const struct cof_quorum *q, const char *key, const char *recipient, const struct cof_buf *age, const char *path,
		      struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf object = {0}, text = {0};
	int r = cof_quorum_store(q, &object);

	cof_json_set_str(o, "format", FORMAT);
	cof_json_set_str(o, "key", key);
	cof_json_set_str(o, "recipient", recipient);
	set_base64(o, "object", &object);
	set_base64(o, "file", age);
	if (r == 0)
		r = cof_json_canonical(o, &text);
	return r == 0 ? secret_file_write(path, "key's file", text.data, text.len, diag) : cof_fail(diag, r, "out of memory");
}

int tpm_road_make(const char *where, struct cof_quorum *q, const struct taking *take, const char *key, const char *path,
		  struct cof_diag *diag)
{
	cof_autosecret uint8_t *identity = cof_secret_alloc(COF_AGE_KEY), *file_key = cof_secret_alloc(COF_AGE_FILE_KEY);
	cof_autobuf struct cof_buf age = {0};
	cof_autotpm struct cof_tpm *t = NULL;
	uint8_t public_key[COF_AGE_KEY];
	char recipient[COF_AGE_RECIPIENT];
	int r = identity && file_key ? cof_tpm_open(where, &t, diag) : cof_fail(diag, -ENOMEM, "no secure memory is left");

	if (r < 0)
		return r;
	cof_random(identity, COF_AGE_KEY);
	r = cof_x25519_public(identity, public_key);
	if (r < 0)
		return cof_fail(diag, r, "a key pair cannot be made");
	cof_age_recipient_text(public_key, recipient);
	reference(key, recipient, q->ref);
	r = get_counter(t, q, diag);
	if (r == 0)
		r = cof_quorum_seal(t, q, identity, diag);
	if (r == 0)
		r = escrow_take_encrypt(take, recipient, file_key, &age, diag);
	if (r == 0)
		r = escrow_take_try(take, file_key, age.data, age.len);
	return r == 0 ? write_file(q, key, recipient, &age, path, diag) : *diag->text ? r : cof_fail(diag, r, "what was encrypted does not open");
}

/* ---- read ---- */

static int take_base64(const struct cof_json *o, const char *name, struct cof_buf *ret)
{
	const char *text = cof_json_str(o, name);
	size_t len = text ? strlen(text) : 0, n = 0;

	cof_buf_add(ret, text, len);
	if (!len || ret->failed || cof_unbase64(text, len, ret->data, len, &n) < 0)
		return -EUCLEAN;
	ret->len = n;
	return 0;
}

int tpm_road_load(const char *path, struct tpm_road *ret, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf text = {0}, object = {0};
	cof_autojson struct cof_json *o = NULL;
	uint8_t key[COF_AGE_KEY], ref[COF_HASH];
	const char *id, *recipient;
	int r = file_load(path, FILE_MAX, &text, diag);

	*ret = (struct tpm_road){.key = ""};
	if (r < 0)
		return r;
	r = cof_json_parse(text.data ? (char *)text.data : "", text.len, &o);
	id = r == 0 ? cof_json_str(o, "key") : NULL;
	recipient = r == 0 ? cof_json_str(o, "recipient") : NULL;
	if (!id || strlen(id) != TPM_ROAD_ID - 1 || !recipient || strlen(recipient) >= sizeof(ret->recipient) ||
	    cof_age_recipient_parse(recipient, strlen(recipient), key) < 0 || !cof_json_str(o, "format") ||
	    strcmp(cof_json_str(o, "format"), FORMAT) != 0 || take_base64(o, "file", &ret->file) < 0 || take_base64(o, "object", &object) < 0 ||
	    cof_quorum_load(object.data, object.len, &ret->quorum) < 0)
		return cof_fail(diag, -EUCLEAN, "%s is no key of the TPM road, or is damaged", path);
	strcpy(ret->key, id);
	strcpy(ret->recipient, recipient);
	reference(id, recipient, ref);
	return memcmp(ref, ret->quorum.ref, sizeof(ref)) ? cof_fail(diag, -EUCLEAN, "%s: the object in it is of another key", path) : 0;
}
