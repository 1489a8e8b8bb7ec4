/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what happened with vaults and copies go into the chain; durable when it returns. */
#include "fs/archive/note.h"
#include "fs/archive/vaults.h"

#include <stdio.h>

#define PENDING "vaults/pending"
#define PENDING_MAX (1u << 20)

static int write_frame(struct cof_archive *a, const struct cof_who *who, struct cof_draft *d, struct cof_append *done)
{
	static const struct cof_applied nothing;
	int r = who ? cof_actor_use(a, who, true, &d->actor) : 0;

	return r == 0 ? cof_archive_put(a, d, &nothing, done) : r;
}

static bool can_record(struct cof_archive *a)
{
	return a->log && !atomic_load(&a->failed) && a->mount;
}

/* As `coffer events` names it: "vault-handed-over". */
static void told(struct cof_archive *a, const struct cof_who *who, const struct cof_json *record, uint64_t sequence)
{
	char type[40];

	snprintf(type, sizeof(type), "vault-%.30s", cof_json_str(record, "what"));
	cof_event_told(a,
		       &(struct cof_event){.type = type,
					   .who = who,
					   .path = cof_json_str(record, "name"),
					   .detail = cof_json_str(record, "detail")},
		       sequence);
}

static int put_receipt(struct cof_archive *a, const struct cof_who *who, const struct cof_json *record, uint64_t *ret_sequence,
		       struct cof_diag *diag)
{
	uint64_t sequence = 0;
	int r = can_record(a) ? cof_vault_receipt_put(a, who, record, &sequence, diag)
			      : cof_fail(diag, -EROFS, "nothing can be recorded in this archive as it is");

	if (r > 0)
		told(a, who, record, sequence);
	if (r > 0 && ret_sequence)
		*ret_sequence = sequence;
	return COF_MIN(r, 0);
}

int cof_archive_vault_record(struct cof_archive *a, const struct cof_who *who, const struct cof_json *record,
			     uint64_t *ret_sequence, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0};
	struct cof_draft d = {.type = COF_VAULT_RECORD, .system = true};
	struct cof_append done = {0};
	const char *what = cof_json_str(record, "what");
	int r;

	if (what && !strcmp(what, cof_vault_what_name(COF_VR_PUNCTURED)))
		return put_receipt(a, who, record, ret_sequence, diag);
	r = cof_vault_fields(record, &public_part, &private_part, &d.position, diag);

	if (r < 0)
		return *diag->text ? r : cof_fail(diag, r, "the record cannot be made: %s", strerror(-r));
	if (!can_record(a))
		return cof_fail(diag, -EROFS, "nothing can be recorded in this archive as it is");
	d.public_part = public_part.data;
	d.public_len = (uint32_t)public_part.len;
	d.plain = private_part.data;
	d.length = (uint32_t)private_part.len;
	/* A transfer is the daemon's own: an ACTOR frame would be something new, which the next sync had to send. */
	COF_GATED(a, r, write_frame(a, d.position ? NULL : who, &d, &done));
	if (r == 0)
		r = cof_log_sync(a->log, done.ret_sequence);
	if (r < 0)
		return cof_fail(diag, r, "the record of the vault cannot be written: %s", strerror(-r));
	told(a, who, record, done.ret_sequence);
	if (ret_sequence)
		*ret_sequence = done.ret_sequence;
	return 0;
}

/* ---- what happened while nobody had the archive open ---- */

static int one_line(struct cof_archive *a, const char *line, size_t n, struct cof_diag *diag)
{
	cof_autojson struct cof_json *record = NULL;

	if (cof_json_parse(line, n, &record) < 0)
		return cof_fail(diag, -EINVAL, "it is no JSON");
	return cof_archive_vault_record(a, NULL, record, NULL, diag);
}

static void take_pending(struct cof_archive *a)
{
	cof_autofree uint8_t *text = NULL;
	size_t n = 0, at = 0, len;
	int r = can_record(a) ? cof_io_load(a->io, PENDING, PENDING_MAX, &text, &n) : -EROFS;

	if (r == -ENOENT || r == -EROFS)
		return;
	if (r < 0)
		cof_fault(a, "STORE/" PENDING ", what happened with vaults while the archive was not open, cannot be read and is not on record: %s",
			  strerror(-r));
	for (; r == 0 && at < n; at += len + 1) {
		const uint8_t *end = memchr(text + at, '\n', n - at);
		struct cof_diag why = {""};
		int one;

		len = end ? (size_t)(end - (text + at)) : n - at;
		one = one_line(a, (const char *)text + at, len, &why);
		if (one == -EINVAL)
			cof_fault(a, "A line of STORE/" PENDING ", what happened with vaults while the archive was not open, is not put on record: %s",
				  why.text);
		else
			r = one;
	}
	if (r == 0) /* a power cut before this puts them on record twice, with the same claimed time */
		(void)cof_io_unlink(a->io, PENDING);
}

void cof_vault_records_pending(struct cof_archive *a)
{
	int guard = -1, r = cof_io_guard(a->io, "vaults", &guard); /* who adds a line puts another file in its place */

	if (r == -ENOENT)
		return;
	if (r < 0)
		cof_fault(a, "STORE/vaults cannot be locked, and what happened with vaults while the archive was not open is not on record: %s",
			  strerror(-r));
	else
		take_pending(a);
	cof_io_unguard(guard);
}
