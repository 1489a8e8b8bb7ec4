/* SPDX-License-Identifier: Apache-2.0 */
/* coffer events: what happened, found by what it was. Through the daemon when mounted, else with the key. */
#include "fs/rules/catalogue.h"
#include "tools/coffer.h"
#include "tools/event-line.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/store.h"
#include "tools/when.h"

#include <stdio.h>

#define SECURE_BYTES (4u << 20)

enum {
	OPT_SINCE,
	OPT_UNTIL,
	OPT_TYPE,
	OPT_CATALOGUE,
	OPT_SEVERITY,
	OPT_ACTOR,
	OPT_PATH,
	OPT_OUTCOME,
	OPT_SOURCE,
	OPT_FROM,
	OPT_LIMIT,
	OPT_FOLLOW,
	OPT_JSON,
	OPT_SYSLOG,
};

static const struct tool_option options[] = {
    [OPT_SINCE] = {"since", "TIME", "recorded at this time or later: 2031-01-02, 2031-01-02T03:04:05Z, or a span such as "
				    "7d before now"},
    [OPT_UNTIL] = {"until", "TIME", "recorded before this time"},
    [OPT_TYPE] = {"type", "NAME", "of this type, such as refused or locked"},
    [OPT_CATALOGUE] = {"catalogue", "ID", "of this kind of the catalogue, such as A.1.2; A.2 has all of A.2.1 to A.2.5"},
    [OPT_SEVERITY] = {"severity", "NAME", "at least so severe: emerg, alert, crit, err, warning, notice, info or debug",
		      .choices = "emerg,alert,crit,err,warning,notice,info,debug"},
    [OPT_ACTOR] = {"actor", "WHO", "by this uid, login uid, command or signer"},
    [OPT_PATH] = {"path", "PATH", "about this path in the archive or anything below it"},
    [OPT_OUTCOME] = {"outcome", "NAME", "success, failure or attempt", .choices = "success,failure,attempt"},
    [OPT_SOURCE] = {"source", "NAME", "seen by this source; Coffer's own is coffer"},
    [OPT_FROM] = {"from", "N", "begins at frame N instead of 0"},
    [OPT_LIMIT] = {"limit", "N", "ends after N events"},
    [OPT_FOLLOW] = {"follow", NULL, "goes on with new events as they come, until the archive is unmounted"},
    [OPT_JSON] = {"json", NULL, "one JSON object a line instead of text"},
    [OPT_SYSLOG] = {"syslog", NULL, "one message of RFC 5424 a line instead of text"},
    {0},
};

struct showing {
	struct opener_args opener_args;
	struct cof_events_query q;
	uint64_t limit; /* 0: none */
	bool follow, json, syslog;
	const char *host;
	char id[33];
	uint64_t shown;
	bool full; /* the limit was reached */
};

static int show(void *user, struct cof_json *event)
{
	cof_autobuf struct cof_buf line = {0};
	struct showing *s = user;

	if (s->json) {
		if (print_json(event, false) == -ENOMEM)
			return -ENOMEM;
	} else {
		if (s->syslog)
			event_syslog(event, s->host, s->id, &line);
		else
			event_line(event, &line);
		if (line.failed)
			return -ENOMEM;
		fwrite(line.data, 1, line.len, stdout);
	}
	if (s->follow)
		fflush(stdout);
	s->shown++;
	s->full = s->limit && s->shown >= s->limit;
	return s->full || output_broken();
}

/* ---- where they come from ---- */

static void set_text(struct cof_json *o, const char *key, const char *value)
{
	if (value)
		cof_json_set_str(o, key, value);
}

static int from_daemon(const struct store *st, struct showing *s, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	const struct cof_events_query *q = &s->q;

	cof_json_set_str(request, "verb", "events");
	set_text(request, "type", q->type);
	set_text(request, "catalogue", q->catalogue);
	set_text(request, "severity", q->severity);
	set_text(request, "actor", q->actor);
	set_text(request, "path", q->path);
	set_text(request, "outcome", q->outcome);
	set_text(request, "source", q->source);
	cof_json_set_int(request, "since", q->since);
	cof_json_set_int(request, "until", q->until);
	cof_json_set_uint(request, "from", q->from);
	cof_json_set_bool(request, "follow", s->follow);
	return store_ask(st, request, show, s, diag);
}

static int from_store(const struct store *st, struct showing *s, struct cof_diag *diag)
{
	struct opener opener = {0};
	uint64_t next;
	int r;

	if (s->follow)
		return cof_fail(diag, -ENOTCONN, "%s is not mounted, so nothing new can come: leave out --follow",
				st->path);
	r = opener_find_as_owner(&s->opener_args, st->io, st->path, &opener, diag);
	if (r == 0)
		r = cof_store_events(st->io, &opener.secret, &s->q, show, s, &next, diag);
	opener_done(&opener);
	return r;
}

static int show_all(const char *arg, struct showing *s, struct cof_diag *diag)
{
	autostore struct store st = {0};
	int r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = store_open(arg, &st, diag);
	if (r < 0)
		return r;
	s->host = st.conf.vkey.name;
	cof_hex(st.conf.id, sizeof(st.conf.id), s->id);
	r = from_daemon(&st, s, diag);
	if (r == -ENOTCONN)
		return from_store(&st, s, diag);
	if (r == 0 && s->follow && !s->full && !output_broken())
		complain("the archive was unmounted");
	return r;
}

/* ---- the verb ---- */

static int take_number(const char *name, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(optarg, &end, 10);
	if (errno || *end || *optarg < '0' || *optarg > '9' || v > INT64_MAX)
		return misuse("--%s takes a number, from 0 on", name);
	*ret = v;
	return EXIT_OK;
}

static int take_time(const char *name, int64_t *ret)
{
	int64_t span;

	if (when_parse(optarg, ret) == 0)
		return EXIT_OK;
	if (cof_span_parse(optarg, &span) < 0 || span == COF_RETAIN_INFINITE)
		return misuse("--%s takes a time such as 2031-01-02, or a span such as 7d before now", name);
	*ret = cof_now(CLOCK_REALTIME) - span;
	return EXIT_OK;
}

static int take_word(const char *name, bool valid, const char **ret, const char *takes)
{
	if (!valid)
		return misuse("'%s' is no %s: %s", optarg, name, takes);
	*ret = optarg;
	return EXIT_OK;
}

/* "A.2" and "A.2.1" alike. */
static bool is_catalogue(const char *id)
{
	const struct cof_catalogue_kind *k;
	size_t n = cof_catalogue(&k), len = strlen(id);

	for (size_t i = 0; i < n && len; i++)
		if (!strncmp(k[i].id, id, len) && (!k[i].id[len] || k[i].id[len] == '.'))
			return true;
	return false;
}

static int take_option(void *user, int option)
{
	struct showing *s = user;
	struct cof_events_query *q = &s->q;

	switch (option) {
	case OPT_SINCE:
		return take_time("since", &q->since);
	case OPT_UNTIL:
		return take_time("until", &q->until);
	case OPT_TYPE:
		return take_word("type of event", cof_event_type_valid(optarg), &q->type, "a-z, 0-9 and -");
	case OPT_CATALOGUE:
		return take_word("kind of the catalogue", is_catalogue(optarg), &q->catalogue, "A.1.1 to A.17.12");
	case OPT_SEVERITY:
		return take_word("severity", cof_severity(optarg) >= 0, &q->severity,
				 "emerg, alert, crit, err, warning, notice, info, debug");
	case OPT_OUTCOME:
		return take_word("outcome", cof_outcome_valid(optarg), &q->outcome, "success, failure, attempt");
	case OPT_ACTOR:
		q->actor = optarg;
		return EXIT_OK;
	case OPT_PATH:
		q->path = optarg + strspn(optarg, "/");
		return EXIT_OK;
	case OPT_SOURCE:
		q->source = optarg;
		return EXIT_OK;
	case OPT_FROM:
		return take_number("from", &q->from);
	case OPT_LIMIT:
		if (take_number("limit", &s->limit))
			return EXIT_USAGE;
		return s->limit ? EXIT_OK : misuse("--limit takes a number, from 1 on");
	case OPT_FOLLOW:
		s->follow = true;
		return EXIT_OK;
	case OPT_JSON:
		s->json = true;
		return EXIT_OK;
	case OPT_SYSLOG:
		s->syslog = true;
		return EXIT_OK;
	default:
		return opener_take(&s->opener_args, option);
	}
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct showing s = {.opener_args = OPENER_ARGS_INIT, .q = {.since = INT64_MIN, .until = INT64_MAX}};
	struct cof_diag diag = {""};
	const char *conflict;
	int code;

	code = options_take(self, argc, argv, take_option, &s, 1);
	if (code >= 0)
		return code;
	if (s.json && s.syslog)
		return misuse("--json and --syslog are two forms: give one");
	conflict = opener_conflict(&s.opener_args);
	if (*conflict)
		return misuse("%s", conflict);
	return show_all(argv[optind], &s, &diag) < 0 ? failure(&diag) : EXIT_OK;
}

const struct verb verb_events = {
    .name = "events",
    .args = "STORE",
    .summary = "what happened, by kind, time, actor, path or severity",
    .text = "Prints the events of an archive in order: what was refused, changed, opened, read, recovered, and what "
	    "other sources said, each with its kind of the catalogue, outcome and severity. A mounted archive is asked "
	    "through its daemon (root only), which finds them by its index; one that is not mounted is read with its "
	    "key from the first frame on, and nothing in it is changed.\n"
	    "\n"
	    "  coffer events /archive --catalogue A.1.2 --since 7d\n"
	    "  coffer events /archive --severity err --follow --syslog\n"
	    "\n"
	    "Exit code: 0 all was shown, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
