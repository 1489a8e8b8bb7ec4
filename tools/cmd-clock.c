/* SPDX-License-Identifier: Apache-2.0 */
/* coffer clock: the two clocks of an archive, what bounds them, and time stamps from an authority. */
#include "tools/coffer.h"
#include "tools/file.h"
#include "tools/http.h"
#include "tools/opener.h"
#include "tools/output.h"
#include "tools/store.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#define SECURE_BYTES (4u << 20)

enum { OPT_STAMP, OPT_REQUEST, OPT_CA, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_STAMP] = {"stamp", "URL|FILE",
		   "has the newest checkpoint stamped by the authority at URL (RFC 3161, http or https), or "
		   "takes its answer from FILE, and puts the token into the chain",
		   true},
    [OPT_REQUEST] = {"stamp-request", "FILE",
		     "writes the query to FILE, for hosts without a network: carry it to the authority, and its "
		     "answer back to --stamp",
		     true},
    [OPT_CA] = {"ca", "FILE",
		"certificates (PEM) that the token has to lead to. With it the token is a proof; without, it "
		"is only what its signer claims",
		true},
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    {0},
};

struct asking {
	struct opener_args opener;
	const char *stamp, *request, *ca;
	bool json;
	struct store store;
	struct cof_archive *archive; /* opened here, since no daemon has it */
	struct cof_buf ca_text;
};

/* ---- files ---- */

static int save_file(const char *path, const struct cof_buf *b, struct cof_diag *diag)
{
	cof_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	int r = fd < 0 ? -errno : cof_write_all(fd, b->data, b->len);

	return r < 0 ? cof_fail(diag, r, "cannot write %s: %s", path, strerror(-r)) : 0;
}

/* ---- the archive: through its daemon, or opened ---- */

static int ask(struct asking *a, struct cof_json *request, struct cof_json **ret, struct cof_diag *diag)
{
	int r = store_ask(&a->store, request, store_keep_last, ret, diag);

	return r == 0 && !*ret ? cof_fail(diag, -EPROTO, "the daemon said nothing") : r;
}

static void on_alarm(void *user COF_UNUSED, const char *text)
{
	cof_autofree char *shown = escaped(text);

	complain("%s", shown ? shown : "?");
}

static int open_here(struct asking *a, struct cof_diag *diag)
{
	struct cof_archive_params p = {.io = a->store.io, .alarm = on_alarm, .no_threads = true};
	struct opener opener = {0};
	int r = opener_find(&a->opener, a->store.io, a->store.path, &opener, diag);

	if (r < 0)
		return r;
	p.secret = &opener.secret;
	r = cof_archive_open(&p, &a->archive, NULL, diag);
	opener_done(&opener);
	return r;
}

/* Something that writes: when nobody has the archive mounted, it is opened for that. */
static int query(struct asking *a, struct cof_buf *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object(), *answer = NULL;
	uint8_t bytes[1024];
	const char *text;
	size_t n = 0;
	int r;

	cof_json_set_str(request, "verb", "stamp-query");
	r = ask(a, request, &answer, diag);
	if (r == -ENOTCONN) {
		r = open_here(a, diag);
		return r < 0 ? r : cof_archive_stamp_query(a->archive, ret, diag);
	}
	if (r < 0)
		return r;
	text = cof_json_str(answer, "query");
	if (!text || cof_unbase64(text, strlen(text), bytes, sizeof(bytes), &n) < 0)
		return cof_fail(diag, -EPROTO, "the daemon gave no query");
	cof_buf_add(ret, bytes, n);
	return ret->failed ? -ENOMEM : 0;
}

static int answer_here(struct asking *a, const struct cof_buf *answer, struct cof_json **ret, struct cof_diag *diag)
{
	struct cof_who who = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getpid()};
	struct cof_stamped done;
	int r = a->archive ? 0 : open_here(a, diag);

	if (r == 0)
		r = cof_archive_stamp(a->archive, &who, answer->data, answer->len, a->ca ? a->ca_text.data : NULL,
				      a->ca_text.len, &done, diag);
	if (r < 0)
		return r;
	*ret = cof_json_object();
	cof_stamped_json(&done, *ret);
	return *ret ? 0 : cof_fail(diag, -ENOMEM, "out of memory");
}

static int give_answer(struct asking *a, const struct cof_buf *answer, struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *request = cof_json_object();
	cof_autofree char *text = malloc(cof_base64_len(answer->len) + 1);
	int r;

	if (!text)
		return cof_fail(diag, -ENOMEM, "out of memory");
	if (a->archive)
		return answer_here(a, answer, ret, diag);
	cof_base64(answer->data, answer->len, text);
	cof_json_set_str(request, "verb", "stamp");
	cof_json_set_str(request, "token", text);
	if (a->ca)
		cof_json_set_bytes(request, "ca", a->ca_text.data, a->ca_text.len);
	r = ask(a, request, ret, diag);
	return r == -ENOTCONN ? answer_here(a, answer, ret, diag) : r;
}

/* ---- stamping ---- */

static int fetch(struct asking *a, struct cof_buf *answer, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf q = {0};
	int r = query(a, &q, diag);
	struct http_post post = {.url = a->stamp,
				 .type = "application/timestamp-query",
				 .answer_type = "application/timestamp-reply",
				 .body = q.data,
				 .len = q.len,
				 .most = COF_STAMP_RESPONSE_MAX};

	return r < 0 ? r : http_post(&post, answer, diag);
}

static void tell_stamped(const struct cof_json *o)
{
	const char *who = cof_json_str(o, "authority"), *time = cof_json_str(o, "time");
	cof_autofree char *shown = escaped(who ? who : "?");
	int64_t covers = 0, sequence = 0;

	(void)cof_json_int(o, "covers", &covers);
	(void)cof_json_int(o, "sequence", &sequence);
	printf("Stamped %s by %s: the first %" PRId64 " frames were there then (frame %" PRId64 ").\n",
	       time ? time : "?", shown ? shown : "?", covers, sequence);
	if (!cof_json_bool(o, "proof"))
		printf("It is not a proof: without --ca nobody vouches for who that is. It is kept, and coffer "
		       "verify --tsa-ca\nlooks at it.\n");
}

static int stamp(struct asking *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf answer = {0};
	cof_autojson struct cof_json *done = NULL;
	int r = a->ca ? file_load(a->ca, COF_STAMP_CA_MAX, &a->ca_text, diag) : 0;

	if (r == 0)
		r = http_is_url(a->stamp) ? fetch(a, &answer, diag)
					  : file_load(a->stamp, COF_STAMP_RESPONSE_MAX, &answer, diag);
	if (r == 0)
		r = give_answer(a, &answer, &done, diag);
	if (r < 0)
		return r;
	if (a->json)
		return print_json(done, true) == -ENOMEM ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
	tell_stamped(done);
	return 0;
}

static int request(struct asking *a, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf q = {0};
	int r = query(a, &q, diag);

	if (r == 0)
		r = save_file(a->request, &q, diag);
	if (r == 0 && !a->json)
		printf("The query is in %s. Send it as application/timestamp-query, and give the answer to coffer "
		       "clock --stamp FILE.\n",
		       a->request);
	return r;
}

/* ---- showing ---- */

static int64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	(void)cof_json_int(o, key, &v);
	return v;
}

static void duration(int64_t ms, char out[32])
{
	int64_t ns;

	cof_duration_text(__builtin_mul_overflow(ms, (int64_t)1000000, &ns) ? INT64_MAX : ns, out);
}

static void line(const char *name, const char *value)
{
	cof_autofree char *shown = value ? escaped(value) : NULL;

	if (shown)
		printf("%-12s %s\n", name, shown);
}

static void say_token(const char *name, const struct cof_json *p, const char *by)
{
	const char *who = cof_json_str(p, "authority"), *time = cof_json_str(p, "time");
	cof_autofree char *shown = escaped(who ? who : "?");

	if (p)
		printf("%-12s %s %s %s, over the first %" PRId64 " frames (frame %" PRId64 ")\n", name,
		       time ? time : "?", by, shown ? shown : "?", number(p, "covers"), number(p, "sequence"));
}

static void say_record(const struct cof_json *o)
{
	const char *from = cof_json_str(o, "not_before");
	char off[32], limit[32];

	if (from)
		printf("%-12s of a record made now: not before %s, by the newest proof\n", "Record time", from);
	else
		printf("%-12s no proof bounds it: it is what the wall clock says\n", "Record time");
	say_token("Proof", cof_json_get(o, "proof"), "by");
	say_token("Claimed", cof_json_get(o, "claimed"), "claimed by");
	if (number(o, "queries"))
		printf("%-12s %" PRId64 " without an answer yet\n", "Queries", number(o, "queries"));
	if (!cof_json_get(o, "deviation_ms"))
		return;
	duration(number(o, "deviation_ms"), off);
	duration(number(o, "deviation_limit_ms"), limit);
	printf("%-12s %s against the %s, allowed are %s\n", "Deviation", off, cof_json_str(o, "deviation_by"), limit);
}

static void say_retention(const struct cof_json *o)
{
	const char *time = cof_json_str(o, "retention_time");
	int64_t lag = number(o, "lag_ms");
	char text[32];

	if (!time)
		return;
	duration(lag < 0 ? -lag : lag, text);
	printf("%-12s %s, %s %s the wall clock\n", "Retention", time, text, lag < 0 ? "ahead of" : "behind");
	if (lag >= 1000)
		printf("%-12s two officers vouch for the time that was missed (coffer request clock-catch-up); until\n"
		       "%-12s then ends come that much later\n",
		       "Catch up", "");
}

static void say_tpm(const struct cof_json *o)
{
	const struct cof_json *t = cof_json_get(o, "tpm");
	const char *error = cof_json_str(t, "error");
	cof_autofree char *shown = error ? escaped(error) : NULL;
	char clock[32], time[32];

	if (!t || !cof_json_bool(t, "bounds_retention")) {
		if (t)
			printf("%-12s no opener is a TPM: the boot-time clock alone bounds retention\n", "TPM clock");
		return;
	}
	if (cof_json_get(t, "clock_ms")) {
		duration(number(t, "clock_ms"), clock);
		duration(number(t, "time_ms"), time);
		printf("%-12s %s (%s), %s since its last reset; %" PRId64 " resets, %" PRId64 " restarts\n", "TPM clock",
		       clock, cof_json_bool(t, "safe") ? "safe" : "not safe: it may have been higher", time,
		       number(t, "resets"), number(t, "restarts"));
	}
	if (shown)
		printf("%-12s it does not answer (%s): retention stands still\n", "TPM clock", shown);
}

static void say(const struct asking *a, const struct cof_json *o)
{
	char text[32];

	line("Archive", a->store.path);
	printf("%-12s %s\n", "Mounted", cof_json_bool(o, "mounted") ? "yes" : "no; this is as of its last frame");
	line("Wall clock", cof_json_str(o, "wall_clock"));
	say_record(o);
	say_retention(o);
	say_tpm(o);
	line("Boot", cof_json_str(o, "boot_id"));
	if (cof_json_get(o, "boot_time_ms")) {
		duration(number(o, "boot_time_ms"), text);
		printf("%-12s %s ago\n", "", text);
	}
}

static int show(struct asking *a, struct cof_diag *diag)
{
	cof_autojson struct cof_json *asked = cof_json_object(), *o = NULL;
	int r;

	cof_json_set_str(asked, "verb", "clock");
	r = ask(a, asked, &o, diag);
	if (r == -ENOTCONN) {
		o = cof_json_object();
		r = cof_store_clock(a->store.io, o, diag);
	}
	if (r < 0)
		return r;
	if (a->json)
		return print_json(o, true) == -ENOMEM ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
	say(a, o);
	return 0;
}

/* ---- the verb ---- */

static int act(struct asking *a, const char *arg, struct cof_diag *diag)
{
	struct cof_diag closing = {""};
	int err, r = cof_crypto_init(SECURE_BYTES, diag);

	if (r == 0)
		r = store_open(arg, &a->store, diag);
	if (r < 0)
		return r;
	r = a->stamp ? stamp(a, diag) : a->request ? request(a, diag) : show(a, diag);
	if (!a->archive)
		return r;
	err = cof_archive_close(a->archive, &closing);
	return r == 0 && err < 0 ? cof_fail(diag, err, "%s", closing.text) : r;
}

static int take_option(void *user, int option)
{
	struct asking *a = user;

	switch (option) {
	case OPT_STAMP:
		a->stamp = optarg;
		break;
	case OPT_REQUEST:
		a->request = optarg;
		break;
	case OPT_CA:
		a->ca = optarg;
		break;
	case OPT_JSON:
		a->json = true;
		break;
	default:
		return opener_take(&a->opener, option);
	}
	return EXIT_OK;
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct asking a = {.opener = OPENER_ARGS_INIT};
	struct cof_diag diag = {""};
	const char *conflict;
	int code;

	code = options_take(self, argc, argv, take_option, &a, 1);
	if (code >= 0)
		return code;
	conflict = opener_conflict(&a.opener);
	if (*conflict)
		return misuse("%s", conflict);
	if (a.stamp && a.request)
		return misuse("--stamp and --stamp-request exclude one another");
	if (a.ca && !a.stamp)
		return misuse("--ca goes with --stamp");
	code = act(&a, argv[optind], &diag) < 0 ? failure(&diag) : EXIT_OK;
	cof_buf_done(&a.ca_text);
	store_close(&a.store);
	return code;
}

const struct verb verb_clock = {
    .name = "clock",
    .args = "STORE",
    .summary = "record time, retention time, and what proves them",
    .text = "Shows the two clocks of an archive: record time, which is the wall clock with what proofs in the "
	    "chain bound it by, and retention time, which says whether something may end and only goes forward, "
	    "with how far it lags behind.\n"
	    "\n"
	    "--stamp has the newest checkpoint stamped by an authority (RFC 3161): records chained behind the "
	    "token are not older than it, and frames that it covers not younger. A mounted archive is asked "
	    "through its daemon (root only); one that is not mounted is opened with its key for that, and "
	    "closed.\n"
	    "\n"
	    "Example: a stamp each day\n"
	    "  coffer clock STORE --stamp http://tsa.example.org --ca tsa.pem\n"
	    "\n"
	    "Exit code: 0 done, 1 failed, 2 wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
