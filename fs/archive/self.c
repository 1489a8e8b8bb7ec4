/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon is made of, on record: the fields that its MOUNT frame carries are compared with
 * those of the mount before, and what is another now is an EVENT. And events that the daemon has to
 * tell of itself.
 */
#include "fs/archive/note.h"

#include <stdio.h>

#define LINES_MAX 16 /* of what changed; a larger update is told by its number */

void cof_archive_record(struct cof_archive *a, const char *event, const char *text)
{
	const struct cof_event e = {.type = event, .detail = text};

	cof_gate_enter(a);
	(void)cof_event_emit(a, &e, NULL); /* what cannot be recorded is told all the same */
	cof_gate_leave(a);
}

/* ---- comparing ---- */

struct changes {
	struct cof_buf text;
	unsigned n;
};

static void say(struct changes *c, const char *what, const void *name, size_t n)
{
	if (c->n++ < LINES_MAX)
		cof_buf_printf(&c->text, "%s%.*s%s", c->text.len ? "\n" : "", (int)n, (const char *)name, what);
}

/* A measured file of this name: its digest, or NULL. */
static const uint8_t *find_file(const uint8_t *fields, size_t len, const void *name, size_t n)
{
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(fields, len, &off, &f) == 1)
		if (f.tag == COF_T_MEASURED && f.len == COF_HASH + n && memcmp(f.value + COF_HASH, name, n) == 0)
			return f.value;
	return NULL;
}

static bool has_same(const uint8_t *fields, size_t len, const struct cof_field *want)
{
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(fields, len, &off, &f) == 1)
		if (f.tag == want->tag && f.len == want->len && memcmp(f.value, want->value, f.len) == 0)
			return true;
	return false;
}

static void compare_file(struct changes *c, const struct cof_field *f, const uint8_t *old, size_t old_len)
{
	const uint8_t *was;
	char hex[2 * COF_HASH + 1], old_hex[2 * COF_HASH + 1], line[192];

	if (f->len <= COF_HASH)
		return;
	was = find_file(old, old_len, f->value + COF_HASH, f->len - COF_HASH);
	if (was && memcmp(was, f->value, COF_HASH) == 0)
		return;
	cof_hex(f->value, COF_HASH, hex);
	if (was) {
		cof_hex(was, COF_HASH, old_hex);
		snprintf(line, sizeof(line), ": SHA-256 was %s, is %s", old_hex, hex);
	} else {
		snprintf(line, sizeof(line), ": new, SHA-256 %s", hex);
	}
	say(c, line, f->value + COF_HASH, f->len - COF_HASH);
}

static void compare(struct changes *c, const uint8_t *old, size_t old_len, const uint8_t *now, size_t now_len)
{
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(now, now_len, &off, &f) == 1) {
		if (f.tag == COF_T_MEASURED)
			compare_file(c, &f, old, old_len);
		else if (f.tag == COF_T_MODULE && !has_same(old, old_len, &f))
			say(c, ": so the module is now", f.value, f.len);
		else if (f.tag == COF_T_GUARD && !has_same(old, old_len, &f) && f.len > COF_HASH)
			say(c, ": so the daemon is confined now", f.value + COF_HASH, f.len - COF_HASH);
		else if (f.tag == COF_T_OPTIONS && !has_same(old, old_len, &f))
			say(c, ": mounted with these options now", f.value, f.len);
	}
	off = 0;
	while (cof_field_next(old, old_len, &off, &f) == 1)
		if (f.tag == COF_T_MEASURED && f.len > COF_HASH &&
		    !find_file(now, now_len, f.value + COF_HASH, f.len - COF_HASH))
			say(c, ": no longer used", f.value + COF_HASH, f.len - COF_HASH);
	if (c->n > LINES_MAX)
		cof_buf_printf(&c->text, "\nand %u more", c->n - LINES_MAX);
}

int cof_self_compare(struct cof_archive *a)
{
	cof_autobuf struct cof_buf old = {0};
	struct changes c = {.n = 0};
	struct cof_field first;
	struct cof_frame f;
	int r = 0;

	/* A mount that could not be read, or that had no such fields, has nothing to compare with. */
	if (!a->p.self_len || cof_last_mount(a, &f, &old) < 0 ||
	    cof_field_find(old.data, old.len, COF_T_MEASURED, &first) < 0)
		return 0;
	compare(&c, old.data, old.len, a->p.self, a->p.self_len);
	if (c.n) {
		const struct cof_event e = {.type = "changed", .detail = (const char *)c.text.data};

		r = c.text.failed ? -ENOMEM : cof_event_emit(a, &e, NULL);
	}
	cof_buf_done(&c.text);
	return r;
}
