/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sealed object as bytes: fields (tag u8, length u16, value), each once and in this order, the
 * branches last (docs/format.md 7.1):
 *
 *   1 storage key: handle u32, name 34 · 2 identity 34 · 3 counter: index u32, value u64 · 4 PIN u8 ·
 *   5 public area · 6 private area · 7 branch: PCR mask u32, 32 bytes for each, 1 to 8 times
 *
 * Nothing in it is secret, and nothing is taken on trust: the TPM checks the areas against its own
 * key, the policy in them decides, and what is noted here only says why it does not open.
 */
#include "crypto/tpm.h"

enum { TAG_PARENT = 1, TAG_IDENTITY, TAG_COUNTER, TAG_PIN, TAG_PUBLIC, TAG_PRIVATE, TAG_BRANCH };

#define RESETTABLE (1u << 16 | 1u << 23)

static void put_branch(struct cof_buf *ret, const struct cof_tpm_pcrs *p)
{
	uint8_t value[4 + COF_TPM_PCRS * COF_HASH];
	size_t n = 4;

	cof_put_le32(value, p->mask);
	for (int i = 0; i < COF_TPM_PCRS; i++) {
		if (!(p->mask & 1u << i))
			continue;
		memcpy(value + n, p->value[i], COF_HASH);
		n += COF_HASH;
	}
	cof_field_put(ret, TAG_BRANCH, value, n);
}

int cof_tpm_sealed_store(const struct cof_tpm_sealed *s, struct cof_buf *ret)
{
	uint8_t parent[4 + COF_TPM_NAME], counter[12];

	cof_put_le32(parent, s->parent);
	memcpy(parent + 4, s->parent_name, COF_TPM_NAME);
	cof_put_le32(counter, s->index);
	cof_put_le64(counter + 4, s->value);
	cof_field_put(ret, TAG_PARENT, parent, sizeof(parent));
	cof_field_put(ret, TAG_IDENTITY, s->identity, COF_TPM_NAME);
	cof_field_put(ret, TAG_COUNTER, counter, sizeof(counter));
	cof_field_put_u8(ret, TAG_PIN, s->pin);
	cof_field_put(ret, TAG_PUBLIC, s->public_area, s->public_len);
	cof_field_put(ret, TAG_PRIVATE, s->private_area, s->private_len);
	for (unsigned i = 0; i < s->n_branches; i++)
		put_branch(ret, &s->branch[i]);
	return ret->failed ? -ENOMEM : 0;
}

static bool take_area(const struct cof_field *f, uint8_t *area, size_t cap, uint16_t *ret_n)
{
	if (f->len < 2 || f->len > cap)
		return false;
	memcpy(area, f->value, f->len);
	*ret_n = f->len;
	return true;
}

static bool take_branch(const struct cof_field *f, struct cof_tpm_sealed *s)
{
	struct cof_tpm_pcrs *p = &s->branch[s->n_branches];
	const uint8_t *at = f->value + 4;

	if (s->n_branches == COF_TPM_BRANCHES || f->len < 4)
		return false;
	p->mask = cof_get_le32(f->value);
	if (!p->mask || p->mask >> COF_TPM_PCRS || p->mask & RESETTABLE ||
	    f->len != 4 + COF_HASH * (size_t)__builtin_popcount(p->mask))
		return false;
	for (int i = 0; i < COF_TPM_PCRS; i++) {
		if (!(p->mask & 1u << i))
			continue;
		memcpy(p->value[i], at, COF_HASH);
		at += COF_HASH;
	}
	s->n_branches++;
	return true;
}

static bool take(const struct cof_field *f, struct cof_tpm_sealed *s)
{
	switch (f->tag) {
	case TAG_PARENT:
		if (f->len != 4 + COF_TPM_NAME)
			return false;
		s->parent = cof_get_le32(f->value);
		memcpy(s->parent_name, f->value + 4, COF_TPM_NAME);
		return !s->parent || s->parent >> 24 == 0x81;
	case TAG_IDENTITY:
		if (f->len != COF_TPM_NAME)
			return false;
		memcpy(s->identity, f->value, COF_TPM_NAME);
		return true;
	case TAG_COUNTER:
		if (f->len != 12)
			return false;
		s->index = cof_get_le32(f->value);
		s->value = cof_get_le64(f->value + 4);
		return s->index >> 24 == 0x01 && s->value;
	case TAG_PIN:
		if (f->len != 1 || f->value[0] > 1)
			return false;
		s->pin = f->value[0];
		return true;
	case TAG_PUBLIC:
		return take_area(f, s->public_area, sizeof(s->public_area), &s->public_len);
	case TAG_PRIVATE:
		return take_area(f, s->private_area, sizeof(s->private_area), &s->private_len);
	case TAG_BRANCH:
		return take_branch(f, s);
	default:
		return false;
	}
}

static int load_fields(const void *p, size_t n, struct cof_tpm_sealed *ret)
{
	struct cof_tpm_sealed s = {0};
	struct cof_field f;
	uint8_t expected = TAG_PARENT;
	size_t off = 0;
	int more;

	while ((more = cof_field_next(p, n, &off, &f)) > 0) {
		if (f.tag != expected || !take(&f, &s))
			return -EUCLEAN;
		expected = (uint8_t)COF_MIN(expected + 1, TAG_BRANCH);
	}
	if (more < 0 || expected != TAG_BRANCH)
		return -EUCLEAN;
	*ret = s;
	return 0;
}

int cof_tpm_sealed_load(const void *p, size_t n, struct cof_tpm_sealed *ret)
{
	struct cof_tpm_sealed s;

	if (load_fields(p, n, &s) < 0 || !s.n_branches)
		return -EUCLEAN;
	*ret = s;
	return 0;
}

int cof_tpm_object_load(const void *p, size_t n, struct cof_tpm_sealed *ret)
{
	struct cof_tpm_sealed s;

	if (load_fields(p, n, &s) < 0 || s.n_branches || s.pin)
		return -EUCLEAN;
	*ret = s;
	return 0;
}
