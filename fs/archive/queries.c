/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for the log, for events, for a file's history or for certificates reads as who opens a file does: where a
 * shelf says read_events, that is on record too, before the answer.
 */
#include "fs/archive/note.h"

static int look_at(void *user, struct cof_json *shelf)
{
	const char *text = cof_json_str(shelf, "policy");
	bool *wanted = user;
	struct cof_policy p;

	if (text && cof_policy_parse(text, strlen(text), &p, NULL) == 0)
		*wanted |= p.read_events;
	return 0;
}

int cof_archive_queried(struct cof_archive *a, const struct cof_who *who, const char *what)
{
	const struct cof_event e = {.type = COF_EV_QUERIED, .operation = what, .who = who};
	bool wanted = false;
	int r = cof_archive_shelves(a, look_at, &wanted);

	if (r < 0 || !wanted)
		return r;
	COF_GATED(a, r, cof_event_emit(a, &e, NULL));
	return r == -EROFS ? 0 : r; /* nothing is recorded any more, and the log tells why: it has to be readable */
}
