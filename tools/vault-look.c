/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault status, scrub and archives: what there is of each archive, whether it is whole, and what needs somebody. */
#include "tools/vault-look.h"

#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/vault/vault.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { EXIT_ALARM = 3, EXIT_DAMAGED = 13 };

/* ---- status and scrub ---- */

struct looking {
	const struct vault_place *v;
	struct cof_diag *diag;
	struct cof_json *all; /* NULL: text */
	bool scrub, damaged, alarm;
	int64_t silence;
	struct progress progress;
};

static int count_one(void *user, const char *name)
{
	(void)name;
	++*(unsigned *)user;
	return 0;
}

static unsigned forks_of(struct cof_io *io)
{
	unsigned n = 0;

	return cof_io_list(io, "forks", count_one, &n) == 0 ? n : 0;
}

struct seen {
	char id[33], origin[COF_NOTE_NAME], when[32], verdict[32], first[512];
	char scrubbed[96]; /* when the last scrub was that ended, a blank, its verdict; "": none */
	struct looking *looking;
	uint64_t size;
	unsigned forks;
	bool silent, mended, destroying;
	bool unconfirmed; /* its first session goes on, or was cut off: this vault has signed nothing of it */
	char keys[2 * COF_HASH + 1]; /* of the tree R that came last; "": none */
	struct vault_judged judged;
	struct vault_damage damage;
	struct cof_judge_places *places;
};

static void first_finding(void *user, const struct cof_finding *f)
{
	struct seen *s = user;

	if (!s->first[0])
		snprintf(s->first, sizeof(s->first), "%s", f->text);
	if (f->verdict > COF_UNSEALED && f->segment >= 0)
		vault_damage_add(&s->damage, (uint32_t)f->segment);
}

static void on_frame(void *user, const struct cof_frame *f, uint64_t address)
{
	struct seen *s = user;

	if (s->places)
		cof_judge_places_add(s->places, f, address);
}

static void on_progress(void *user, uint64_t done, uint64_t total)
{
	struct seen *s = user;

	progress_update(&s->looking->progress, done, total);
}

/* ---- the last scrub ---- */

static void load_scrubbed(struct cof_io *io, struct seen *s)
{
	cof_autofree uint8_t *text = NULL;
	size_t n = 0;

	if (cof_io_load(io, "scrubbed", sizeof(s->scrubbed) - 1, &text, &n) < 0 || !n || text[n - 1] != '\n')
		return; /* none, or no line of ours: then the next one says it again */
	memcpy(s->scrubbed, text, n - 1);
	s->scrubbed[n - 1] = 0;
}

static int save_scrubbed(struct cof_io *io, enum cof_verdict verdict)
{
	char line[96], now[32];

	cof_time_text(cof_now(CLOCK_REALTIME), now);
	return cof_io_replace(io, "scrubbed", line, (size_t)snprintf(line, sizeof(line), "%s %s\n", now, cof_verdict_name(verdict)));
}

/* The lock is held. What no segment is the reason of is mended here: hashes come from the log. A session that came since the log was
 * verified brought frames, and what it judged is not written over without them. */
static int note_scrubbed(const struct looking *l, struct cof_io *io, enum cof_verdict verdict, struct seen *s)
{
	int r = vault_damage_save(io, &s->damage);

	if (r == 0)
		r = save_scrubbed(io, verdict);
	if (r < 0)
		return r;
	if (verdict > COF_INCOMPLETE) {
		s->mended = !s->damage.n && vault_copy_mend_hashes(io, NULL) == 0;
		return 0;
	}
	if (s->places)
		r = cof_judge_places_follow(io, s->places, l->diag);
	return r < 0 ? r : vault_judge(io, s->places, &s->judged, l->diag);
}

/* What this vault says of the rules, and which segments the next session is asked for. */
static int scrubbed(const struct looking *l, struct cof_io *io, enum cof_verdict verdict, struct seen *s)
{
	int r = cof_io_lock(io, "coffer-vault scrub", l->diag);

	if (r == -EBUSY) /* a session is on: it judges by itself, and mends nothing */
		return 0;
	if (r == 0) {
		r = note_scrubbed(l, io, verdict, s);
		cof_io_unlock(io);
	}
	return r;
}

/* Longer than the archive's policy has it, or as this vault's operator says. */
static bool is_silent(const struct looking *l, struct cof_io *io, const struct cof_conf *conf, int64_t confirmed)
{
	struct cof_profile policy;
	int64_t each = l->silence;

	if (!each && cof_store_policy(io, conf, &policy) == 0)
		each = policy.backup_offsite;
	return each && cof_now(CLOCK_REALTIME) - confirmed > each;
}

static int look_at(struct looking *l, struct cof_io *io, struct seen *s)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_verified found;
	struct cof_verify_params p = {.io = io, .finding = first_finding, .frame = on_frame, .progress = on_progress, .user = s};
	struct cof_checkpoint head = {.size = 0};
	struct cof_note cosigned;
	struct cof_conf conf;
	char holder[64];
	size_t n = 0;
	int r = cof_conf_load(io, &conf, l->diag);

	if (r < 0)
		return r;
	snprintf(s->origin, sizeof(s->origin), "%s", conf.vkey.name);
	s->forks = forks_of(io);
	if (vault_keys_newest(io, s->keys) < 0)
		s->keys[0] = 0;
	(void)vault_judged_load(io, &s->judged);
	s->destroying = cof_io_exists(io, "destroying") > 0;
	s->looking = l;
	load_scrubbed(io, s);
	r = cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r == 0 && cof_checkpoint_open(note, n, &conf.vkey, &head) == 0) {
		s->size = head.size;
		if (cof_note_open(note, n, &l->v->vkey, 1, &cosigned) == 0)
			cof_time_text((int64_t)cosigned.time[0] * COF_NSEC, s->when);
		s->silent = *s->when && is_silent(l, io, &conf, (int64_t)cosigned.time[0] * COF_NSEC);
	}
	s->unconfirmed = r == -ENOENT && (cof_io_exists(io, "received") == 0 || cof_io_locked(io, holder, sizeof(holder)) > 0);
	if (!l->scrub || s->unconfirmed) /* what a first session has brought so far, it judges itself */
		return 0;
	(void)cof_judge_places_new(&s->places);
	r = cof_log_verify(&p, &found, l->diag);
	progress_clear(&l->progress);
	if (r == 0)
		snprintf(s->verdict, sizeof(s->verdict), "%s", cof_verdict_name(found.verdict));
	if (r == 0)
		r = scrubbed(l, io, found.verdict, s);
	cof_judge_places_free(s->places);
	s->places = NULL;
	if (r < 0)
		return r;
	/* What is behind the head was on its way when a session ended, or is not signed; a newer checkpoint may be in it. */
	return found.verdict > COF_INCOMPLETE || (found.verdict == COF_INCOMPLETE && !found.tail);
}

/* first, judged.first: the host wrote the log that they tell of. */
static void show(const struct looking *l, const struct seen *s)
{
	cof_autofree char *first = escaped(s->first), *not_permitted = escaped(s->judged.first), *scrubbed_text = escaped(s->scrubbed);
	struct cof_json *row;

	if (!l->all) {
		printf("%s  %s\n  %" PRIu64 " frames%s%s%s%s%s\n", s->id, s->origin, s->size, *s->when ? ", the last confirmed " : "",
		       s->when, s->forks ? ", FORKED: see forks/" : "", *s->verdict ? "; " : "", s->verdict);
		if (s->unconfirmed)
			printf("  its first session is not over: nothing of it was signed yet\n");
		if (*s->first)
			printf("  %s\n", first ? first : "?");
		if (!l->scrub && !s->unconfirmed)
			printf("  %s%s\n", *s->scrubbed ? "last scrub " : "never scrubbed: coffer-vault scrub DIR", scrubbed_text ? scrubbed_text : "?");
		if (*s->keys)
			printf("  has the tree R: %s\n", s->keys);
		if (s->destroying)
			printf("  UNDONE: what people destroyed is not gone here yet; the next session goes on with it\n");
		if (s->mended)
			printf("  its stored hashes were made anew from its log, which holds: another scrub tells\n");
		if (s->silent)
			printf("  SILENT: its host has not come for longer than its schedule\n");
		if (s->judged.not_permitted)
			printf("  NOT PERMITTED: %s; %" PRIu64 " of that kind\n", not_permitted ? not_permitted : "?",
			       s->judged.not_permitted);
		return;
	}
	row = cof_json_object();
	cof_json_set_str(row, "archive", s->id);
	cof_json_set_str(row, "origin", s->origin);
	cof_json_set_uint(row, "size", s->size);
	if (*s->when)
		cof_json_set_str(row, "confirmed", s->when);
	cof_json_set_uint(row, "forks", s->forks);
	if (*s->keys)
		cof_json_set_str(row, "keys", s->keys);
	if (*s->scrubbed)
		cof_json_set_str(row, "scrubbed", s->scrubbed);
	cof_json_set_bool(row, "silent", s->silent);
	cof_json_set_bool(row, "destroying", s->destroying);
	cof_json_set_uint(row, "not_permitted", s->judged.not_permitted);
	if (s->judged.not_permitted)
		cof_json_set_str(row, "first_not_permitted", s->judged.first);
	if (l->scrub && !s->unconfirmed) {
		cof_json_set_str(row, "verdict", s->verdict);
		if (*s->first)
			cof_json_set_str(row, "first", s->first);
		if (s->mended)
			cof_json_set_bool(row, "hashes_mended", true);
	}
	cof_json_append(l->all, row);
}

static int one(void *user, const uint8_t id[16])
{
	struct looking *l = user;
	cof_autofree struct seen *s = calloc(1, sizeof(*s));
	struct cof_io *io = NULL;
	int r = !s ? -ENOMEM : vault_place_archive(l->v, id, &io, l->diag);

	if (s)
		cof_hex(id, 16, s->id);
	if (r == 0)
		r = look_at(l, io, s);
	if ((r == -ENOENT || r == -ESTALE) && (!io || (cof_io_exists(io, "archive.conf") == 0 && cof_io_exists(io, "checkpoint") == 0))) {
		l->diag->text[0] = 0; /* a first session makes it just now, or took it away again: nothing of it was ever confirmed */
		cof_io_free(io);
		return 0;
	}
	cof_io_free(io);
	if (r < 0)
		return r;
	l->damaged |= r > 0;
	l->alarm |= s->silent || s->forks || s->judged.not_permitted;
	show(l, s);
	return 0;
}

int vault_look(const struct vault_look *w, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = w->json ? cof_json_array() : NULL;
	struct looking l = {.diag = diag, .all = all, .scrub = w->scrub, .silence = w->silence, .progress = PROGRESS_INIT};
	struct vault_place v;
	char text[COF_VKEY_MAX], grade[24] = "";
	int r = vault_place_open(w->dir, &v, diag);

	if (r < 0)
		return r;
	l.v = &v;
	cof_vkey_text(&v.vkey, text);
	if (v.grade)
		snprintf(grade, sizeof(grade), ", grade %u", v.grade);
	if (!w->json)
		printf("%s%s%s%s%s%s\n", text, *v.place ? "  at " : "", v.place, *v.jurisdiction ? ", " : "", v.jurisdiction, grade);
	r = vault_place_list(&v, one, &l);
	vault_place_close(&v);
	if (r < 0)
		return *diag->text ? r : cof_fail(diag, r, "%s: %s", w->dir, strerror(-r));
	if (w->json && print_json(all, true) < 0)
		return EXIT_FAILED;
	return l.damaged ? EXIT_DAMAGED : l.alarm ? EXIT_ALARM : EXIT_OK;
}

/* ---- archives ---- */

struct used { /* bytes of the segments of a log */
	struct cof_io *io;
	uint64_t bytes;
};

static int add_used(void *user, const char *name)
{
	struct used *u = user;
	struct cof_file *f = NULL;
	uint64_t size = 0;
	char path[300];

	snprintf(path, sizeof(path), "log/%s", name);
	if (cof_io_open(u->io, path, COF_IO_RDONLY, &f) == 0 && cof_io_size(f, &size) == 0)
		u->bytes += size;
	cof_io_close(f);
	return 0;
}

struct listing {
	const struct vault_place *v;
	struct cof_json *all; /* NULL: text */
	struct cof_diag *diag;
};

static int list_one(void *user, const uint8_t id[16])
{
	const struct listing *l = user;
	struct cof_checkpoint head = {.size = 0};
	cof_autofree uint8_t *note = NULL;
	struct cof_io *io = NULL;
	struct cof_conf conf;
	struct used used = {0};
	struct cof_json *row;
	char hex[33], size[32];
	size_t n = 0;
	int r = vault_place_archive(l->v, id, &io, l->diag);

	cof_hex(id, 16, hex);
	if (r == 0)
		r = cof_conf_load(io, &conf, l->diag);
	if (r == 0 && cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n) == 0)
		(void)cof_checkpoint_open(note, n, &conf.vkey, &head);
	used.io = io;
	if (r == 0 && (cof_io_list(io, "log", add_used, &used)) < 0)
		used.bytes = 0; /* no frame came yet */
	cof_io_free(io);
	if (r == -ENOENT || r == -ESTALE) {
		l->diag->text[0] = 0; /* a first session makes it just now */
		return 0;
	}
	if (r < 0)
		return r;
	cof_size_text(used.bytes, size);
	if (!l->all) {
		cof_autofree char *origin = escaped(conf.vkey.name);

		printf("%s  %s  %" PRIu64 " frames, %s\n", hex, origin ? origin : "?", head.size, size);
		return 0;
	}
	row = cof_json_object();
	cof_json_set_str(row, "archive", hex);
	cof_json_set_str(row, "origin", conf.vkey.name);
	cof_json_set_uint(row, "size", head.size);
	cof_json_set_uint(row, "bytes", used.bytes);
	cof_json_append(l->all, row);
	return 0;
}

int vault_archives(const char *dir, bool json, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = json ? cof_json_array() : NULL;
	struct listing l = {.all = all, .diag = diag};
	struct vault_place v;
	int r = vault_place_open(dir, &v, diag);

	if (r < 0)
		return r;
	l.v = &v;
	r = vault_place_list(&v, list_one, &l);
	vault_place_close(&v);
	if (r < 0)
		return *diag->text ? r : cof_fail(diag, r, "%s: %s", dir, strerror(-r));
	return json && print_json(all, true) < 0 ? EXIT_FAILED : EXIT_OK;
}
