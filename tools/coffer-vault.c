/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault: the far side. Keeps copies of archives' logs for hosts that come over ssh, and gives them back. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/vault-bundle.h"
#include "tools/vault/vault.h"

#include "crypto/age.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#define SECURE_BYTES (4u << 20)
#define IDLE_MS 120000

static const char usage[] =
    "coffer-vault keeps copies of archives for hosts far away, and says with its own key what it has seen and when.\n"
    "\n"
    "  coffer-vault init DIR --name NAME [--place LAT,LON,NAME] [--jurisdiction XX] [--grade N]\n"
    "                   [--seal tpm2 [--tpm TPM] [--pcrs LIST] [--recovery AGE]]\n"
    "      makes a vault; NAME is its key's, such as vault.example/b, and N (1 to 4) how well it is protected, as hosts are told.\n"
    "      With --seal only this machine's TPM gives the key out, while these PCRs (7) are as they are now; TPM is the path of a\n"
    "      device or socket. No copy of the key is anywhere else, but for key.age where --recovery names who can open it: that\n"
    "      identity is the vault's key, and belongs far away from it\n"
    "  coffer-vault reseal DIR [--tpm TPM] [--pcrs LIST] [--next-pcrs FILE] [--identity FILE] [--recovery AGE]\n"
    "      seals the key anew, under PCRs as they are now: before an update, with the values that will be there (--next-pcrs: lines\n"
    "      of a number and 64 digits); after one that nobody foresaw, or in a new machine, from key.age by its identity\n"
    "  coffer-vault serve DIR [--archive ID] [--quota SIZE] [--no-new]\n"
    "      one session over standard input and output: the forced command of an ssh key, such as\n"
    "        command=\"coffer-vault serve /srv/vault --archive ID\",restrict ssh-ed25519 AAAA... host\n"
    "  coffer-vault receive DIR BUNDLE... --receipt FILE [--archive ID] [--quota SIZE] [--no-new]\n"
    "      takes what was carried here by hand (coffer sync --bundle), and writes what is to be carried back\n"
    "  coffer-vault receive DIR --again --archive ID --receipt FILE\n"
    "      what is to be carried back once more, where it was lost\n"
    "  coffer-vault give BUNDLE...\n"
    "      such files as a vault that an archive is restored from: coffer restore starts it\n"
    "  coffer-vault status DIR [--silence SPAN] [--json]\n"
    "      the vault's key, and of each archive what was received and when\n"
    "  coffer-vault archives DIR [--json]\n"
    "      which archives it has, of how many frames and bytes; it judges nothing, and tells of no alarm\n"
    "  coffer-vault follow DIR --archive ID\n"
    "      signs again what follows frames that nobody permitted and that status names: their operator was asked, and it is right\n"
    "  coffer-vault scrub DIR [--json]\n"
    "      reads every copy and verifies it without any key of the archive\n"
    "  coffer-vault witness DIR\n"
    "      one HTTP request over standard input and output, behind whatever ends TLS: cosigns checkpoints (c2sp.org/tlog-witness) of the\n"
    "      archives that are here, and of logs whose keys DIR/logs names, a line each\n"
    "  coffer-vault release DIR --archive ID --author NAME --to AGE --reason TEXT > DOCUMENT\n"
    "      the document by which people permit that this vault gives out the tree R (coffer vault enroll) to whoever restores:\n"
    "        ssh-keygen -Y sign -n coffer-request -f KEY DOCUMENT      its author\n"
    "        ssh-keygen -Y sign -n coffer-approve -f KEY DOCUMENT      the others, each a copy of it\n"
    "  coffer-vault release DIR --archive ID --request DOCUMENT --signed NAME=SIGNATURE ... > FILE\n"
    "      judges it by the archive's people and this vault's clock, and gives R sealed to AGE, once; the author's signature first.\n"
    "      coffer recover and coffer restore take it: --vault-keys FILE\n"
    "  coffer-vault destroy DIR --archive ID [--unasked]\n"
    "      destroys what the vault has of an archive that retired it (coffer vault retire), and prints the receipt that it signs;\n"
    "      --unasked: also where the archive's own log does not say so\n"
    "\n"
    "Exit code: 0 well, 1 failed, 2 wrong usage; of status and scrub 3: something needs somebody (a fork, a host that is silent for too\n"
    "long, frames that do what nobody permitted); of scrub 13: a copy is damaged, and the next session of its host is to mend it.\n";

enum { EXIT_ALARM = 3, EXIT_DAMAGED = 13 };

struct args {
	const char *name, *place, *jurisdiction, *grade, *archive, *quota, *seal, *tpm, *pcrs, *recovery;
	bool no_new, json, unasked;
	int64_t silence; /* ns; 0: not said */
	const char *dir;
};

void complain(const char *fmt, ...) /* for what is shared with the coffer command */
{
	va_list ap;

	va_start(ap, fmt);
	fputs("coffer-vault: ", stderr);
	print_disarmed(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static int fail_with(const struct cof_diag *diag)
{
	cof_autofree char *shown = escaped(diag->text);

	complain("%s", shown ? shown : "out of memory");
	return 1;
}

static int misused(const char *what)
{
	fprintf(stderr, "coffer-vault: %s\nSee: coffer-vault --help\n", what);
	return EXIT_USAGE;
}

/* ---- init and serve ---- */

/* The same key as OpenSSH writes it. */
static void ssh_text(const uint8_t key[32], char out[80])
{
	static const char kind[] = "ssh-ed25519";
	uint8_t blob[4 + sizeof(kind) - 1 + 4 + 32];

	cof_put_be32(blob, sizeof(kind) - 1);
	memcpy(blob + 4, kind, sizeof(kind) - 1);
	cof_put_be32(blob + 4 + sizeof(kind) - 1, 32);
	memcpy(blob + 8 + sizeof(kind) - 1, key, 32);
	cof_base64(blob, sizeof(blob), out);
}

static int init(const struct args *a, struct cof_diag *diag)
{
	struct vault_sealing sealing = {.tpm = a->tpm, .pcrs = a->pcrs};
	struct vault_place v;
	uint8_t recipient[COF_AGE_KEY];
	char text[COF_VKEY_MAX], ssh[80];
	unsigned grade = 0;
	int r;

	if (a->grade && vault_grade_read(a->grade, &grade) < 0)
		return misused("--grade takes 1 to 4, as a policy's vault_grade");
	if (!a->name)
		return misused("init wants --name NAME, such as vault.example/b");
	if (a->seal && strcmp(a->seal, "tpm2") != 0)
		return misused("--seal takes tpm2");
	if (!a->seal && (a->tpm || a->pcrs || a->recovery))
		return misused("--tpm, --pcrs and --recovery go with --seal tpm2");
	if (a->recovery && cof_age_recipient_parse(a->recovery, strlen(a->recovery), recipient) < 0)
		return misused("--recovery takes an age recipient: age1 and 58 characters, as age-keygen -y prints it");
	sealing.recovery = a->recovery ? recipient : NULL;
	r = vault_place_init(a->dir, a->name, a->place ? a->place : "", a->jurisdiction ? a->jurisdiction : "", grade, a->seal ? &sealing : NULL,
			     diag);
	if (r == 0)
		r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	cof_vkey_text(&v.vkey, text);
	ssh_text(v.vkey.public_key, ssh);
	printf("The vault %s is made. Its key, which hosts are to compare:\n  %s\n"
	       "For the archive's people file, if retention shall go by its clock too; NAME@WHO, WHO runs it:\n  NAME@WHO ssh-ed25519 %s roles=vault\n"
	       "Next: for each host a line in ~/.ssh/authorized_keys of the user that owns it,\n"
	       "  command=\"coffer-vault serve %s\",restrict ssh-ed25519 AAAA... host\n",
	       a->dir, text, ssh, a->dir);
	vault_place_close(&v);
	return 0;
}

static void told(void *user, const char *line)
{
	(void)user;
	syslog(strstr(line, "FORK") ? LOG_ALERT : LOG_WARNING, "%s", line);
}

static int serve(const struct args *a, struct cof_diag *diag)
{
	struct vault_wire w = {.in = STDIN_FILENO, .out = STDOUT_FILENO, .timeout_ms = IDLE_MS};
	struct vault_serve p = {.no_new = a->no_new, .told = told};
	struct vault_place v;
	uint8_t only[16];
	int r;

	if (a->archive && (strlen(a->archive) != 32 || cof_unhex(a->archive, 32, only) < 0))
		return misused("--archive wants the 32 hex digits of an archive's id (coffer status tells them)");
	if (a->quota && cof_size_parse(a->quota, &p.quota) < 0)
		return misused("--quota wants a size, such as 500G");
	p.only = a->archive ? only : NULL;
	openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
	r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	vault_wire_prepare(&w);
	r = vault_serve(&v, &w, &p, diag);
	vault_place_close(&v);
	/* a host that only asks which vault this is goes before it says what it has */
	return r < 0 && r != -ENOTCONN ? fail_with(diag) : 0;
}

/* ---- witness ---- */

static int witness(const struct args *a, struct cof_diag *diag)
{
	struct vault_place v;
	int r = vault_place_open(a->dir, &v, diag);

	if (r < 0)
		return fail_with(diag);
	alarm(60); /* who holds the line without saying anything is let go */
	r = vault_witness_http(&v, STDIN_FILENO, STDOUT_FILENO);
	vault_place_close(&v);
	return r < 0;
}

/* ---- destroy ---- */

static int destroy(const struct args *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf receipt = {0};
	struct vault_place v;
	uint8_t id[16];
	int r;

	if (!a->archive || strlen(a->archive) != 32 || cof_unhex(a->archive, 32, id) < 0)
		return misused("--archive wants the 32 hex digits of an archive's id (coffer-vault status tells them)");
	r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	r = vault_destroy(&v, id, a->unasked, &receipt, diag);
	vault_place_close(&v);
	if (r < 0)
		return fail_with(diag);
	fwrite(receipt.data, 1, receipt.len, stdout);
	fprintf(stderr, "This is the receipt, for coffer vault retire STORE NAME --receipt FILE; %s/retired keeps it. Whatever backups "
			"were made of %s are not covered by it.\n",
		a->dir, a->dir);
	return 0;
}

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

static int look(const struct args *a, bool scrub, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = a->json ? cof_json_array() : NULL;
	struct looking l = {.diag = diag, .all = all, .scrub = scrub, .silence = a->silence, .progress = PROGRESS_INIT};
	struct vault_place v;
	char text[COF_VKEY_MAX], grade[24] = "";
	int r = vault_place_open(a->dir, &v, diag);

	if (r < 0)
		return fail_with(diag);
	l.v = &v;
	cof_vkey_text(&v.vkey, text);
	if (v.grade)
		snprintf(grade, sizeof(grade), ", grade %u", v.grade);
	if (!a->json)
		printf("%s%s%s%s%s%s\n", text, *v.place ? "  at " : "", v.place, *v.jurisdiction ? ", " : "", v.jurisdiction, grade);
	r = vault_place_list(&v, one, &l);
	vault_place_close(&v);
	if (r < 0)
		return *diag->text ? fail_with(diag) : (cof_fail(diag, r, "%s: %s", a->dir, strerror(-r)), fail_with(diag));
	if (a->json && print_json(all, true) < 0)
		return 1;
	return l.damaged ? EXIT_DAMAGED : l.alarm ? EXIT_ALARM : 0;
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

static int archives(const struct args *a, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = a->json ? cof_json_array() : NULL;
	struct listing l = {.all = all, .diag = diag};
	struct vault_place v;
	int r = vault_place_open(a->dir, &v, diag);

	if (r < 0)
		return fail_with(diag);
	l.v = &v;
	r = vault_place_list(&v, list_one, &l);
	vault_place_close(&v);
	if (r < 0)
		return *diag->text ? fail_with(diag) : (cof_fail(diag, r, "%s: %s", a->dir, strerror(-r)), fail_with(diag));
	return a->json && print_json(all, true) < 0;
}

/* ---- follow ---- */

static int follow(const struct args *a, struct cof_diag *diag)
{
	struct vault_judged found;
	struct vault_place v;
	struct cof_io *io = NULL;
	uint8_t id[16];
	int r;

	if (!a->archive || strlen(a->archive) != 32 || cof_unhex(a->archive, 32, id) < 0)
		return misused("follow wants --archive ID, which status shows");
	r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	r = vault_place_archive(&v, id, &io, diag);
	if (r == 0)
		r = cof_io_lock(io, "coffer-vault follow", diag);
	if (r == 0) {
		r = vault_judged_follow(io, &found, diag);
		cof_io_unlock(io);
	}
	if (r == 0) {
		openlog("coffer-vault", LOG_PID, LOG_AUTHPRIV);
		syslog(LOG_ALERT, "archive %s: followed behind frame %" PRIu64 ", although %s", a->archive, found.end - 1, found.first);
		printf("Known from now on: %s.\nWhat was found up to frame %" PRIu64 " keeps no head from being signed.\n", found.first,
		       found.end - 1);
	}
	cof_io_free(io);
	vault_place_close(&v);
	return r < 0 ? fail_with(diag) : 0;
}

static int take_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"name", 1, NULL, 'n'},	   {"place", 1, NULL, 'p'}, {"jurisdiction", 1, NULL, 'j'}, {"grade", 1, NULL, 'g'},
						{"silence", 1, NULL, 's'}, {"seal", 1, NULL, 'S'}, {"tpm", 1, NULL, 't'}, {"pcrs", 1, NULL, 'P'}, {"recovery", 1, NULL, 'r'},
						{"archive", 1, NULL, 'a'}, {"quota", 1, NULL, 'q'}, {"no-new", 0, NULL, 'N'},
						{"json", 0, NULL, 'J'},	   {"unasked", 0, NULL, 'U'},	   {"help", 0, NULL, 'h'},  {0}};
	const char **text[] = {['n'] = &a->name, ['p'] = &a->place, ['j'] = &a->jurisdiction, ['g'] = &a->grade, ['a'] = &a->archive, ['q'] = &a->quota,
			       ['S'] = &a->seal, ['t'] = &a->tpm, ['P'] = &a->pcrs, ['r'] = &a->recovery};
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (o == 'N')
			a->no_new = true;
		else if (o == 'J')
			a->json = true;
		else if (o == 'U')
			a->unasked = true;
		else if (o == 's' && cof_span_parse(optarg, &a->silence) < 0)
			return misused("--silence wants a span, such as 2d");
		else if (o == 's')
			continue;
		else if (o == 'h')
			return fputs(usage, stdout) < 0;
		else if (o == '?')
			return misused("an option that is not known, or without its value");
		else
			*text[o] = optarg;
	}
	if (argc - optind != 1)
		return misused("one directory is wanted: DIR");
	a->dir = argv[optind];
	return -1;
}

static int run(int argc, char **argv)
{
	static const char *const names[] = {"init", "serve", "status", "scrub", "follow", "destroy", "witness", "archives", NULL};
	struct args a = {.name = NULL};
	struct cof_diag diag = {""};
	int verb = 0, code;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return fputs(usage, stdout) < 0;
	if (!strcmp(argv[1], "--version"))
		return printf("coffer-vault %s\n", COF_VERSION) < 0;
	if (!strcmp(argv[1], "receive"))
		return bundle_receive_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "give"))
		return bundle_give_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "release"))
		return vault_release_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "reseal"))
		return vault_reseal_main(argc - 1, argv + 1);
	while (names[verb] && strcmp(names[verb], argv[1]))
		verb++;
	if (!names[verb])
		return misused("the verb is init, serve, receive, give, status, scrub, archives, follow, release, reseal, destroy or witness");
	code = take_args(argc - 1, argv + 1, &a);
	if (code >= 0)
		return code;
	if (cof_crypto_init_brief(SECURE_BYTES, &diag) < 0)
		return fail_with(&diag);
	switch (verb) {
	case 0:
		return init(&a, &diag);
	case 1:
		return serve(&a, &diag);
	case 4:
		return follow(&a, &diag);
	case 5:
		return destroy(&a, &diag);
	case 6:
		return witness(&a, &diag);
	case 7:
		return archives(&a, &diag);
	default:
		return look(&a, verb == 3, &diag);
	}
}

int main(int argc, char **argv)
{
	int code;

	signal(SIGPIPE, SIG_IGN);
	code = run(argc, argv);
	if (output_finish() < 0 && code == 0)
		code = 1;
	return code;
}
