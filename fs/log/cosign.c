/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cosignatures in the chain: a COSIGN frame has a checkpoint of this log as a vault signed it (C2SP cosignature/v1),
 * the vault's key, and what the host was told of where that vault stands. Times are the vault's clock in seconds.
 */
#include "fs/log/log.h"

static int take_text(const void *fields, size_t n, uint8_t tag, char *out, size_t cap)
{
	struct cof_field f;
	int r = cof_field_find(fields, n, tag, &f);

	if (r == -ENOENT)
		return 0;
	if (r < 0 || f.len >= cap || memchr(f.value, 0, f.len))
		return -EUCLEAN;
	memcpy(out, f.value, f.len);
	out[f.len] = 0;
	return 0;
}

static int take_place(const void *fields, size_t n, struct cof_cosign *c)
{
	uint32_t elsewhere = 0, distance = 0;
	int r = cof_field_u32(fields, n, COF_T_ELSEWHERE, &elsewhere), d = cof_field_u32(fields, n, COF_T_DISTANCE, &distance);

	if ((r < 0 && r != -ENOENT) || elsewhere > 1 || (d < 0 && d != -ENOENT))
		return -EUCLEAN;
	c->elsewhere = elsewhere;
	c->distance = d == 0 ? (int64_t)distance : -1;
	if (take_text(fields, n, COF_T_VAULT_PLACE, c->place, sizeof(c->place)) < 0 ||
	    take_text(fields, n, COF_T_JURISDICTION, c->jurisdiction, sizeof(c->jurisdiction)) < 0)
		return -EUCLEAN;
	return take_text(fields, n, COF_T_ADMINISTRATION, c->administration, sizeof(c->administration));
}

static int take_note(const void *fields, size_t n, uint64_t size, const struct cof_vkey *log, struct cof_cosign *c,
		     struct cof_diag *diag)
{
	struct cof_vkey keys[2] = {*log, c->vkey};
	struct cof_checkpoint head = {.size = 0};
	struct cof_field note;
	struct cof_note opened = {.verified = 0};
	int r = cof_field_find(fields, n, COF_T_NOTE, &note);

	if (r == 0)
		r = cof_note_open(note.value, note.len, keys, 2, &opened);
	if (r == -EBADMSG || r == -ENOKEY || (r == 0 && opened.verified != 3))
		return cof_fail(diag, -EBADMSG, "its note is not signed by both this log and the vault %s that it names",
				c->vkey.name);
	if (r == 0)
		r = cof_checkpoint_parse(opened.text, opened.text_len, &head);
	if (r < 0)
		return cof_fail(diag, -EUCLEAN, "its note is malformed");
	if (head.size != size || strcmp(head.origin, log->name) || opened.time[1] > (uint64_t)INT64_MAX / COF_NSEC)
		return cof_fail(diag, -EBADMSG, "its note is for another tree than the frame says");
	c->size = head.size;
	memcpy(c->root, head.root, COF_HASH);
	c->time = (int64_t)opened.time[1] * COF_NSEC;
	return 0;
}

int cof_cosign_read(const void *fields, size_t n, uint64_t size, const struct cof_vkey *log, struct cof_cosign *ret,
		    struct cof_diag *diag)
{
	struct cof_cosign c = {.distance = -1};
	char vkey[COF_VKEY_MAX] = "";
	int64_t time = 0;
	int r = take_text(fields, n, COF_T_VAULT, vkey, sizeof(vkey));

	if (r < 0 || cof_vkey_parse(vkey, &c.vkey) < 0 || c.vkey.algorithm != COF_NOTE_COSIG)
		return cof_fail(diag, -EUCLEAN, "it does not name a vault's key");
	if (take_place(fields, n, &c) < 0)
		return cof_fail(diag, -EUCLEAN, "what it says of the vault's place is malformed");
	r = take_note(fields, n, size, log, &c, diag);
	if (r < 0)
		return r;
	if (cof_field_i64(fields, n, COF_T_PROOF_TIME, &time) < 0 || time != c.time)
		return cof_fail(diag, -EBADMSG, "the frame gives it another time than its note has");
	*ret = c;
	return 0;
}

int cof_cosign_fields(const struct cof_cosign *c, const void *note, size_t n, struct cof_buf *ret)
{
	char vkey[COF_VKEY_MAX];

	cof_vkey_text(&c->vkey, vkey);
	cof_field_put(ret, COF_T_NOTE, note, n);
	cof_field_put_i64(ret, COF_T_PROOF_TIME, c->time);
	cof_field_put_str(ret, COF_T_VAULT, vkey);
	if (*c->place)
		cof_field_put_str(ret, COF_T_VAULT_PLACE, c->place);
	if (*c->jurisdiction)
		cof_field_put_str(ret, COF_T_JURISDICTION, c->jurisdiction);
	if (*c->administration)
		cof_field_put_str(ret, COF_T_ADMINISTRATION, c->administration);
	cof_field_put_u32(ret, COF_T_ELSEWHERE, c->elsewhere);
	if (c->distance >= 0)
		cof_field_put_u32(ret, COF_T_DISTANCE, (uint32_t)c->distance);
	return ret->failed ? -ENOMEM : 0;
}
