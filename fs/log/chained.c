/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkpoints that the chain repeats, for when the file checkpoint is missing or an older copy
 * of it was put back. Each carries the log's signature itself, so where it stands proves nothing
 * and need not.
 */
#include "fs/log/chained.h"

int cof_chained_load(struct cof_log *log, uint64_t address, uint8_t *payload,
		     struct cof_checkpoint *ret, char ret_text[COF_CHAINED_TEXT])
{
	struct cof_field note;
	struct cof_frame f;
	int r = cof_reader_header(log->reader, address, &f, NULL, NULL);

	if (!r)
		r = cof_reader_payload(log->reader, address, &f, 0, payload, f.stored);
	if (r < 0)
		return r;
	if (f.type != COF_CHECKPOINT || cof_payload_check(&f, payload) < 0 ||
	    cof_field_find(payload, f.public_length, COF_T_NOTE, &note) < 0 ||
	    cof_checkpoint_open(note.value, note.len, &log->conf.vkey, ret) < 0 || !ret->size ||
	    ret->size > f.sequence || note.len >= COF_CHAINED_TEXT)
		return -ENOENT;
	memset(ret_text, 0, COF_CHAINED_TEXT);
	memcpy(ret_text, note.value, note.len);
	return 0;
}

/* The last one of a segment, as far as its headers lead. */
static int last_of(struct cof_log *log, uint64_t segment, uint8_t *payload,
		   struct cof_checkpoint *ret, char ret_text[COF_CHAINED_TEXT])
{
	uint64_t size = log->conf.segment_size, at = segment * size;
	struct cof_checkpoint cp;
	char text[COF_CHAINED_TEXT];
	int found = -ENOENT, r = 0;
	struct cof_frame f;

	while (at < (segment + 1) * size) {
		r = cof_reader_header(log->reader, at, &f, NULL, NULL);
		if (r < 0)
			break;
		if (f.type == COF_CHECKPOINT) {
			r = cof_chained_load(log, at, payload, &cp, text);
			if (r < 0 && r != -ENOENT && r != -EUCLEAN)
				break;
			if (!r) {
				found = 0;
				*ret = cp;
				memcpy(ret_text, text, sizeof(text));
			}
		}
		at += COF_FRAME_HEADER + f.stored;
	}
	return r == -ENOMEM || r == -EIO || r == -EMFILE || r == -ENFILE ? r : found;
}

int cof_chained_find(struct cof_log *log, uint8_t *payload, struct cof_checkpoint *ret,
		     char ret_text[COF_CHAINED_TEXT])
{
	uint64_t behind = 0;
	char path[32];
	int r = -ENOENT;

	for (; behind <= UINT32_MAX; behind++) {
		cof_segment_path((uint32_t)behind, path);
		if (cof_io_exists(log->p.io, path) != 1)
			break;
	}
	while (r == -ENOENT && behind > 0)
		r = last_of(log, --behind, payload, ret, ret_text);
	return r;
}
