/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a quorum, without the TPM: who may be one, its bytes, and what is signed. As bytes, fields (tag u8, length u16, value):
 *
 *   1 the object, as crypto/tpm-blob.c has it (fields of its own, without branches) · 2 reference 32 ·
 *   3 person: point 64, name, 2 to 16 times · 4 set: bits u32, 1 to 8 times
 */
#include "crypto/quorum.h"

#include <stdio.h>

enum { TAG_OBJECT = 1, TAG_REF, TAG_PERSON, TAG_SET };

static bool is_name(const char *s)
{
	return *s && strlen(s) < COF_QUORUM_NAME && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(s);
}

int cof_quorum_check(const struct cof_quorum *q, struct cof_diag *diag)
{
	if (q->n_persons < 2 || q->n_persons > COF_QUORUM_KEYS || !q->n_sets || q->n_sets > COF_QUORUM_SETS)
		return cof_fail(diag, -EINVAL, "a quorum is of 2 to %d persons, in 1 to %d sets", COF_QUORUM_KEYS, COF_QUORUM_SETS);
	for (unsigned i = 0; i < q->n_persons; i++) {
		if (!is_name(q->person[i].name))
			return cof_fail(diag, -EINVAL, "a person's name is 1 to 31 of a-z, 0-9 and '-'");
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(q->person[i].name, q->person[k].name) || !memcmp(q->person[i].point, q->person[k].point, COF_P256_POINT))
				return cof_fail(diag, -EINVAL, "%s and %s have the same name or the same key", q->person[k].name, q->person[i].name);
	}
	for (unsigned i = 0; i < q->n_sets; i++) {
		if (__builtin_popcount(q->set[i]) < 2 || q->set[i] >> q->n_persons)
			return cof_fail(diag, -EINVAL, "each set of a quorum has two of its persons at least");
		for (unsigned k = 0; k < q->n_sets; k++)
			if (i != k && (q->set[i] & q->set[k]) == q->set[i])
				return cof_fail(diag, -EINVAL, "one set of the quorum holds another one, or is the same");
	}
	return 0;
}

int cof_quorum_store(const struct cof_quorum *q, struct cof_buf *ret)
{
	cof_autobuf struct cof_buf object = {0};
	int r = cof_tpm_sealed_store(&q->object, &object);

	if (r < 0)
		return r;
	cof_field_put(ret, TAG_OBJECT, object.data, object.len);
	cof_field_put(ret, TAG_REF, q->ref, COF_HASH);
	for (unsigned i = 0; i < q->n_persons; i++) {
		uint8_t value[COF_P256_POINT + COF_QUORUM_NAME];
		size_t n = strlen(q->person[i].name);

		memcpy(value, q->person[i].point, COF_P256_POINT);
		memcpy(value + COF_P256_POINT, q->person[i].name, n);
		cof_field_put(ret, TAG_PERSON, value, COF_P256_POINT + n);
	}
	for (unsigned i = 0; i < q->n_sets; i++)
		cof_field_put_u32(ret, TAG_SET, q->set[i]);
	return ret->failed ? -ENOMEM : 0;
}

static bool take_person(const struct cof_field *f, struct cof_quorum *q)
{
	struct cof_quorum_person *p = &q->person[q->n_persons];
	size_t n = f->len - (size_t)COF_P256_POINT;

	if (q->n_persons == COF_QUORUM_KEYS || f->len <= COF_P256_POINT || n >= sizeof(p->name) || memchr(f->value + COF_P256_POINT, 0, n))
		return false;
	memcpy(p->point, f->value, COF_P256_POINT);
	memcpy(p->name, f->value + COF_P256_POINT, n);
	q->n_persons++;
	return true;
}

static bool take(const struct cof_field *f, struct cof_quorum *q)
{
	switch (f->tag) {
	case TAG_OBJECT:
		return cof_tpm_object_load(f->value, f->len, &q->object) == 0;
	case TAG_REF:
		if (f->len != COF_HASH)
			return false;
		memcpy(q->ref, f->value, COF_HASH);
		return true;
	case TAG_PERSON:
		return take_person(f, q);
	case TAG_SET:
		if (f->len != 4 || q->n_sets == COF_QUORUM_SETS)
			return false;
		q->set[q->n_sets++] = cof_get_le32(f->value);
		return true;
	default:
		return false;
	}
}

int cof_quorum_load(const void *p, size_t n, struct cof_quorum *ret)
{
	struct cof_quorum q = {.n_persons = 0};
	struct cof_field f;
	uint8_t last = 0;
	size_t off = 0;
	int more;

	while ((more = cof_field_next(p, n, &off, &f)) > 0) {
		if (f.tag < last || f.tag > last + 1 || (f.tag == last && f.tag < TAG_PERSON) || !take(&f, &q))
			return -EUCLEAN;
		last = f.tag;
	}
	if (more < 0 || last != TAG_SET || cof_quorum_check(&q, NULL) < 0)
		return -EUCLEAN;
	*ret = q;
	return 0;
}

void cof_quorum_epoch(const struct cof_quorum *q, uint8_t ret[COF_HASH])
{
	uint8_t text[20 + COF_TPM_NAME + 4 + 8] = "coffer/1 tpm epoch\n";

	memcpy(text + 19, q->object.identity, COF_TPM_NAME);
	cof_put_be32(text + 19 + COF_TPM_NAME, q->object.index);
	cof_put_be64(text + 19 + COF_TPM_NAME + 4, q->object.value);
	cof_sha256(text, 19 + COF_TPM_NAME + 4 + 8, ret);
}

/* ---- what is signed ---- */

void cof_quorum_message(const uint8_t nonce[COF_HASH], uint32_t seconds, const uint8_t cphash[COF_HASH], const uint8_t ref[COF_HASH],
			uint8_t ret[COF_QUORUM_MESSAGE])
{
	memcpy(ret, nonce, COF_HASH);
	cof_put_be32(ret + 32, seconds);
	memcpy(ret + 36, cphash, COF_HASH);
	memcpy(ret + 68, ref, COF_HASH);
}

/* The object's name is the hash of its public area, which lies behind its length. */
int cof_quorum_cphash(const struct cof_quorum *q, uint8_t ret[COF_HASH])
{
	uint8_t text[4 + COF_TPM_NAME] = {0, 0, 0x01, 0x5e, 0, 0x0b}; /* TPM_CC_Unseal; SHA-256 */

	if (q->object.public_len < 4)
		return -EUCLEAN;
	cof_sha256(q->object.public_area + 2, q->object.public_len - 2u, text + 6);
	cof_sha256(text, sizeof(text), ret);
	return 0;
}

int cof_quorum_take(struct cof_quorum_call *c, unsigned person, const uint8_t sig[COF_P256_SIGNATURE])
{
	int r = person < c->q->n_persons ? cof_p256_verify(c->q->person[person].point, c->message, sizeof(c->message), sig) : -EBADMSG;

	if (r < 0)
		return r;
	memcpy(c->signature[person], sig, COF_P256_SIGNATURE);
	c->has[person] = true;
	return 0;
}

int cof_quorum_ready(const struct cof_quorum_call *c)
{
	uint32_t have = 0;

	for (unsigned i = 0; i < c->q->n_persons; i++)
		have |= c->has[i] ? 1u << i : 0;
	for (unsigned i = 0; i < c->q->n_sets; i++)
		if ((c->q->set[i] & have) == c->q->set[i])
			return (int)i;
	return -EAGAIN;
}
