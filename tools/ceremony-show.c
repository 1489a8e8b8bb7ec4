/* SPDX-License-Identifier: Apache-2.0 */
/* A transcript in words, and as JSON; those that an archive has; one that is brought to it. */
#include "tools/ceremony-show.h"
#include "tools/ceremony.h"
#include "tools/file.h"
#include "tools/output.h"

#include <stdio.h>
#include <time.h>

/* ---- one ---- */

static void show_line(const struct cof_ceremony *c, const struct cof_ceremony_line *l)
{
	char time[32];
	const char *text;
	int64_t number;

	cof_time_text(l->time - l->time % COF_NSEC, time);
	printf("%s  %s", time, cof_ceremony_what_name(l->what));
	switch (l->what) {
	case COF_CER_PRESENT:
	case COF_CER_AGREED:
	case COF_CER_SIGNED:
		printf(": %s", c->roll[l->person]);
		break;
	case COF_CER_BEGUN:
		if (cof_json_int(l->o, "attempt", &number) == 0)
			printf(": %s, attempt %lld", cof_ceremony_step_name(l->step), (long long)number);
		break;
	case COF_CER_CONFIRMED:
	case COF_CER_DESTROYED:
		printf(": share %u%s", l->number + 1,
		       l->what == COF_CER_DESTROYED && !cof_ceremony_bound(l) ? ", by a proof that is bound to no ceremony (of a version before)" : "");
		break;
	default:
		text = cof_json_str(l->o, "step");
		if (!text)
			text = cof_json_str(l->o, "outcome");
		if (!text)
			text = cof_json_str(l->o, "reason");
		if (!text)
			text = cof_json_str(l->o, "document");
		if (!text || l->what == COF_CER_OPENED)
			text = cof_json_str(l->o, l->what == COF_CER_OPENED ? "kind" : "output");
		printf(text ? ": %s" : "%s", text ? text : "");
	}
	printf("\n");
}

static void tell(const struct cof_ceremony *c, struct cof_json *o)
{
	cof_autobuf struct cof_buf missing = {0};
	struct cof_json *present = cof_json_array(), *lines = cof_json_array();
	char hex[65];

	cof_hex(c->id, 32, hex);
	cof_json_set_str(o, "ceremony", hex);
	cof_json_set_str(o, "kind", cof_ceremony_kind_name(c->kind));
	cof_json_set_bool(o, "rehearsal", c->rehearsal);
	cof_hex(c->archive, 16, hex);
	cof_json_set_str(o, "archive", c->has_archive ? hex : "none");
	cof_json_set_uint(o, "epoch", c->epoch);
	cof_hex(c->epoch_key, 32, hex);
	cof_json_set_str(o, "epoch_key", hex);
	cof_json_set_bool(o, "complete", c->complete);
	cof_json_set_bool(o, "abandoned", c->abandoned);
	for (unsigned i = 0; i < c->n_roll; i++)
		if (c->present[i])
			cof_json_append(present, cof_json_string(c->roll[i]));
	cof_json_set(o, "present", present);
	cof_ceremony_missing(c, &missing);
	cof_json_set_str(o, "missing", missing.data ? (char *)missing.data : "");
	for (size_t i = 0; i < c->n_lines; i++)
		cof_json_append(lines, cof_json_ref(c->line[i].o));
	cof_json_set(o, "lines", lines);
}

static void say_head(const struct cof_ceremony *c)
{
	char hex[65];

	cof_hex(c->id, 32, hex);
	printf("%sCeremony %s\n  %s, epoch %u", c->rehearsal ? "REHEARSAL. " : "", hex, cof_ceremony_kind_name(c->kind), c->epoch);
	cof_hex(c->archive, 16, hex);
	printf("; for %s%s; present:", c->has_archive ? "archive " : "no archive yet", c->has_archive ? hex : "");
	for (unsigned i = 0; i < c->n_roll; i++)
		if (c->present[i])
			printf(" %s", c->roll[i]);
	for (unsigned i = 0, absent = 0; i < c->n_roll; i++)
		if (!c->present[i])
			printf("%s %s", absent++ ? "" : "; not there:", c->roll[i]);
	printf("\n");
}

int ceremony_show(const char *path, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	cof_autobuf struct cof_buf missing = {0};
	struct ceremony w;
	int r = ceremony_load(path, NULL, &w, diag);

	if (r == 0 && json) {
		tell(&w.c, o);
		r = print_json(o, true);
	} else if (r == 0) {
		say_head(&w.c);
		for (size_t i = 0; i < w.c.n_lines; i++)
			show_line(&w.c, &w.c.line[i]);
		cof_ceremony_missing(&w.c, &missing);
		if (missing.len)
			printf("Not complete: %s.\n", (char *)missing.data);
	}
	ceremony_done(&w);
	return r;
}

int ceremony_verify(const char *path, const char *people, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct ceremony w;
	char hex[65];
	int r = ceremony_load(path, people, &w, diag);

	if (r == 0)
		r = ceremony_judge(&w, true, diag);
	if (r == 0 && json) {
		tell(&w.c, o);
		r = print_json(o, true);
	} else if (r == 0) {
		cof_hex(w.c.id, 32, hex);
		printf("%s%s %s: %zu lines, whole and signed by all who were present%s.\n", w.c.rehearsal ? "REHEARSAL. " : "",
		       cof_ceremony_kind_name(w.c.kind), hex, w.c.n_lines, w.c.abandoned ? "; it was abandoned" : "");
		printf("Which archive it is of, and that it counts once, is judged where it is brought.\n");
	}
	ceremony_done(&w);
	return r;
}

/* ---- in an archive ---- */

struct listing {
	bool json;
	size_t n;
};

static int list_one(void *user, struct cof_json *o)
{
	const char *id = cof_json_str(o, "ceremony"), *kind = cof_json_str(o, "kind"), *held = cof_json_str(o, "held");
	struct listing *l = user;
	int64_t epoch = 0;

	l->n++;
	if (l->json)
		return print_json(o, false);
	(void)cof_json_int(o, "epoch", &epoch);
	printf("%.16s  %.10s  %-11s epoch %lld%s%s\n", id ? id : "?", held ? held : "?", kind ? kind : "?", (long long)epoch,
	       cof_json_bool(o, "abandoned") ? ", abandoned" : "", cof_json_bool(o, "rehearsal") ? "  REHEARSAL" : "");
	return output_broken() ? -EPIPE : 0;
}

int ceremony_list(struct people_asking *ask, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct listing l = {.json = json};
	int r = people_ask(ask, "ceremonies", args, list_one, &l, diag);

	if (r == 0 && !l.n && !json)
		printf("No ceremony is on record here.\n");
	return r;
}

static int load_all(const char *dir, struct cof_buf *text, struct cof_buf *sheet, struct cof_diag *diag)
{
	cof_autofree char *transcript = NULL, *beside = NULL;
	int r;

	if (asprintf(&transcript, "%s/transcript", dir) < 0 || asprintf(&beside, "%s/sheet.json", dir) < 0)
		return -ENOMEM;
	r = file_load(transcript, COF_CEREMONY_MAX, text, diag);
	return r == 0 ? file_load(beside, 60000, sheet, diag) : r;
}

int ceremony_submit(struct people_asking *ask, const char *dir, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf text = {0}, sheet = {0};
	int64_t sequence = 0;
	int r = load_all(dir, &text, &sheet, diag);

	if (r < 0)
		return r;
	people_set_bytes(args, "transcript", &text);
	people_set_bytes(args, "sheet", &sheet);
	r = people_ask_one(ask, "ceremony-put", args, &o, diag);
	if (r < 0 || json)
		return r < 0 ? r : print_json(o, true);
	(void)cof_json_int(o, "sequence", &sequence);
	printf("The transcript of this %s is on record, as frame %lld%s.\n", cof_json_str(o, "kind"), (long long)sequence,
	       cof_json_bool(o, "rehearsal") ? ": a REHEARSAL, which counts as nothing else" : "");
	return 0;
}
