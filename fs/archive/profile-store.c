/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force of a store that nobody has open: its newest POLICY frame, looked for from the end, without keys. */
#include <stdio.h>

#include "fs/archive/internal.h"

/* The last one of a segment, as far as its headers lead. *ret_found stays false without one. */
static int last_of(struct cof_reader *r, uint64_t size, uint64_t segment, struct cof_profile *ret, bool *ret_found)
{
	uint64_t address = segment * size, end = address + size, sequence = 0;
	struct cof_frame f;
	int err = 0;

	while (address < end && (err = cof_reader_header(r, address, &f, NULL, NULL)) == 0) {
		/* What lies behind an end that was cut off belongs to nothing. */
		if (sequence && f.sequence != sequence + 1)
			break;
		sequence = f.sequence;
		if (f.type == COF_POLICY) {
			cof_autobuf struct cof_buf fields = {0};
			struct cof_profile_file file;
			struct cof_field text;

			err = cof_frame_read(r, NULL, (const uint8_t[16]){0}, address, &f, &fields, NULL);
			if (err == 0 && cof_field_find(fields.data, fields.len, COF_T_POLICY, &text) == 0 &&
			    cof_profile_parse((const char *)text.value, text.len, &file, NULL) == 0) {
				*ret = file.archive;
				*ret_found = true;
				cof_profile_file_done(&file);
			}
			if (err < 0)
				break;
		}
		address += COF_FRAME_HEADER + f.stored;
	}
	return err == -ENOMEM || err == -EIO || err == -EMFILE || err == -ENFILE || err == -EBADMSG ? err : 0;
}

int cof_store_policy(struct cof_io *io, const struct cof_conf *conf, struct cof_profile *ret)
{
	struct cof_reader *r = NULL;
	uint64_t segments = 0;
	bool found = false;
	char path[32];
	int err = cof_reader_new(io, conf, &r);

	cof_profile_default(ret);
	for (; !err && segments <= UINT32_MAX; segments++) {
		snprintf(path, sizeof(path), "log/%08llx.seg", (unsigned long long)segments);
		if (cof_io_exists(io, path) != 1)
			break;
	}
	if (r)
		cof_reader_walk(r, true);
	while (!err && !found && segments--)
		err = last_of(r, conf->segment_size, segments, ret, &found);
	cof_reader_free(r);
	return err;
}
