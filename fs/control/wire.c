/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of the control socket: requests and answers, one line of JSON each, and where
 * the socket lies. See wire.h and control.h.
 */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "fs/control/control.h"
#include "fs/control/wire.h"

const char *cof_control_dir(void)
{
	const char *dir = secure_getenv("COFFER_RUN_DIR");

	return dir && *dir ? dir : "/run/coffer";
}

void cof_control_path(const uint8_t archive_id[16], char out[COF_CONTROL_PATH])
{
	char id[33];
	int n;

	cof_hex(archive_id, 16, id);
	n = snprintf(out, COF_CONTROL_PATH, "%s/%s.sock", cof_control_dir(), id);
	if (n < 0 || n >= COF_CONTROL_PATH)
		out[0] = '\0'; /* too long for a socket: nothing can listen there */
}

/* ---- requests ---- */

static const char *const verbs[] = {
	[COF_VERB_STATUS] = "status",	  [COF_VERB_LOG] = "log",	[COF_VERB_BLAME] = "blame",
	[COF_VERB_CHECKPOINT] = "checkpoint", [COF_VERB_STOP] = "stop",
	[COF_VERB_COMMIT] = "commit",	  [COF_VERB_RETAIN] = "retain",
	[COF_VERB_EXPLAIN] = "explain",	  [COF_VERB_SHELF_ADD] = "shelf-add",
	[COF_VERB_SHELF_SET] = "shelf-set", [COF_VERB_SHELVES] = "shelves",
	[COF_VERB_LS] = "ls",		  [COF_VERB_ACKNOWLEDGE] = "acknowledge",
	[COF_VERB_CLOCK] = "clock",	  [COF_VERB_STAMP_QUERY] = "stamp-query", [COF_VERB_STAMP] = "stamp",
	[COF_VERB_PEOPLE] = "people",
	[COF_VERB_HOLD_BEGIN] = "hold-begin", [COF_VERB_HOLDS] = "holds", [COF_VERB_HOLD_END] = "hold-end",
	[COF_VERB_RETAIN_EVENT] = "retain-event", [COF_VERB_EVENTS] = "events",
	[COF_VERB_CERTIFICATES] = "certificates",
	[COF_VERB_IMPORT] = "import", [COF_VERB_IMPORT_STATE] = "import-state",
	[COF_VERB_COSIGN] = "cosign", [COF_VERB_VAULT_TOLD] = "vault-told", [COF_VERB_VAULT_NEWER] = "vault-newer", [COF_VERB_VAULT_RECORD] = "vault-record", [COF_VERB_NOTE] = "note",
};

const char *cof_control_verb_name(enum cof_control_verb verb)
{
	return (unsigned)verb < COF_COUNT(verbs) && verbs[verb] ? verbs[verb] : "unknown";
}

/* A number that may be missing: *ret stays as it is then. */
static int number(const struct cof_json *o, const char *key, int64_t min, int64_t max, int64_t *ret,
		  struct cof_diag *diag)
{
	int64_t v = 0;

	if (!cof_json_get(o, key))
		return 0;
	if (cof_json_int(o, key, &v) || v < min || v > max)
		return cof_fail(diag, -EINVAL, "\"%s\" is a number from %lld to %lld", key,
				(long long)min, (long long)max);
	*ret = v;
	return 0;
}

static int inode(const struct cof_json *o, const char *key, uint64_t *ret, struct cof_diag *diag)
{
	int64_t v = 0;
	int err = number(o, key, 1, INT64_MAX, &v, diag);

	*ret = (uint64_t)v;
	return err;
}

/* The object: ino, or a path in the archive. */
static int parse_object(const struct cof_json *o, struct cof_control_request *r, bool needed,
			struct cof_diag *diag)
{
	int err = inode(o, "ino", &r->op.ino, diag);

	r->path = cof_json_str(o, "path");
	if (!err && needed && !r->op.ino && !r->path)
		return cof_fail(diag, -EINVAL, "\"ino\" or \"path\" says of what");
	return err;
}

static int parse_retain(const struct cof_json *o, struct cof_control_request *r, bool needed,
			struct cof_diag *diag)
{
	const char *text = cof_json_str(o, "retain");

	r->op.retain = COF_RETAIN_NONE;
	if (!text && !needed)
		return 0;
	if (!text || cof_retain_parse(text, strlen(text), &r->op.retain))
		return cof_fail(diag, -EINVAL,
				"\"retain\" is a time like 2031-01-02T03:04:05Z, or infinite");
	return 0;
}

static int parse_policy(const struct cof_json *o, struct cof_control_request *r,
			struct cof_diag *diag)
{
	const char *text = cof_json_str(o, "policy");
	struct cof_policy policy;

	if (!text)
		return cof_fail(diag, -EINVAL, "\"policy\" is the shelf's policy as text");
	r->op.data = text;
	r->op.length = strlen(text);
	return cof_policy_parse(text, strlen(text), &policy, diag) < 0 ? -EINVAL : 0;
}

static int parse_op(const char *name, enum cof_op_kind *ret, struct cof_diag *diag)
{
	for (int k = 0; k < COF_OP_COUNT_ && name; k++)
		if (!strcmp(name, cof_op_name((enum cof_op_kind)k))) {
			*ret = (enum cof_op_kind)k;
			return 0;
		}
	return cof_fail(diag, -EINVAL, "\"op\" is the name of an operation, such as write");
}

/* What an operation takes, all of it optional: what is missing is zero. */
static int parse_explain(const struct cof_json *o, struct cof_control_request *r,
			 struct cof_diag *diag)
{
	int64_t uid = 0, gid = 0, offset = -1, length = 0, mode = 0, flags = 0, kind = 1;
	int err = parse_op(cof_json_str(o, "op"), &r->op.kind, diag);
	struct cof_op *op = &r->op;

	if (!err)
		err = parse_object(o, r, false, diag);
	if (!err)
		err = parse_retain(o, r, false, diag);
	if (err || (err = inode(o, "parent", &op->parent, diag)) ||
	    (err = inode(o, "new_parent", &op->new_parent, diag)) ||
	    (err = number(o, "uid", 0, UINT32_MAX, &uid, diag)) ||
	    (err = number(o, "gid", 0, UINT32_MAX, &gid, diag)) ||
	    (err = number(o, "offset", 0, INT64_MAX, &offset, diag)) ||
	    (err = number(o, "length", 0, INT64_MAX, &length, diag)) ||
	    (err = number(o, "mode", 0, 07777, &mode, diag)) ||
	    (err = number(o, "flags", 0, UINT32_MAX, &flags, diag)) ||
	    (err = number(o, "kind", 1, 3, &kind, diag)))
		return err;
	op->name = cof_json_str(o, "name");
	op->new_name = cof_json_str(o, "new_name");
	op->data = cof_json_str(o, "data");
	op->length = op->data ? strlen(op->data) : (uint64_t)length;
	op->offset = offset < 0 ? 0 : (uint64_t)offset;
	r->at_end = offset < 0;
	op->mode = (uint32_t)mode;
	op->flags = (uint32_t)flags;
	op->node_kind = (uint8_t)kind;
	r->who = (struct cof_who){.uid = (uint32_t)uid, .gid = (uint32_t)gid};
	return 0;
}

/* The verbs about files and shelves. */
static int parse_acting(const struct cof_json *o, struct cof_control_request *r,
			struct cof_diag *diag)
{
	int err;

	switch (r->verb) {
	case COF_VERB_COMMIT:
	case COF_VERB_RETAIN:
		r->op.kind = r->verb == COF_VERB_COMMIT ? COF_OP_COMMIT : COF_OP_RETAIN;
		err = parse_object(o, r, true, diag);
		return err ? err : parse_retain(o, r, r->verb == COF_VERB_RETAIN, diag);
	case COF_VERB_SHELF_ADD:
		r->op.kind = COF_OP_SHELF_ADD;
		r->op.ino = r->op.parent = 1;
		r->op.name = cof_json_str(o, "name");
		if (!r->op.name)
			return cof_fail(diag, -EINVAL, "\"name\" is that of the new shelf");
		return parse_policy(o, r, diag);
	case COF_VERB_SHELF_SET:
		r->op.kind = COF_OP_SHELF_SET;
		err = parse_object(o, r, true, diag);
		return err ? err : parse_policy(o, r, diag);
	case COF_VERB_EXPLAIN:
		return parse_explain(o, r, diag);
	case COF_VERB_RETAIN_EVENT:
		r->op.kind = COF_OP_RETAIN_EVENT;
		r->op.name = cof_json_str(o, "event");
		if (!r->op.name)
			return cof_fail(diag, -EINVAL, "\"event\" is the name of the event");
		return parse_object(o, r, true, diag);
	default: /* ls */
		r->recursive = cof_json_bool(o, "recursive");
		r->digest = cof_json_bool(o, "digest");
		r->state = cof_json_str(o, "state");
		return parse_object(o, r, false, diag);
	}
}

static int parse_hold(const struct cof_json *o, struct cof_control_request *r, struct cof_diag *diag)
{
	r->hold_case = cof_json_str(o, "case");
	r->reason = cof_json_str(o, "reason");
	r->paths = cof_json_get(o, "paths");
	if (!r->hold_case)
		return cof_fail(diag, -EINVAL, "\"case\" is the name of the case");
	for (size_t i = 0; r->verb == COF_VERB_HOLD_BEGIN && i < cof_json_count(r->paths); i++)
		if (!cof_json_value_str(cof_json_at(r->paths, i)))
			return cof_fail(diag, -EINVAL, "\"paths\" is a list of paths in the archive");
	return 0;
}

static int parse_events(const struct cof_json *o, struct cof_control_request *r, struct cof_diag *diag)
{
	struct cof_events_query *q = &r->events;
	int64_t from = 0;
	int err;

	q->since = INT64_MIN;
	q->until = INT64_MAX;
	err = number(o, "since", INT64_MIN, INT64_MAX, &q->since, diag);
	if (!err)
		err = number(o, "until", INT64_MIN, INT64_MAX, &q->until, diag);
	if (!err)
		err = number(o, "from", 0, INT64_MAX, &from, diag);
	q->from = (uint64_t)from;
	q->type = cof_json_str(o, "type");
	q->outcome = cof_json_str(o, "outcome");
	q->source = cof_json_str(o, "source");
	q->catalogue = cof_json_str(o, "catalogue");
	q->severity = cof_json_str(o, "severity");
	q->actor = cof_json_str(o, "actor");
	q->path = cof_json_str(o, "path");
	r->follow = cof_json_bool(o, "follow");
	return err;
}

void cof_control_request_done(struct cof_control_request *r)
{
	cof_json_free(r->json);
	*r = (struct cof_control_request){0};
}

static int parse_arguments(const struct cof_json *o, struct cof_control_request *r,
			   struct cof_diag *diag)
{
	int64_t v = 0;
	int err;

	switch (r->verb) {
	case COF_VERB_LOG:
		err = cof_json_get(o, "from") ? cof_json_int(o, "from", &v) : 0;
		if (err || v < 0)
			return cof_fail(diag, -EINVAL, "log: \"from\" is a sequence, from 0 on");
		r->from = (uint64_t)v;
		r->follow = cof_json_bool(o, "follow");
		return 0;
	case COF_VERB_BLAME:
		if (cof_json_int(o, "ino", &v) || v < 1)
			return cof_fail(diag, -EINVAL, "blame: \"ino\" is an inode number, from 1 on");
		r->ino = (uint64_t)v;
		return 0;
	case COF_VERB_COMMIT:
	case COF_VERB_RETAIN:
	case COF_VERB_EXPLAIN:
	case COF_VERB_SHELF_ADD:
	case COF_VERB_SHELF_SET:
	case COF_VERB_LS:
	case COF_VERB_RETAIN_EVENT:
		return parse_acting(o, r, diag);
	case COF_VERB_HOLD_BEGIN:
	case COF_VERB_HOLD_END:
		return parse_hold(o, r, diag);
	case COF_VERB_HOLDS:
		r->all = cof_json_bool(o, "all");
		return 0;
	case COF_VERB_EVENTS:
		return parse_events(o, r, diag);
	case COF_VERB_STAMP:
		r->token = cof_json_str(o, "token");
		r->ca = cof_json_str(o, "ca");
		if (!r->ca && cof_json_get(o, "ca")) /* never taken for none, which makes less of a token */
			return cof_fail(diag, -EINVAL, "stamp: \"ca\" is no certificate in PEM");
		return r->token ? 0 : cof_fail(diag, -EINVAL, "stamp: \"token\" is the answer in base64");
	case COF_VERB_COSIGN:
		r->vault = cof_json_str(o, "vault");
		r->note = cof_json_str(o, "note");
		r->began = INT64_MIN;
		if (!r->vault || !r->note)
			return cof_fail(diag, -EINVAL, "cosign: \"vault\" is its name here, \"note\" what it signed");
		return number(o, "began", 0, INT64_MAX, &r->began, diag);
	case COF_VERB_VAULT_TOLD:
		r->vault = cof_json_str(o, "vault");
		r->type = cof_json_str(o, "type");
		r->note = cof_json_str(o, "detail");
		return r->vault && r->type && r->note ? 0 : cof_fail(diag, -EINVAL, "vault-told: \"type\", \"vault\" and \"detail\" are wanted");
	case COF_VERB_VAULT_NEWER:
		r->vault = cof_json_str(o, "vault");
		r->note = cof_json_str(o, "note");
		return r->vault && r->note ? 0 : cof_fail(diag, -EINVAL, "vault-newer: \"vault\" is its name here, \"note\" the head that it shows");
	case COF_VERB_VAULT_RECORD:
		return cof_json_get(o, "record") ? 0 : cof_fail(diag, -EINVAL, "vault-record: \"record\" has its fields");
	default:
		return 0;
	}
}

int cof_control_parse(const char *line, size_t n, struct cof_control_request *ret,
		      struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = NULL;
	struct cof_control_request r = {0};
	const char *verb;
	size_t i;
	int err;

	if (cof_json_parse(line, n, &o))
		return cof_fail(diag, -EUCLEAN, "the request is not one line of JSON");
	verb = cof_json_str(o, "verb");
	if (!verb)
		return cof_fail(diag, -EUCLEAN, "the request has no \"verb\"");
	for (i = 0; i < COF_COUNT(verbs); i++) {
		if (!strcmp(verb, verbs[i]))
			break;
	}
	if (i == COF_COUNT(verbs) && cof_archive_people_verb(verb))
		i = COF_VERB_PEOPLE; /* several by one call */
	if (i == COF_COUNT(verbs))
		return cof_fail(diag, -EOPNOTSUPP, "the daemon does not know the verb \"%.40s\"",
				verb);
	r.verb = (enum cof_control_verb)i;
	r.people = verb;
	err = parse_arguments(o, &r, diag);
	if (err)
		return err;
	if (r.verb >= COF_VERB_COMMIT) { /* strings in it are pointed to */
		r.json = o;
		o = NULL;
	}
	*ret = r;
	return 0;
}

/* ---- lines ---- */

static int64_t now_ms(void)
{
	return cof_now(CLOCK_MONOTONIC) / 1000000;
}

/* Waits for events until the deadline: 0, or -ETIMEDOUT. Signals do not count. */
static int wait_for(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left = deadline - now_ms();
		int n;

		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int cof_control_read_line(int fd, char *buf, size_t cap, int timeout_ms, size_t *ret_n)
{
	int64_t deadline = now_ms() + timeout_ms;
	size_t have = 0;

	while (have < cap) {
		const char *newline;
		ssize_t n = recv(fd, buf + have, cap - have, 0);

		if (n == 0)
			return -ENODATA;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0) {
			int err = wait_for(fd, POLLIN, deadline);

			if (err)
				return err;
			continue;
		}
		newline = memchr(buf + have, '\n', (size_t)n);
		if (newline) {
			*ret_n = (size_t)(newline - buf);
			return 0;
		}
		have += (size_t)n;
		if (now_ms() >= deadline) /* a drip of single bytes does not extend it */
			return -ETIMEDOUT;
	}
	return -EMSGSIZE;
}

static int send_all(int fd, const char *p, size_t n, int64_t deadline)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
		int err;

		if (sent > 0) {
			p += sent;
			n -= (size_t)sent;
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN)
			return -errno;
		err = wait_for(fd, POLLOUT, deadline);
		if (err)
			return err;
	}
	return 0;
}

int cof_control_add_line(struct cof_buf *lines, struct cof_json *line)
{
	const char *text = cof_json_text(line, false);

	if (!text)
		return -ENOMEM;
	cof_buf_add(lines, text, strlen(text));
	cof_buf_add(lines, "\n", 1);
	return lines->failed ? -ENOMEM : 0;
}

int cof_control_send_lines(int fd, const struct cof_buf *lines, int timeout_ms)
{
	return send_all(fd, (const char *)lines->data, lines->len, now_ms() + timeout_ms);
}

int cof_control_send(int fd, struct cof_json *line, int timeout_ms)
{
	cof_autobuf struct cof_buf lines = {0};
	int err = cof_control_add_line(&lines, line);

	return err ? err : cof_control_send_lines(fd, &lines, timeout_ms);
}

int cof_control_send_end(int fd, int err, const char *sentence, int timeout_ms)
{
	cof_autojson struct cof_json *o = cof_json_object();

	cof_json_set_bool(o, "end", true);
	if (err) {
		cof_json_set_str(o, "error", sentence && *sentence ? sentence : strerror(-err));
		cof_json_set_int(o, "errno", -err);
	}
	return cof_control_send(fd, o, timeout_ms);
}
