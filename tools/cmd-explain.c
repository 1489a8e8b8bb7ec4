/* SPDX-License-Identifier: Apache-2.0 */
/* coffer explain: what would happen if somebody tried, by which rule, and what would have to
 * change. */
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/store.h"
#include "tools/when.h"

#include <getopt.h>
#include <inttypes.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OPT_AS, OPT_UNTIL, OPT_OFFSET, OPT_LENGTH, OPT_MODE, OPT_TO, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_AS] = {"as", "USER", "as this user (a name or a number) instead of who asks"},
    [OPT_UNTIL] = {"until", "DATE",
		   "commit and retain: the end that would be asked for, or infinite"},
    [OPT_OFFSET] = {"offset", "N", "write: where; at the end if not given"},
    [OPT_LENGTH] = {"length", "N", "write: how many bytes; truncate: the new length"},
    [OPT_MODE] = {"mode", "OCTAL",
		  "chmod, create: the mode; chmod takes away the write bits if not given"},
    [OPT_TO] = {"to", "PATH", "rename: the new name", true},
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    {0},
};

struct explaining {
	const char *op;
	uint32_t uid, gid;
	const char *until, *to;
	uint64_t offset, length, mode;
	bool has_offset, has_length, has_mode, json;
};

/* ---- the request ---- */

static int split(const char *path, char **ret_dir, char **ret_name, struct cof_diag *diag)
{
	cof_autofree char *a = strdup(path), *b = strdup(path);

	*ret_dir = a ? strdup(dirname(a)) : NULL;
	*ret_name = b ? strdup(basename(b)) : NULL;
	return *ret_dir && *ret_name ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

/* What is not there yet is named by its directory; what is there by its number too. */
static int name_in(struct cof_json *request, const char *path, bool may_miss, struct mount_line *m,
		   struct cof_diag *diag)
{
	cof_autofree char *dir = NULL, *name = NULL;
	uint64_t parent = 0;
	struct stat st;
	int r = split(path, &dir, &name, diag);

	if (r == 0)
		r = archive_of(lstat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : dir, m,
			       &parent, diag);
	if (r < 0)
		return r;
	if (lstat(path, &st) == 0)
		cof_json_set_uint(request, "ino", st.st_ino);
	else if (!may_miss)
		return cof_fail(diag, -errno, "cannot look at %s: %s", path, strerror(errno));
	if (stat(dir, &st) == 0)
		cof_json_set_uint(request, "parent", st.st_ino);
	cof_json_set_str(request, "name", name);
	return 0;
}

static int name_target(struct cof_json *request, const char *path, struct cof_diag *diag)
{
	cof_autofree char *dir = NULL, *name = NULL;
	struct stat st;
	int r = split(path, &dir, &name, diag);

	if (r < 0)
		return r;
	if (stat(dir, &st) < 0)
		return cof_fail(diag, -errno, "cannot look at %s: %s", dir, strerror(errno));
	cof_json_set_uint(request, "new_parent", st.st_ino);
	cof_json_set_str(request, "new_name", name);
	if (lstat(path, &st) == 0)
		cof_json_set_uint(request, "target_ino", st.st_ino);
	return 0;
}

static void set_arguments(struct cof_json *request, const struct explaining *e)
{
	int64_t end;

	cof_json_set_str(request, "verb", "explain");
	cof_json_set_str(request, "op", e->op);
	cof_json_set_uint(request, "uid", e->uid);
	cof_json_set_uint(request, "gid", e->gid);
	if (e->has_offset)
		cof_json_set_uint(request, "offset", e->offset);
	if (e->has_length)
		cof_json_set_uint(request, "length", e->length);
	if (e->has_mode)
		cof_json_set_uint(request, "mode", e->mode);
	if (e->until && when_parse(e->until, &end) == 0) {
		char text[32];

		when_text(end, text);
		cof_json_set_str(request, "retain", text);
	}
}

/* ---- telling ---- */

static void tell_until(const char *label, const char *text)
{
	cof_autofree char *shown = text ? escaped(text) : NULL;

	if (shown && !strcmp(shown, "infinite"))
		printf("  %s for ever\n", label);
	else if (shown && strcmp(shown, "none"))
		printf("  %s until %s\n", label, shown);
}

/* Of a file: between which times proofs put what it is now. */
static void tell_times(const struct cof_json *a)
{
	const char *time = cof_json_str(a, "time"), *said = cof_json_str(a, "clock_said");
	const char *from = cof_json_str(a, "not_before"), *to = cof_json_str(a, "not_after");

	if (!time)
		return;
	printf("  its time is %s%s%s", time, said ? ", though the host's clock said " : "", said ? said : "");
	if (from || to)
		printf(": not%s%s%s%s%s\n", from ? " before " : "", from ? from : "", from && to ? ", not" : "",
		       to ? " after " : "", to ? to : "");
	else
		printf("; no proof bounds it\n");
}

static void tell(const struct cof_json *a)
{
	bool allowed = cof_json_bool(a, "allowed");
	const char *rule = cof_json_str(a, "rule"), *reason = cof_json_str(a, "reason");
	const char *err = cof_json_str(a, "errno"), *state = cof_json_str(a, "state");
	const char *effect = cof_json_str(a, "effect"), *change = cof_json_str(a, "change");
	const char *kept = cof_json_str(a, "retain_until");
	cof_autofree char *shown = escaped(reason ? reason : "");

	printf("%s%s%s%s%s\n", colour(allowed ? GREEN : RED), allowed ? "allowed" : "refused",
	       colour(PLAIN), !allowed && err ? " with " : "", !allowed && err ? err : "");
	if (rule)
		printf("  rule: %s\n", rule);
	if (shown && *shown && strcmp(shown, "allowed"))
		printf("  why: %s\n", shown);
	if (allowed && effect)
		printf("  what happens: %s\n", effect);
	if (state)
		printf("  the file is %s\n", state);
	if (state && strcmp(state, "open") && !strcmp(kept ? kept : "", "none"))
		kept = "infinite"; /* neither has an end */
	tell_until("it is kept", kept);
	tell_times(a);
	tell_until("it would be kept", cof_json_str(a, "would_retain_until"));
	if (change)
		printf("  what would have to change: %s\n", change);
}

static int show(void *user, struct cof_json *answer)
{
	const struct explaining *e = user;

	if (!e->json)
		tell(answer);
	else if (print_json(answer, true) == -ENOMEM)
		return -ENOMEM;
	return output_broken();
}

static int explain(struct explaining *e, const char *path, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	autostore struct store s = {0};
	struct mount_line m = {0};
	int r;

	set_arguments(request, e);
	r = name_in(request, path, !strcmp(e->op, "create"), &m, diag);
	if (r == 0 && e->to)
		r = name_target(request, e->to, diag);
	if (r == 0)
		r = store_open(m.source, &s, diag);
	if (r == 0)
		r = store_ask(&s, request, show, e, diag);
	if (r == -ENOTCONN)
		cof_fail(diag, r,
			 "the daemon behind %s is gone; mount it again: mount -t coffer %s %s",
			 m.point, m.source, m.point);
	mount_line_done(&m);
	return r;
}

/* ---- the verb ---- */

static int take_user(struct explaining *e, const char *text)
{
	const struct passwd *p = getpwnam(text);
	unsigned long long v;
	char *end;

	if (p) {
		e->uid = p->pw_uid;
		e->gid = p->pw_gid;
		return EXIT_OK;
	}
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || v >= UINT32_MAX)
		return misuse("--as takes a user's name or number");
	e->uid = (uint32_t)v;
	p = getpwuid(e->uid);
	e->gid = p ? p->pw_gid : e->uid;
	return EXIT_OK;
}

static int take_number(const char *name, int base, uint64_t *ret, bool *ret_given)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(optarg, &end, base);
	if (errno || *end || *optarg < '0' || *optarg > '9' || v > INT64_MAX)
		return misuse("--%s takes a number%s", name,
			      base == 8 ? " in octal, such as 0444" : "");
	*ret = v;
	*ret_given = true;
	return EXIT_OK;
}

static int take_option(void *user, int option)
{
	struct explaining *e = user;
	int64_t end;

	switch (option) {
	case OPT_AS:
		return take_user(e, optarg);
	case OPT_UNTIL:
		if (when_parse(optarg, &end) < 0)
			return misuse("--until takes a date: 2031-01-02, or infinite");
		e->until = optarg;
		break;
	case OPT_OFFSET:
		return take_number("offset", 10, &e->offset, &e->has_offset);
	case OPT_LENGTH:
		return take_number("length", 10, &e->length, &e->has_length);
	case OPT_MODE:
		return take_number("mode", 8, &e->mode, &e->has_mode);
	case OPT_TO:
		e->to = optarg;
		break;
	default:
		e->json = true;
		break;
	}
	return EXIT_OK;
}

static int check_op(struct explaining *e, const char *word)
{
	const char *names[COF_OP_COUNT_ + 1], *near;
	cof_autofree char *shown = escaped(word);

	for (int k = 0; k < COF_OP_COUNT_; k++) {
		names[k] = cof_op_name(k);
		if (!strcmp(word, names[k]))
			e->op = names[k];
	}
	names[COF_OP_COUNT_] = NULL;
	if (e->op)
		return EXIT_OK;
	near = nearest(word, names);
	if (near)
		return misuse("no operation '%s'; did you mean '%s'?", shown ? shown : "?", near);
	return misuse("no operation '%s'", shown ? shown : "?");
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct explaining e = {.uid = getuid(), .gid = getgid()};
	struct cof_diag diag = {""};
	int code;

	code = options_take(self, argc, argv, take_option, &e, 2);
	if (code >= 0)
		return code;
	code = check_op(&e, argv[optind]);
	if (code)
		return code;
	if (!strcmp(e.op, "rename") && !e.to)
		return misuse("rename: say the new name with --to PATH");
	return explain(&e, argv[optind + 1], &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_explain = {
    .name = "explain",
    .args = "OPERATION PATH",
    .summary = "what would happen, by which rule, and why",
    .text =
	"Says whether OPERATION on PATH, which lies on a mounted archive, would be allowed, by the "
	"same "
	"rules that the mount follows; if it is refused, by which rule, why, until when, and what "
	"would "
	"have to change. Nothing happens, and nothing is recorded. The daemon is asked, which root "
	"alone may do.\n"
	"\n"
	"Operations are create, open, write, truncate, fallocate, chmod, chown, utimes, unlink, "
	"rmdir, "
	"rename, link, mknod, commit, retain, setxattr, removexattr and others that coffer log "
	"names.\n"
	"\n"
	"Examples:\n"
	"  coffer explain unlink /mnt/store/audit/a.log\n"
	"  coffer explain write /mnt/store/audit/a.log --offset 0 --as www-data\n"
	"  coffer explain rename /mnt/store/audit/a.log --to /mnt/store/audit/b.log\n"
	"\n"
	"Exit code: 0 explained, 1 failed, 2 wrong usage.",
    .options = options,
    .run = run,
    .takes_files = true,
    .actions = "create open write truncate fallocate chmod chown utimes unlink rmdir rename link mknod commit "
	       "retain setxattr removexattr",
};
