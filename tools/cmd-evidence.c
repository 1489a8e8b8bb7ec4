/* SPDX-License-Identifier: Apache-2.0 */
/* coffer evidence: files for somebody outside, and the check of what one was given. */
#include "tools/coffer.h"
#include "tools/evidence-make.h"
#include "tools/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (8u << 20)

enum { OPT_TO, OPT_BASIS, OPT_INCIDENT, OPT_CASE, OPT_OUT, OPT_REHEARSAL, OPT_LOG_KEY, OPT_VAULT_KEY, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_TO] = {"to", "NAME", "make: who gets it, any number of times; an age recipient (age1...) encrypts it to that key besides"},
    [OPT_BASIS] = {"basis", "TEXT", "make: by what consent or law it is given away, such as a court's order and its number"},
    [OPT_INCIDENT] = {"incident", "ID", "make: of an incident, by the first digits of its id: its steps as STIX, and where no path is named "
		      "the files of holds whose case has these digits in it"},
    [OPT_CASE] = {"case", "NAME", "make: the files of the legal hold of this case"},
    [OPT_OUT] = {"out", "FILE", "make: the bundle, a tar; it must not be there yet", true, .letter = 'o'},
    [OPT_REHEARSAL] = {"rehearsal", NULL, "make: to practise; the record and the bundle say so"},
    [OPT_LOG_KEY] = {"log-key", "KEY", "check: the log's verifier key, from somewhere else than the bundle"},
    [OPT_VAULT_KEY] = {"vault-key", "KEY", "check: a vault's, likewise; up to 16 times. What it signed is proven"},
    [OPT_JSON] = {"json", NULL, "JSON instead of text"},
    {0},
};

struct evidence {
	struct making m;
	struct cof_vkey log, vault[EVIDENCE_VAULTS];
	bool log_given;
	size_t n_vaults;
	bool json;
};

/* ---- check ---- */

static void set_time(struct cof_json *o, const char *key, int64_t ns)
{
	if (ns != INT64_MIN && ns != INT64_MAX)
		cof_json_set_time(o, key, ns);
}

static struct cof_json *seen_json(const struct evidence_seen *s)
{
	struct cof_json *o = cof_json_object();
	char hex[2 * COF_HASH + 1];

	cof_hex(s->sha256, COF_HASH, hex);
	cof_json_set_uint(o, "number", s->number);
	cof_json_set_str(o, "path_claimed", cof_json_str(s->about, "path"));
	cof_json_set_uint(o, "ino", s->ino);
	cof_json_set_uint(o, "size", s->size);
	cof_json_set_str(o, "sha256", hex);
	cof_json_set_uint(o, "appends", s->appends);
	cof_json_set_uint(o, "holes", s->holes);
	set_time(o, "created", s->created);
	set_time(o, "first_write", s->first);
	set_time(o, "last_write", s->last);
	set_time(o, "committed", s->committed);
	if (s->retain_until == INT64_MAX)
		cof_json_set_str(o, "retain_until", "infinite");
	set_time(o, "retain_until", s->retain_until);
	cof_json_set_uint(o, "holds_begun", s->holds_begun);
	cof_json_set_uint(o, "holds_ended", s->holds_ended);
	set_time(o, "not_before", s->not_before);
	if (s->not_before != INT64_MIN)
		cof_json_set_str(o, "not_before_by", s->not_before_by);
	set_time(o, "existed_at", s->existed_at);
	if (s->existed_at != INT64_MAX)
		cof_json_set_str(o, "existed_by", s->existed_by);
	cof_json_set(o, "actors_claimed", cof_json_ref(cof_json_get(s->about, "actors")));
	return o;
}

static void line_time(const char *what, int64_t ns)
{
	char text[32];

	if (ns == INT64_MIN || ns == INT64_MAX)
		return;
	cof_time_text(ns, text);
	printf("    %-14s %s\n", what, text);
}

static void say_actors(const struct cof_json *all)
{
	for (size_t i = 0; i < cof_json_count(all) && i < 8; i++) {
		const struct cof_json *one = cof_json_at(all, i);
		const char *command = cof_json_str(one, "command");
		cof_autofree char *shown = escaped(command ? command : "?");
		int64_t uid = -1, pid = -1;

		(void)cof_json_int(one, "uid", &uid);
		(void)cof_json_int(one, "pid", &pid);
		printf("    %-14s uid %" PRId64 ", %s (pid %" PRId64 ")\n", i ? "" : "written by*", uid, shown ? shown : "?", pid);
	}
	if (cof_json_count(all) > 8)
		printf("    %-14s and %zu more\n", "", cof_json_count(all) - 8);
}

static void on_file(void *user, const struct evidence_seen *s)
{
	cof_autofree char *path = escaped(cof_json_str(s->about, "path"));
	struct cof_json *all = user;
	char hex[2 * COF_HASH + 1], by[32];

	if (all) {
		cof_json_append(all, seen_json(s));
		return;
	}
	cof_hex(s->sha256, COF_HASH, hex);
	printf("%s*\n    %-14s %" PRIu64 " bytes, in %" PRIu64 " entr%s\n    %-14s %s\n", path ? path : "?", "content", s->size,
	       s->appends + s->holes, s->appends + s->holes == 1 ? "y" : "ies", "SHA-256", hex);
	line_time("created", s->created);
	line_time("first write", s->first);
	line_time("last write", s->last);
	line_time("committed", s->committed);
	if (s->committed == INT64_MIN)
		printf("    %-14s not in this bundle: it may have grown since\n", "committed");
	if (s->retain_until == INT64_MAX)
		printf("    %-14s for ever\n", "kept");
	line_time("kept until", s->retain_until);
	if (s->holds_begun)
		printf("    %-14s %" PRIu64 " begun, %" PRIu64 " ended\n", "holds", s->holds_begun, s->holds_ended);
	if (s->not_before != INT64_MIN) {
		cof_time_text(s->not_before, by);
		printf("    %-14s not before %s, says %s\n", "proven", by, s->not_before_by);
	}
	if (s->existed_at != INT64_MAX) {
		cof_time_text(s->existed_at, by);
		printf("    %-14s there at %s, says %s\n", "proven", by, s->existed_by);
	}
	say_actors(cof_json_get(s->about, "actors"));
}

static void say_about(const struct cof_json *about)
{
	static const struct {
		const char *key, *label;
	} lines[] = {{"origin", "Log"}, {"archive", "Archive"}, {"to", "Given to*"}, {"basis", "Basis*"}, {"created", "Made*"},
		     {"incident", "Incident*"}, {"case", "Case*"}};

	for (size_t i = 0; i < COF_COUNT(lines); i++) {
		const char *text = cof_json_str(about, lines[i].key);
		cof_autofree char *shown = text ? escaped(text) : NULL;

		if (shown)
			printf("%-12s%s\n", lines[i].label, shown);
	}
	if (cof_json_bool(about, "rehearsal"))
		printf("%-12s%s\n", "Rehearsal*", "made to practise");
}

static void say_checked(const struct evidence_checked *v)
{
	bool good = v->verdict == EVIDENCE_PROVEN, bad = v->verdict == EVIDENCE_TAMPERED || v->verdict == EVIDENCE_WRONG_KEY;
	cof_autofree char *shown = escaped(v->text);

	if (v->about && !bad)
		say_about(v->about);
	if (!bad && v->tree)
		printf("%-12s%" PRIu64 " entries\n", "Tree", v->tree);
	printf("%s%s%s\n", colour(good ? GREEN : bad ? RED : YELLOW), shown ? shown : "?", colour(PLAIN));
	if (v->about && !bad)
		printf("* is what the host says: proven by nothing in the bundle.\n");
}

static int check(struct evidence *e, const char *path)
{
	const struct evidence_keys keys = {.log = e->log_given ? &e->log : NULL, .vaults = e->vault, .n_vaults = e->n_vaults};
	cof_autojson struct cof_json *files = e->json ? cof_json_array() : NULL, *o = NULL;
	cof_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct evidence_checked v;
	struct cof_diag diag = {""};
	int code;

	if (fd < 0) {
		cof_fail(&diag, -errno, "cannot read %s: %s", path, strerror(errno));
		return failure(&diag);
	}
	evidence_check(fd, &keys, on_file, files, &v);
	code = (int)v.verdict;
	if (e->json) {
		char hex[2 * COF_HASH + 1];

		o = cof_json_object();
		cof_hex(v.manifest, COF_HASH, hex);
		cof_json_set_str(o, "verdict", evidence_verdict_name(v.verdict));
		cof_json_set_str(o, "text", v.text);
		if (v.at) {
			cof_json_set_time(o, "at", v.at);
			cof_json_set_str(o, "by", v.by);
		}
		cof_json_set(o, "bundle_claimed", v.about);
		cof_json_set_str(o, "manifest", hex);
		cof_json_set(o, "files", files);
		files = NULL;
		if (print_json(o, false) == -ENOMEM)
			code = EXIT_FAILED;
		return code;
	}
	say_checked(&v);
	cof_json_free(v.about);
	return code;
}

/* ---- make ---- */

static int add_path(struct making *m, const char *path, struct cof_diag *diag)
{
	struct mount_line line = {0};
	cof_autofree char *within = NULL;
	int r = 0;

	if (*path == '/') {
		r = archive_of(path, &line, NULL, diag);
		if (r == 0)
			r = mount_within(&line, path, &within, diag);
		mount_line_done(&line);
	}
	if (r == 0)
		cof_json_append(m->paths, cof_json_new_str(within ? within : path));
	return r;
}

static int make(struct evidence *e, char **operands, int n)
{
	struct making *m = &e->m;
	struct cof_diag diag = {""};
	int r = 0;

	m->json = e->json;
	m->paths = cof_json_array();
	for (int i = 1; r == 0 && i < n; i++)
		r = add_path(m, operands[i], &diag);
	if (r == 0)
		r = people_open(&m->ask, operands[0], &diag);
	if (r == 0)
		r = evidence_make(m, &diag);
	r = people_close(&m->ask, r, &diag);
	if (r == 0)
		evidence_make_say(m);
	return r < 0 ? failure(&diag) : EXIT_OK;
}

static int take_to(struct making *m, const char *to)
{
	if (!*to || strpbrk(to, "\n\r"))
		return misuse("--to takes who gets it: a name, or an age recipient");
	cof_buf_printf(&m->to, "%s%s", m->to.len ? ", " : "", to);
	if (strncmp(to, "age1", 4) != 0)
		return EXIT_OK;
	if (m->n_recipients == EVIDENCE_RECIPIENTS ||
	    cof_age_recipient_parse(to, strlen(to), m->recipient[m->n_recipients++]) < 0)
		return misuse("%s is no age recipient, or there are too many", to);
	return EXIT_OK;
}

static int take_key(struct evidence *e, int option)
{
	if (option == OPT_LOG_KEY) {
		e->log_given = true;
		return cof_vkey_parse(optarg, &e->log) == 0 && e->log.algorithm == COF_NOTE_ED25519
			       ? EXIT_OK
			       : misuse("--log-key takes a verifier key, NAME+ID+KEY, as coffer status prints it");
	}
	if (e->n_vaults == EVIDENCE_VAULTS || cof_vkey_parse(optarg, &e->vault[e->n_vaults]) < 0 ||
	    e->vault[e->n_vaults++].algorithm != COF_NOTE_COSIG)
		return misuse("--vault-key takes a vault's key, NAME+ID+KEY, as coffer-vault status prints it");
	return EXIT_OK;
}

static int take(struct evidence *e, int option)
{
	switch (option) {
	case OPT_TO:
		return take_to(&e->m, optarg);
	case OPT_BASIS:
		e->m.basis = optarg;
		return EXIT_OK;
	case OPT_INCIDENT:
		e->m.incident = optarg;
		return EXIT_OK;
	case OPT_CASE:
		e->m.hold_case = optarg;
		return EXIT_OK;
	case OPT_OUT:
		e->m.out = optarg;
		return EXIT_OK;
	case OPT_REHEARSAL:
		e->m.rehearsal = true;
		return EXIT_OK;
	case OPT_JSON:
		e->json = true;
		return EXIT_OK;
	case OPT_LOG_KEY:
	case OPT_VAULT_KEY:
		return take_key(e, option);
	}
	return opener_take(&e->m.ask.opener, option);
}

static int run_make(struct evidence *e, int n, char **operands)
{
	if (n < 2 && !e->m.incident && !e->m.hold_case)
		return misuse("of what? STORE and files or directories in the archive, or --incident or --case");
	if (n < 1)
		return misuse("of which archive? STORE");
	if (!e->m.out)
		return misuse("where to? --out FILE.tar");
	if (e->m.rehearsal && !e->m.to.len)
		(void)take_to(&e->m, "nobody (rehearsal)");
	if (e->m.rehearsal && !e->m.basis)
		e->m.basis = "rehearsal";
	if (*opener_conflict(&e->m.ask.opener))
		return misuse("%s", opener_conflict(&e->m.ask.opener));
	return make(e, operands, n);
}

static int act(struct evidence *e, const struct verb *self, int argc, char **argv)
{
	struct cof_diag diag = {""};
	int option, code, n;
	const char *action;

	while ((option = option_next(self, argc, argv)) >= 0) {
		/* A key is hashed as soon as it is read. */
		if (cof_crypto_init(SECURE_BYTES, &diag) < 0)
			return failure(&diag);
		code = take(e, option);
		if (code)
			return code;
	}
	if (option != OPTION_END)
		return option_exit(option);
	if (!operands_within(self, argc, argv, 2, -1))
		return EXIT_USAGE;
	action = argv[optind];
	n = argc - optind - 1;
	if (!strcmp(action, "make"))
		return run_make(e, n, argv + optind + 1);
	if (strcmp(action, "check") != 0)
		return misuse("'%s' is none of make, check", action);
	if (cof_crypto_init(SECURE_BYTES, &diag) < 0)
		return failure(&diag);
	return n == 1 ? check(e, argv[optind + 1]) : misuse("check takes one bundle");
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct evidence e = {.m = {.ask = PEOPLE_ASKING_INIT}};
	int code = act(&e, self, argc, argv);

	evidence_making_done(&e.m);
	return code;
}

const struct verb verb_evidence = {
    .name = "evidence",
    .args = "make STORE PATH... | check FILE",
    .summary = "files for a court or regulator, checked without Coffer",
    .text = "make writes a bundle: files, the log's entries that they were written by, a proof for each that it is in the log, the keys "
	    "that open these entries and no others, and the newest head that a vault signed with all of it in it. PATH is in the "
	    "archive, such as audit/a.log, or on its mount; of a directory all files. To whom it goes, and on what basis, is put "
	    "on record before a key leaves, and the bundle by its digest before it is complete; where the policy has "
	    "disclosure_basis, both have to be said. Who has the bundle can read these files: encrypt it with --to age1...\n"
	    "\n"
	    "check needs neither the archive nor its keys, but the log's and the vaults' public ones, from somewhere else than the "
	    "bundle. docs/evidence.md specifies the format; verify.html checks the same in a browser.\n"
	    "\n"
	    "Example:\n"
	    "  coffer evidence make STORE audit/2031 --to court --basis 'order 12' -o a.tar\n"
	    "\n"
	    "Exit code: 0 made; check: 0 proven by a vault whose key was given, 10 signed by the log alone, 11 the keys are only "
	    "claimed, 13 tampered, 14 signed by none of the keys that were given, 15 no bundle; 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
    .actions = "make check",
};
