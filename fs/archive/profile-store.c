/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force of a store that nobody has open: its newest POLICY frame, looked for from the end, without keys. */
#include <stdio.h>

#include "fs/archive/internal.h"

static int take(struct cof_reader *r, uint64_t address, struct cof_profile *ret, bool *ret_found)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_profile_file file;
	struct cof_field text;
	struct cof_frame f;
	int err = cof_reader_header(r, address, &f, NULL, NULL);

	if (err == 0)
		err = f.type == COF_POLICY ? cof_frame_read(r, NULL, (const uint8_t[16]){0}, address, &f, &fields, NULL) : -ENOENT;
	if (err == 0 && cof_field_find(fields.data, fields.len, COF_T_POLICY, &text) == 0 &&
	    cof_profile_parse((const char *)text.value, text.len, &file, NULL) == 0) {
		*ret = file.archive;
		*ret_found = true;
		cof_profile_file_done(&file);
	}
	return err;
}

/* The last one of what lies from an address on in its segment, as far as headers lead. *ret_found stays false without one. */
static int last_of(struct cof_reader *r, uint64_t size, uint64_t address, struct cof_profile *ret, bool *ret_found)
{
	uint64_t end = address - address % size + size, sequence = 0;
	struct cof_frame f;
	int err = 0;

	while (address < end && (err = cof_reader_header(r, address, &f, NULL, NULL)) == 0) {
		/* What lies behind an end that was cut off belongs to nothing. */
		if (sequence && f.sequence != sequence + 1)
			break;
		sequence = f.sequence;
		if (f.type == COF_POLICY)
			err = take(r, address, ret, ret_found);
		if (err < 0)
			break;
		address += COF_FRAME_HEADER + f.stored;
	}
	return err == -ENOMEM || err == -EIO || err == -EMFILE || err == -ENFILE || err == -EBADMSG ? err : 0;
}

/* known: what needs no looking at again; of size 0: nothing. */
static int newest(struct cof_reader *r, struct cof_io *io, uint64_t size, const struct cof_known *known, struct cof_profile *ret)
{
	uint64_t least = known->size ? known->last : 0, segments = least / size;
	bool found = false;
	char path[32];
	int err = 0;

	for (; segments <= UINT32_MAX; segments++) {
		snprintf(path, sizeof(path), "log/%08llx.seg", (unsigned long long)segments);
		if (cof_io_exists(io, path) != 1)
			break;
	}
	while (!err && !found && segments > least / size) {
		segments--;
		err = last_of(r, size, COF_MAX(segments * size, least), ret, &found);
	}
	if (!err && !found && known->size && known->policy != COF_KNOWN_NONE)
		err = take(r, known->policy, ret, &found);
	return err;
}

int cof_store_policy(struct cof_io *io, const struct cof_conf *conf, struct cof_profile *ret)
{
	struct cof_known known = {.size = 0};
	struct cof_reader *r = NULL;
	int err = cof_reader_new(io, conf, &r);

	if (err < 0)
		return err;
	cof_reader_walk(r, true);
	if (cof_known_load(io, conf, &known) < 0)
		known.size = 0;
	cof_profile_default(ret);
	err = newest(r, io, conf->segment_size, &known, ret);
	if (err < 0 && known.size) { /* what is kept is wrong, or the log is: all of it tells */
		known.size = 0;
		cof_profile_default(ret);
		err = newest(r, io, conf->segment_size, &known, ret);
	}
	cof_reader_free(r);
	return err;
}
