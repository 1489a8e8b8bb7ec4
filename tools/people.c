/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs about people share: files, the archive, and ssh-keygen where a key is at hand. */
#include "tools/people.h"
#include "fs/sshsig/sshsig.h"
#include "tools/file.h"
#include "tools/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>

#define SECURE_BYTES (8u << 20)
#define ASKING_BYTES 65536 /* who only asks the daemon: each page of secret memory costs time at the start */

/* ---- files ---- */

void people_set_bytes(struct cof_json *args, const char *key, const struct cof_buf *b)
{
	cof_autofree char *text = malloc(cof_base64_len(b->len) + 1);

	if (!text)
		return;
	cof_base64(b->data ? b->data : (const uint8_t *)"", b->len, text);
	cof_json_set_str(args, key, text);
}

static int save(const char *path, const char *base64, struct cof_diag *diag)
{
	size_t len = base64 ? strlen(base64) : 0, n = 0;
	cof_autofree uint8_t *data = malloc(len + 1);
	cof_autoclose int fd = -1;
	int r = !base64 ? -EPROTO : data ? cof_unbase64(base64, len, data, len, &n) : -ENOMEM;

	if (r == 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
		r = fd < 0 ? -errno : cof_write_all(fd, data, n);
	}
	return r < 0 ? cof_fail(diag, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

int people_save(const struct cof_json *answer, const char *dir, char **ret_path, struct cof_diag *diag)
{
	const char *id = cof_json_str(answer, "id");
	cof_autofree char *request = NULL, *sheet = NULL;
	int r;

	if (!id || asprintf(&request, "%s/%.16s.request", dir, id) < 0 || asprintf(&sheet, "%s/%.16s.sheet", dir, id) < 0)
		return cof_fail(diag, id ? -ENOMEM : -EPROTO, "the daemon gave no request");
	r = save(request, cof_json_str(answer, "document"), diag);
	if (r == 0)
		r = save(sheet, cof_json_str(answer, "sheet"), diag);
	if (r < 0)
		return r;
	*ret_path = request;
	request = NULL;
	return 0;
}

char *people_sheet_of(const char *request)
{
	size_t n = strlen(request), tail = strlen(".request");
	char *path;

	if (n > tail && !strcmp(request + n - tail, ".request"))
		n -= tail;
	return asprintf(&path, "%.*s.sheet", (int)n, request) < 0 ? NULL : path;
}

/* ---- signing here ---- */

static _Noreturn void be_ssh_keygen(const char *document, const char *purpose, const char *key, int out)
{
	int in = open(document, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(127);
	execlp("ssh-keygen", "ssh-keygen", "-Y", "sign", "-n", purpose, "-f", key, (char *)NULL);
	_exit(127);
}

int people_sign(const char *document, const char *purpose, const char *key, struct cof_buf *ret, struct cof_diag *diag)
{
	uint8_t text[COF_SIGNATURE_MAX];
	int fds[2], status = 0, r;
	size_t n = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cof_fail(diag, -errno, "no pipe: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		be_ssh_keygen(document, purpose, key, fds[1]);
	r = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (r == 0)
		r = cof_read_all(fds[0], text, sizeof(text), &n);
	close(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return cof_fail(diag, r < 0 ? r : -EKEYREJECTED, "ssh-keygen did not sign with %s", key);
	cof_buf_add(ret, text, n);
	return ret->failed ? -ENOMEM : 0;
}

/* ---- the archive ---- */

static void on_alarm(void *user COF_UNUSED, const char *text)
{
	cof_autofree char *shown = escaped(text);

	complain("%s", shown ? shown : "?");
}

static int open_here(struct people_asking *a, struct cof_diag *diag)
{
	struct cof_archive_params p = {
	    .io = a->store.io, .alarm = on_alarm, .no_threads = true, .verify_signature = cof_sshsig_verify,
	    .read_only = a->reads};
	struct opener opener = {0};
	int r = opener_find(&a->opener, a->store.io, a->store.path, &opener, diag);

	if (r < 0)
		return r;
	p.secret = &opener.secret;
	r = cof_archive_open(&p, &a->archive, NULL, diag);
	opener_done(&opener);
	return r;
}

/* Somebody has the store open, and is asked: no key of the archive comes into this process. At once, other than cof_io_locked, which waits
 * for who only looks, as this does. */
static bool is_held(const char *arg)
{
	autostore struct store s = {0};
	cof_autofree char *path = NULL;
	cof_autoclose int fd = -1;

	if (store_find(arg, &s, NULL) < 0)
		return false;
	if (asprintf(&path, "%s/lock", s.path) < 0) {
		path = NULL;
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int people_open(struct people_asking *a, const char *arg, struct cof_diag *diag)
{
	int r = cof_crypto_init(a->reads && is_held(arg) ? ASKING_BYTES : SECURE_BYTES, diag);

	return r == 0 ? store_open(arg, &a->store, diag) : r;
}

int people_ask(struct people_asking *a, const char *verb, struct cof_json *args, cof_show_fn fn, void *user,
	       struct cof_diag *diag)
{
	struct cof_who who = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getpid()};
	int r = -ENOTCONN;

	cof_json_set_str(args, "verb", verb);
	if (!a->archive)
		r = store_ask(&a->store, args, fn, user, diag);
	if (r != -ENOTCONN)
		return r;
	if (!a->archive) {
		r = open_here(a, diag);
		if (r < 0)
			return r;
	}
	return cof_archive_people(a->archive, &who, verb, args, fn, user, diag);
}

int people_ask_one(struct people_asking *a, const char *verb, struct cof_json *args, struct cof_json **ret,
		   struct cof_diag *diag)
{
	int r = people_ask(a, verb, args, store_keep_last, ret, diag);

	return r == 0 && !*ret ? cof_fail(diag, -EPROTO, "the daemon said nothing") : r;
}

static int events_of_daemon(struct people_asking *a, const struct cof_events_query *q, cof_show_fn fn, void *user,
			    struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();

	cof_json_set_str(args, "verb", "events");
	if (q->type)
		cof_json_set_str(args, "type", q->type);
	if (q->source)
		cof_json_set_str(args, "source", q->source);
	cof_json_set_int(args, "since", q->since);
	cof_json_set_int(args, "until", q->until);
	cof_json_set_uint(args, "from", q->from);
	return store_ask(&a->store, args, fn, user, diag);
}

int people_events(struct people_asking *a, const struct cof_events_query *q, cof_show_fn fn, void *user, struct cof_diag *diag)
{
	uint64_t next;
	int r = a->archive ? -ENOTCONN : events_of_daemon(a, q, fn, user, diag);

	if (r != -ENOTCONN)
		return r;
	r = a->archive ? 0 : open_here(a, diag);
	return r == 0 ? cof_archive_events(a->archive, q, fn, user, &next) : r;
}

int people_close(struct people_asking *a, int r, struct cof_diag *diag)
{
	struct cof_diag closing = {""};
	int err = a->archive ? cof_archive_close(a->archive, &closing) : 0;

	a->archive = NULL;
	store_close(&a->store);
	return r == 0 && err < 0 ? cof_fail(diag, err, "%s", closing.text) : r;
}

/* ---- one request in words ---- */

void people_say_request(const struct cof_json *o)
{
	const char *id = cof_json_str(o, "id"), *action = cof_json_str(o, "action"), *state = cof_json_str(o, "state");
	const char *rule = cof_json_str(o, "rule"), *expires = cof_json_str(o, "expires"), *outcome = cof_json_str(o, "outcome");
	const struct cof_json *all = cof_json_get(o, "signed");
	cof_autofree char *shown = escaped(outcome ? outcome : "");

	printf("%s  %-14s %s%s%s\n", id ? id : "?", action ? action : "?", state ? state : "?", outcome && *outcome ? ": " : "",
	       outcome && *outcome && shown ? shown : "");
	if (cof_json_str(o, "release_at")) {
		int64_t in = 0;
		char span[32];

		(void)cof_json_int(o, "release_in_ns", &in);
		cof_duration_text(in, span);
		printf("  waits for a veto (coffer refuse): released in %s, at %s by retention time\n", span, cof_json_str(o, "release_at"));
	}
	printf("  rule: %s; expires %s; signed by", rule ? rule : "?", expires ? expires : "?");
	for (size_t i = 0; i < cof_json_count(all); i++) {
		const char *name = cof_json_str(cof_json_at(all, i), "name"), *roles = cof_json_str(cof_json_at(all, i), "roles");

		printf("%s %s (%s)", i ? "," : "", name ? name : "?", roles ? roles : "?");
	}
	printf("\n");
}
