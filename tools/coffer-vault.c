/* SPDX-License-Identifier: Apache-2.0 */
/* coffer-vault: the far side. Keeps copies of archives' logs for hosts that come over ssh, and gives them back. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/vault/vault.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <syslog.h>

#define SECURE_BYTES (1u << 20)
#define IDLE_MS 120000

static const char usage[] =
    "coffer-vault keeps copies of archives for hosts far away, and says with its own key what it has seen and when.\n"
    "\n"
    "  coffer-vault init DIR --name NAME [--place LAT,LON,NAME] [--jurisdiction XX]\n"
    "      makes a vault; NAME is its key's, such as vault.example/b\n"
    "  coffer-vault serve DIR [--archive ID] [--quota SIZE] [--no-new]\n"
    "      one session over standard input and output: the forced command of an ssh key, such as\n"
    "        command=\"coffer-vault serve /srv/vault --archive ID\",restrict ssh-ed25519 AAAA... host\n"
    "  coffer-vault status DIR [--json]\n"
    "      the vault's key, and of each archive what was received and when\n"
    "  coffer-vault scrub DIR [--json]\n"
    "      reads every copy and verifies it without any key of the archive\n"
    "\n"
    "Exit code: 0 well, 1 failed, 2 wrong usage; of scrub 13: a copy is damaged.\n";

enum { EXIT_DAMAGED = 13 };

struct args {
	const char *name, *place, *jurisdiction, *archive, *quota;
	bool no_new, json;
	const char *dir;
};

void complain(const char *fmt, ...) /* for what is shared with the coffer command */
{
	va_list ap;

	va_start(ap, fmt);
	fputs("coffer-vault: ", stderr);
	vfprintf(stderr, fmt, ap);
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

static int init(const struct args *a, struct cof_diag *diag)
{
	struct vault_place v;
	char text[COF_VKEY_MAX];
	int r;

	if (!a->name)
		return misused("init wants --name NAME, such as vault.example/b");
	r = vault_place_init(a->dir, a->name, a->place ? a->place : "", a->jurisdiction ? a->jurisdiction : "", diag);
	if (r == 0)
		r = vault_place_open(a->dir, &v, diag);
	if (r < 0)
		return fail_with(diag);
	cof_vkey_text(&v.vkey, text);
	printf("The vault %s is made. Its key, which hosts are to compare:\n  %s\n"
	       "Next: for each host a line in ~/.ssh/authorized_keys of the user that owns it,\n"
	       "  command=\"coffer-vault serve %s\",restrict ssh-ed25519 AAAA... host\n",
	       a->dir, text, a->dir);
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
	r = vault_serve(&v, &w, &p, diag);
	vault_place_close(&v);
	/* a host that only asks which vault this is goes before it says what it has */
	return r < 0 && r != -ENOTCONN ? fail_with(diag) : 0;
}

/* ---- status and scrub ---- */

struct looking {
	const struct vault_place *v;
	struct cof_diag *diag;
	struct cof_json *all; /* NULL: text */
	bool scrub, damaged;
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
	uint64_t size;
	unsigned forks;
};

static void first_finding(void *user, const struct cof_finding *f)
{
	struct seen *s = user;

	if (!s->first[0])
		snprintf(s->first, sizeof(s->first), "%s", f->text);
}

static int look_at(const struct looking *l, struct cof_io *io, struct seen *s)
{
	cof_autofree uint8_t *note = NULL;
	struct cof_verified found;
	struct cof_verify_params p = {.io = io, .finding = first_finding, .user = s};
	struct cof_checkpoint head = {.size = 0};
	struct cof_note cosigned;
	struct cof_conf conf;
	size_t n = 0;
	int r = cof_conf_load(io, &conf, l->diag);

	if (r < 0)
		return r;
	snprintf(s->origin, sizeof(s->origin), "%s", conf.vkey.name);
	s->forks = forks_of(io);
	r = cof_io_load(io, "checkpoint", COF_NOTE_MAX, &note, &n);
	if (r == 0 && cof_checkpoint_open(note, n, &conf.vkey, &head) == 0) {
		s->size = head.size;
		if (cof_note_open(note, n, &l->v->vkey, 1, &cosigned) == 0)
			cof_time_text((int64_t)cosigned.time[0] * COF_NSEC, s->when);
	}
	if (!l->scrub)
		return 0;
	r = cof_log_verify(&p, &found, l->diag);
	if (r == 0)
		snprintf(s->verdict, sizeof(s->verdict), "%s", cof_verdict_name(found.verdict));
	/* what is behind the head was on its way when a session ended */
	return r < 0 ? r : found.verdict > COF_UNSEALED;
}

static void show(const struct looking *l, const struct seen *s)
{
	struct cof_json *row;

	if (!l->all) {
		printf("%s  %s\n  %" PRIu64 " frames%s%s%s%s%s\n", s->id, s->origin, s->size, *s->when ? ", the last confirmed " : "",
		       s->when, s->forks ? ", FORKED: see forks/" : "", *s->verdict ? "; " : "", s->verdict);
		if (*s->first)
			printf("  %s\n", s->first);
		return;
	}
	row = cof_json_object();
	cof_json_set_str(row, "archive", s->id);
	cof_json_set_str(row, "origin", s->origin);
	cof_json_set_uint(row, "size", s->size);
	if (*s->when)
		cof_json_set_str(row, "confirmed", s->when);
	cof_json_set_uint(row, "forks", s->forks);
	if (l->scrub) {
		cof_json_set_str(row, "verdict", s->verdict);
		if (*s->first)
			cof_json_set_str(row, "first", s->first);
	}
	cof_json_append(l->all, row);
}

static int one(void *user, const uint8_t id[16])
{
	struct looking *l = user;
	struct seen s = {.size = 0};
	struct cof_io *io = NULL;
	int r = vault_place_archive(l->v, id, NULL, 0, &io, l->diag);

	cof_hex(id, 16, s.id);
	if (r == 0)
		r = look_at(l, io, &s);
	cof_io_free(io);
	if (r < 0)
		return r;
	l->damaged |= r > 0;
	show(l, &s);
	return 0;
}

static int look(const struct args *a, bool scrub, struct cof_diag *diag)
{
	cof_autojson struct cof_json *all = a->json ? cof_json_array() : NULL;
	struct looking l = {.diag = diag, .all = all, .scrub = scrub};
	struct vault_place v;
	char text[COF_VKEY_MAX];
	int r = vault_place_open(a->dir, &v, diag);

	if (r < 0)
		return fail_with(diag);
	l.v = &v;
	cof_vkey_text(&v.vkey, text);
	if (!a->json)
		printf("%s%s%s%s%s\n", text, *v.place ? "  at " : "", v.place, *v.jurisdiction ? ", " : "", v.jurisdiction);
	r = vault_place_list(&v, one, &l);
	vault_place_close(&v);
	if (r < 0)
		return *diag->text ? fail_with(diag) : (cof_fail(diag, r, "%s: %s", a->dir, strerror(-r)), fail_with(diag));
	if (a->json && print_json(all, true) < 0)
		return 1;
	return l.damaged ? EXIT_DAMAGED : 0;
}

static int take_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"name", 1, NULL, 'n'},	   {"place", 1, NULL, 'p'}, {"jurisdiction", 1, NULL, 'j'},
						{"archive", 1, NULL, 'a'}, {"quota", 1, NULL, 'q'}, {"no-new", 0, NULL, 'N'},
						{"json", 0, NULL, 'J'},	   {"help", 0, NULL, 'h'},  {0}};
	const char **text[] = {['n'] = &a->name, ['p'] = &a->place, ['j'] = &a->jurisdiction, ['a'] = &a->archive, ['q'] = &a->quota};
	int o;

	while ((o = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (o == 'N')
			a->no_new = true;
		else if (o == 'J')
			a->json = true;
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
	static const char *const names[] = {"init", "serve", "status", "scrub", NULL};
	struct args a = {.name = NULL};
	struct cof_diag diag = {""};
	int verb = 0, code;

	if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return fputs(usage, stdout) < 0;
	if (!strcmp(argv[1], "--version"))
		return printf("coffer-vault %s\n", COF_VERSION) < 0;
	while (names[verb] && strcmp(names[verb], argv[1]))
		verb++;
	if (!names[verb])
		return misused("the verb is init, serve, status or scrub");
	code = take_args(argc - 1, argv + 1, &a);
	if (code >= 0)
		return code;
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0)
		return fail_with(&diag);
	switch (verb) {
	case 0:
		return init(&a, &diag);
	case 1:
		return serve(&a, &diag);
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
