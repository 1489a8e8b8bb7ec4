/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer self-check: whether the programs are what they were and do what they should. Of this program
 * by itself, of a mounted archive's daemon by asking it; files are hashed anew, so that one which was
 * exchanged under a running daemon shows.
 */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/store.h"

#include "fs/guard/guard.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (1u << 20)

enum { EXIT_FOUND = 3 };
enum { OPT_JSON };

static const struct tool_option options[] = {
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    {0},
};

struct check {
	struct cof_json *all, *findings;
	size_t found;
};

static void find(struct check *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void find(struct check *c, const char *fmt, ...)
{
	struct cof_json *o = cof_json_object();
	struct cof_diag text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text.text, sizeof(text.text), fmt, ap);
	va_end(ap);
	cof_json_set_str(o, "text", text.text);
	cof_json_append(c->findings, o);
	c->found++;
}

/* ---- this program ---- */

static struct cof_json *measured_json(const struct cof_measured *all, size_t n)
{
	struct cof_json *list = cof_json_array();
	char hex[65];

	for (size_t i = 0; i < n; i++) {
		struct cof_json *o = cof_json_object();

		cof_hex(all[i].digest, 32, hex);
		cof_json_set_str(o, "path", all[i].path);
		cof_json_set_str(o, "sha256", hex);
		cof_json_append(list, o);
	}
	return list;
}

static struct cof_json *modules_json(struct check *c)
{
	struct cof_json *list = cof_json_array();
	struct cof_module m[COF_MODULES];

	cof_crypto_modules(true, m);
	for (size_t i = 0; i < COF_COUNT(m); i++) {
		struct cof_json *o = cof_json_object();

		cof_json_set_str(o, "name", m[i].name);
		cof_json_set_str(o, "version", m[i].version);
		cof_json_set_str(o, "status", m[i].status);
		cof_json_append(list, o);
		if (!m[i].ok)
			find(c, "%s %s: %s", m[i].name, m[i].version, m[i].status);
	}
	return list;
}

static int check_program(struct check *c, struct cof_diag *diag)
{
	struct cof_json *o = cof_json_object();
	struct cof_measured *all = NULL;
	size_t n = 0;
	int r = cof_guard_measure(&all, &n, diag);

	if (r == 0) {
		cof_json_set(o, "measured", measured_json(all, n));
		cof_json_set(o, "modules", modules_json(c));
		cof_json_set_str(o, "keys", cof_secret_memory());
		cof_json_set(c->all, "program", o);
		o = NULL;
	}
	cof_json_free(o);
	free(all);
	return r;
}

/* ---- the daemon ---- */

struct reply {
	struct cof_json *list;
};

static int keep(void *user, struct cof_json *entry)
{
	struct reply *r = user;
	const char *text = cof_json_text(entry, false);
	struct cof_json *copy = NULL;
	int err = text ? cof_json_parse(text, strlen(text), &copy) : -ENOMEM;

	if (err == 0)
		cof_json_append(r->list, copy);
	return err;
}

static int ask(const struct store *s, const char *verb, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	struct reply reply = {cof_json_array()};
	int r = request && reply.list ? 0 : -ENOMEM;

	cof_json_set_str(request, "verb", verb);
	if (r == 0)
		r = store_ask(s, request, keep, &reply, diag);
	if (r < 0)
		cof_json_free(reply.list);
	else
		*ret = reply.list;
	return r;
}

/* What the daemon runs against what is on the disk by now. */
static void check_files(struct check *c, const struct cof_json *measured)
{
	for (size_t i = 0; i < cof_json_count(measured); i++) {
		const struct cof_json *m = cof_json_at(measured, i);
		const char *path = cof_json_str(m, "path"), *was = cof_json_str(m, "sha256");
		struct cof_measured now;
		char hex[65];

		if (!path || !was)
			continue;
		if (cof_guard_measure_file(path, &now, NULL) == 0) {
			cof_hex(now.digest, 32, hex);
			if (!strcmp(hex, was))
				continue;
		}
		find(c, "%s has changed on the disk since the daemon was started: mount the archive anew, "
			"after an update; else find out who changed it",
		     path);
	}
}

static void check_guard(struct check *c, const struct cof_json *guard)
{
	int64_t landlock = 0;

	(void)cof_json_int(guard, "landlock", &landlock);
	if (!cof_json_bool(guard, "seccomp"))
		find(c, "the daemon is not confined: it may make any system call (mounted with -o unconfined?)");
	else if (landlock == 0)
		find(c, "the kernel has no Landlock: the daemon may open any file of its user");
	if (!cof_json_bool(guard, "no_new_privs") || cof_json_bool(guard, "capabilities") ||
	    cof_json_bool(guard, "bounding_set"))
		find(c, "the daemon has rights of root that it should have given up");
	if (cof_json_bool(guard, "dumpable"))
		find(c, "the daemon's memory can be dumped");
}

static struct cof_json *borrow(const struct cof_json *o, const char *key)
{
	const char *text = cof_json_text(cof_json_get(o, key), false);
	struct cof_json *copy = NULL;

	if (text)
		(void)cof_json_parse(text, strlen(text), &copy);
	return copy;
}

static int check_daemon(struct check *c, const struct store *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *answer = NULL;
	struct cof_json *daemon, *status;
	int r = ask(s, "status", &answer, diag);

	if (r < 0)
		return r;
	status = cof_json_at(answer, 0);
	daemon = cof_json_object();
	cof_json_set(daemon, "guard", borrow(status, "guard"));
	cof_json_set(daemon, "measured", borrow(status, "measured"));
	cof_json_set(daemon, "modules", borrow(status, "modules"));
	cof_json_set(c->all, "daemon", daemon);
	check_guard(c, cof_json_get(status, "guard"));
	check_files(c, cof_json_get(status, "measured"));
	return 0;
}

/* The policies in force, by digest: to be compared with what an auditor noted. */
static int check_shelves(struct check *c, const struct store *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *answer = NULL;
	struct cof_json *list = cof_json_array();
	int r = ask(s, "shelves", &answer, diag);

	for (size_t i = 0; r == 0 && i < cof_json_count(answer); i++) {
		const struct cof_json *shelf = cof_json_at(answer, i);
		const char *name = cof_json_str(shelf, "name"), *policy = cof_json_str(shelf, "policy");
		struct cof_json *o = cof_json_object();
		uint8_t digest[32];
		char hex[65];

		cof_sha256(policy ? policy : "", policy ? strlen(policy) : 0, digest);
		cof_hex(digest, 32, hex);
		cof_json_set_str(o, "name", name ? name : "?");
		cof_json_set_str(o, "policy_sha256", hex);
		cof_json_append(list, o);
	}
	cof_json_set(c->all, "shelves", list);
	return r;
}

/* ---- on record ---- */

static void add_digests(struct cof_json *form, const char *key, const struct cof_json *part)
{
	const struct cof_json *files = cof_json_get(part, "measured");
	struct cof_json *o = cof_json_object();

	for (size_t i = 0; i < cof_json_count(files); i++) {
		const struct cof_json *m = cof_json_at(files, i);
		const char *path = cof_json_str(m, "path"), *digest = cof_json_str(m, "sha256");

		if (path && digest)
			cof_json_set_str(o, path, digest);
	}
	cof_json_set(form, key, o);
}

static struct cof_json *form_of(const struct check *c)
{
	const struct cof_json *shelves = cof_json_get(c->all, "shelves");
	struct cof_json *form = cof_json_object(), *policies = cof_json_object();

	for (size_t i = 0; i < cof_json_count(shelves); i++) {
		const struct cof_json *s = cof_json_at(shelves, i);

		cof_json_set_str(policies, cof_json_str(s, "name"), cof_json_str(s, "policy_sha256"));
	}
	add_digests(form, "program", cof_json_get(c->all, "program"));
	add_digests(form, "daemon", cof_json_get(c->all, "daemon"));
	cof_json_set(form, "policies", policies);
	cof_json_set(form, "findings", cof_json_ref(c->findings));
	return form;
}

/* That the check was made, and what came of it. */
static int record(const struct check *c, const struct store *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object(), *answer = NULL;
	cof_autobuf struct cof_buf detail = {0};

	cof_buf_printf(&detail, "%zu finding%s", c->found, plural(c->found));
	for (size_t i = 0; i < c->found && i < 3; i++)
		cof_buf_printf(&detail, "%s %.300s", i ? ";" : ":", cof_json_str(cof_json_at(c->findings, i), "text"));
	if (detail.failed)
		return cof_fail(diag, -ENOMEM, "out of memory");
	cof_json_set_str(request, "verb", "note");
	cof_json_set_str(request, "type", "self-check");
	cof_json_set_str(request, "outcome", c->found ? "failure" : "success");
	cof_json_set_str(request, "detail", (char *)detail.data);
	cof_json_set(request, "form", form_of(c));
	return store_ask(s, request, store_keep_last, &answer, diag);
}

static int check_store(struct check *c, const char *arg, struct cof_diag *diag)
{
	autostore struct store s = {0};
	int r = store_open(arg, &s, diag);

	if (r == 0)
		r = check_daemon(c, &s, diag);
	if (r == 0)
		r = check_shelves(c, &s, diag);
	if (r == 0)
		r = record(c, &s, diag);
	if (r == -ENOTCONN)
		return cof_fail(diag, r, "%s is not mounted: there is no daemon to check", s.path);
	return r;
}

/* ---- text ---- */

static void say_part(const char *head, const struct cof_json *part)
{
	const struct cof_json *modules = cof_json_get(part, "modules"), *files = cof_json_get(part, "measured");

	for (size_t i = 0; i < cof_json_count(modules); i++) {
		const struct cof_json *m = cof_json_at(modules, i);

		printf("%-9s module %s %s: %s\n", head, cof_json_str(m, "name"), cof_json_str(m, "version"),
		       cof_json_str(m, "status"));
	}
	for (size_t i = 0; i < cof_json_count(files); i++) {
		const struct cof_json *m = cof_json_at(files, i);
		cof_autofree char *path = escaped(cof_json_str(m, "path"));

		printf("%-9s %s  %s\n", head, cof_json_str(m, "sha256"), path ? path : "?");
	}
}

static void say_guard(const struct cof_json *guard)
{
	int64_t uid = 0, landlock = 0;
	const char *keys = cof_json_str(guard, "keys");

	(void)cof_json_int(guard, "uid", &uid);
	(void)cof_json_int(guard, "landlock", &landlock);
	printf("%-9s uid %" PRId64 ", %s, %sno_new_privs, seccomp %s, Landlock %s", "Daemon", uid,
	       cof_json_bool(guard, "capabilities") ? "capabilities" : "no capabilities",
	       cof_json_bool(guard, "no_new_privs") ? "" : "without ",
	       cof_json_bool(guard, "seccomp") ? "on" : "off", landlock ? "" : "absent");
	if (landlock)
		printf("ABI %" PRId64, landlock);
	printf(", keys in %s\n", keys ? keys : "?");
}

static void say(const struct check *c)
{
	const struct cof_json *daemon = cof_json_get(c->all, "daemon"), *shelves = cof_json_get(c->all, "shelves");

	say_part("Program", cof_json_get(c->all, "program"));
	if (daemon) {
		say_guard(cof_json_get(daemon, "guard"));
		say_part("Daemon", daemon);
	}
	for (size_t i = 0; i < cof_json_count(shelves); i++) {
		const struct cof_json *s = cof_json_at(shelves, i);
		cof_autofree char *name = escaped(cof_json_str(s, "name"));

		printf("%-9s %s  policy of %s\n", "Shelf", cof_json_str(s, "policy_sha256"), name ? name : "?");
	}
	for (size_t i = 0; i < c->found; i++) {
		cof_autofree char *text = escaped(cof_json_str(cof_json_at(c->findings, i), "text"));

		printf("%sFound%s     %s\n", colour(RED), colour(PLAIN), text ? text : "?");
	}
	if (!c->found)
		printf("All as it should be.\n");
}

/* ---- the verb ---- */

static int check(struct check *c, const char *store, struct cof_diag *diag)
{
	int r = c->all && c->findings ? cof_crypto_init(SECURE_BYTES, diag) : -ENOMEM;

	if (r == 0)
		r = check_program(c, diag);
	if (r == 0 && store)
		r = check_store(c, store, diag);
	return r;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct check c = {.all = cof_json_object(), .findings = cof_json_array()};
	struct cof_diag diag = {""};
	bool json = false;
	int option, r;

	while ((option = option_next(self, argc, argv)) >= 0)
		json |= option == OPT_JSON;
	if (option != OPTION_END || !operands_within(self, argc, argv, 0, 1)) {
		cof_json_free(c.all);
		cof_json_free(c.findings);
		return option != OPTION_END ? option_exit(option) : EXIT_USAGE;
	}
	r = check(&c, argv[optind], &diag);
	if (r == 0 && !json)
		say(&c);
	cof_json_set(c.all, "findings", c.findings);
	if (r == 0 && json && print_json(c.all, true) == -ENOMEM)
		r = cof_fail(&diag, -ENOMEM, "out of memory");
	cof_json_free(c.all);
	if (r < 0)
		return failure(&diag);
	return c.found ? EXIT_FOUND : EXIT_OK;
}

const struct verb verb_self_check = {
    .name = "self-check",
    .args = "[STORE|PATH]",
    .summary = "whether the programs are as they should be",
    .text = "Runs the self-tests of all that does cryptography, and tells its version and state; hashes "
	    "(SHA-256) this program and each library that it uses.\n"
	    "\n"
	    "With STORE, or PATH on a mounted archive, the same of its daemon: what it was made of when it "
	    "was started and whether that is still on the disk, what it gave up (root, capabilities, system "
	    "calls, files), where its keys are, and a digest of each shelf's policy. That the check was made, its "
	    "outcome and the digests are put on record then (coffer due counts from there), as each mount puts "
	    "those of what it runs and what has changed since the last one: coffer events.\n"
	    "\n"
	    "Exit code: 0 all as it should be, 1 failed, 2 wrong usage, 3 something was found.",
    .options = options,
    .run = run,
    .takes_files = true,
};
