/* SPDX-License-Identifier: Apache-2.0 */
/* coffer calendar: what expires when, which CA needs a new key or a CRL until when, and how long
 * the disk lasts. */
#include "tools/cas.h"
#include "tools/coffer.h"
#include "tools/output.h"
#include "tools/space.h"
#include "tools/when.h"

#include <stdio.h>
#include <time.h>

#define EXIT_OVERDUE 3
#define MONTHS (293 * 12) /* 1970 to 2262, as far as times reach */
#define PAST 12           /* months of growth that are shown */

enum { OPT_MONTHS, OPT_AT, OPT_CRL, OPT_JSON };

static const struct tool_option options[] = {
    [OPT_MONTHS] =
	{"months", "N",
	 "so many months from this one on, instead of 24; what comes later is summed up"},
    [OPT_AT] = {"at", "DATE", "as of this date instead of now: what is overdue then"},
    [OPT_CRL] = {"crl", NULL, "also when the next CRL of each issuer is due"},
    [OPT_JSON] = {"json", NULL, "one JSON object instead of text"},
    {0},
};

struct sum {
	uint64_t files, bytes, certificates, grown;
};

struct calendar {
	struct source source;
	struct cof_profile policy;
	struct sum month[MONTHS];
	struct sum expired, later, for_ever, waiting,
	    open; /* of files; expired: certificates too */
	struct cas cas;
	struct space space;
	int64_t now;
	unsigned months, first; /* first: of month[] that is this one */
	bool crl, json;
};

/* ---- gathering ---- */

static unsigned month_of(int64_t t)
{
	time_t seconds = (time_t)(t < 0 ? 0 : t / COF_NSEC);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm))
		return 0;
	return COF_MIN((unsigned)(tm.tm_year - 70) * 12 + (unsigned)tm.tm_mon, MONTHS - 1u);
}

static struct sum *sum_of(struct calendar *c, const struct cof_json *o)
{
	const char *state = cof_json_str(o, "state"), *until = cof_json_str(o, "retain_until");
	int64_t t;

	if (!state || !strcmp(state, "destroyed"))
		return NULL;
	if (!strcmp(state, "open"))
		return &c->open;
	if (!strcmp(state, "expired"))
		return &c->expired;
	if (cof_json_str(o, "event"))
		return &c->waiting;
	if (!until || cof_retain_parse(until, strlen(until), &t) < 0 || t == COF_RETAIN_INFINITE)
		return &c->for_ever;
	return t < c->now ? &c->expired : &c->month[month_of(t)];
}

static int take_object(void *user, struct cof_json *o)
{
	struct calendar *c = user;
	struct sum *s = sum_of(c, o);
	int64_t size = 0;

	if (!s)
		return 0;
	(void)cof_json_int(o, "size", &size);
	s->files++;
	s->bytes += (uint64_t)size;
	return 0;
}

static int take_certificate(void *user, struct cof_json *o)
{
	const char *kind = cof_json_str(o, "kind"), *end = cof_json_str(o, "not_after");
	struct calendar *c = user;
	int64_t t;

	if (kind && !strcmp(kind, "certificate") && end && cof_time_parse(end, &t) == 0 &&
	    !cof_json_bool(o, "no_end")) {
		if (t < c->now)
			c->expired.certificates++;
		else
			c->month[month_of(t)].certificates++;
	}
	return cas_take(&c->cas, o);
}

static void take_growth(void *user, int64_t time, uint64_t bytes)
{
	struct calendar *c = user;

	c->month[month_of(time)].grown += bytes;
}

static int gather(struct calendar *c, const char *arg, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	bool set;
	int r = source_open(&c->source, arg, diag);

	if (r == 0)
		r = source_policy(&c->source, &c->policy, &set, diag);
	if (r == 0)
		r = source_objects(&c->source, take_object, c, diag);
	if (r == 0)
		r = source_certs(&c->source, args, take_certificate, c, diag);
	if (r == 0)
		r = space_look(&c->source.store, cof_now(CLOCK_REALTIME), take_growth, c, &c->space,
			       diag);
	if (r < 0)
		return r;
	cas_judge(&c->cas, &c->policy);
	c->first = month_of(c->now);
	for (unsigned m = c->first + c->months; m < MONTHS; m++) {
		c->later.files += c->month[m].files;
		c->later.bytes += c->month[m].bytes;
		c->later.certificates += c->month[m].certificates;
	}
	return 0;
}

static bool is_late(const struct calendar *c)
{
	bool late = false;

	for (size_t i = 0; i < c->cas.keys.n; i++)
		late |= ca_overdue(&c->cas.keys.ca[i], c->now);
	for (size_t i = 0; c->crl && i < c->cas.crls.n; i++)
		late |= crl_overdue(&c->cas, &c->cas.crls.ca[i], c->now);
	return late;
}

/* ---- text ---- */

static void number(uint64_t n, bool size, char out[24])
{
	if (!n)
		snprintf(out, 24, "-");
	else if (size)
		cof_size_text(n, out);
	else
		snprintf(out, 24, "%llu", (unsigned long long)n);
}

static void say_sum(const char *name, const struct sum *s)
{
	char files[24], bytes[24], certificates[24], grown[24];

	number(s->files, false, files);
	number(s->bytes, true, bytes);
	number(s->certificates, false, certificates);
	number(s->grown, true, grown);
	printf("%-10s %10s %12s %13s %12s\n", name, files, bytes, certificates, grown);
}

static void month_text(unsigned m, char out[16])
{
	snprintf(out, 16, "%04u-%02u", 1970 + m / 12, m % 12 + 1);
}

static bool nothing(const struct sum *s)
{
	return !s->files && !s->certificates && !s->grown;
}

static unsigned last_month(const struct calendar *c)
{
	return COF_MIN(c->first + c->months, (unsigned)MONTHS);
}

static void say_months(const struct calendar *c)
{
	char name[16];

	printf("%-10s %10s %12s %13s %12s\n", "EXPIRE IN", "FILES", "BYTES", "CERTIFICATES",
	       "LOG GREW");
	for (unsigned m = c->first > PAST ? c->first - PAST : 0; m < last_month(c); m++) {
		/* What ended before this month is expired by now: of those months only the growth
		 * tells. */
		struct sum s = c->month[m];

		if (nothing(&s))
			continue;
		month_text(m, name);
		say_sum(name, &s);
	}
	say_sum("later", &c->later);
	say_sum("expired", &c->expired);
	if (c->waiting.files)
		say_sum("by event", &c->waiting);
	say_sum("for ever", &c->for_ever);
	say_sum("open", &c->open);
}

static void say_ca(const struct ca *ca, bool late, bool over, const char *what)
{
	cof_autofree char *name = escaped(ca->name);
	char due[32] = "never", from[32] = "?", to[32] = "", ahead[32];
	const char *state = late ? "OVERDUE" : over ? "ended" : "due";

	if (ca->due != INT64_MAX)
		cof_time_text(ca->due, due);
	if (ca->from != INT64_MIN)
		cof_time_text(ca->from, from);
	if (ca->to != INT64_MIN && ca->to != INT64_MAX)
		cof_time_text(ca->to, to);
	due[10] = from[10] = to[10] = '\0';
	cof_span_text(ca->ahead, ahead);
	printf("%s%-8s%s %-10s  %s: %s, from %s", colour(late ? RED : PLAIN), state, colour(PLAIN),
	       due, what, name ? name : "?", from);
	if (*to)
		printf(" to %s", to);
	if (ca->ahead)
		printf(", %s", ahead);
	putchar('\n');
}

static void say_cas(const struct calendar *c)
{
	if (c->cas.keys.n)
		printf("\nKeys: a new one until, by the certificate that lasts longest and the "
		       "span ahead of its end\n");
	for (size_t i = 0; i < c->cas.keys.n; i++) {
		const struct ca *ca = &c->cas.keys.ca[i];

		say_ca(ca, ca_overdue(ca, c->now), ca->to < c->now, ca->root ? "root" : "CA");
	}
	if (c->crl)
		printf("\nCRLs: the next until, by the newest that is archived and the policy's "
		       "span\n%s",
		       c->cas.crls.n ? "" : "none is archived\n");
	for (size_t i = 0; c->crl && i < c->cas.crls.n; i++) {
		const struct ca *ca = &c->cas.crls.ca[i];

		say_ca(ca, crl_overdue(&c->cas, ca, c->now), ca->due < c->now, "CRL");
	}
	if (c->cas.left_out)
		printf("Of more than %d CAs %llu certificates and CRLs are left out here.\n",
		       CAS_MAX, (unsigned long long)c->cas.left_out);
}

static void say_space(const struct space *s)
{
	char bytes[24], free_bytes[24], rate[24], since[32];

	cof_size_text(s->bytes, bytes);
	cof_size_text(s->free_bytes, free_bytes);
	printf("\nThe log has %s, %s are free", bytes, free_bytes);
	if (!s->bytes_a_day) {
		printf("; at which rate it grows shows after a day.\n");
		return;
	}
	cof_size_text((uint64_t)s->bytes_a_day, rate);
	cof_time_text(s->since, since);
	since[10] = '\0';
	printf(": %lld days at %s a day, as since %s.\n", (long long)s->days, rate, since);
}

/* ---- JSON ---- */

static struct cof_json *sum_json(const struct sum *s)
{
	struct cof_json *o = cof_json_object();

	cof_json_set_uint(o, "files", s->files);
	cof_json_set_uint(o, "bytes", s->bytes);
	cof_json_set_uint(o, "certificates", s->certificates);
	if (s->grown)
		cof_json_set_uint(o, "log_bytes", s->grown);
	return o;
}

static void set_time(struct cof_json *o, const char *key, int64_t t)
{
	if (t != INT64_MIN && t != INT64_MAX)
		cof_json_set_time(o, key, t);
}

static struct cof_json *cas_json(const struct calendar *c, const struct ca_list *l, bool crl)
{
	struct cof_json *all = cof_json_array();

	for (size_t i = 0; i < l->n; i++) {
		const struct ca *ca = &l->ca[i];
		struct cof_json *o = cof_json_object();

		cof_json_set_str(o, crl ? "issuer" : "subject", ca->name);
		if (!crl)
			cof_json_set_bool(o, "root", ca->root);
		set_time(o, "not_before", ca->from);
		set_time(o, "not_after", ca->to);
		set_time(o, "due", ca->due);
		cof_json_set_bool(o, "overdue",
				  crl ? crl_overdue(&c->cas, ca, c->now) : ca_overdue(ca, c->now));
		cof_json_append(all, o);
	}
	return all;
}

static int as_json(const struct calendar *c)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_json *months = cof_json_object(), *space = cof_json_object();
	char name[16];

	for (unsigned m = c->first > PAST ? c->first - PAST : 0; m < last_month(c); m++) {
		if (nothing(&c->month[m]))
			continue;
		month_text(m, name);
		cof_json_set(months, name, sum_json(&c->month[m]));
	}
	cof_json_set_time(o, "at", c->now);
	cof_json_set(o, "months", months);
	cof_json_set(o, "later", sum_json(&c->later));
	cof_json_set(o, "expired", sum_json(&c->expired));
	cof_json_set(o, "by_event", sum_json(&c->waiting));
	cof_json_set(o, "for_ever", sum_json(&c->for_ever));
	cof_json_set(o, "open", sum_json(&c->open));
	cof_json_set(o, "rekey", cas_json(c, &c->cas.keys, false));
	if (c->crl)
		cof_json_set(o, "crls", cas_json(c, &c->cas.crls, true));
	cof_json_set_uint(o, "left_out", c->cas.left_out);
	cof_json_set_uint(space, "log_bytes", c->space.bytes);
	cof_json_set_uint(space, "free_bytes", c->space.free_bytes);
	cof_json_set_int(space, "bytes_a_day", c->space.bytes_a_day);
	if (c->space.days != INT64_MAX)
		cof_json_set_int(space, "days", c->space.days);
	cof_json_set(o, "space", space);
	return print_json(o, true) == -ENOMEM ? -ENOMEM : 0;
}

/* ---- the verb ---- */

static int take_option(void *user, int option)
{
	struct calendar *c = user;
	char *end;

	switch (option) {
	case OPT_MONTHS:
		c->months = (unsigned)strtoul(optarg, &end, 10);
		if (*optarg < '1' || *optarg > '9' || *end || c->months > MONTHS)
			return misuse("--months takes a number, from 1 to %d", MONTHS);
		return EXIT_OK;
	case OPT_AT:
		if (when_parse(optarg, &c->now) < 0 || c->now == COF_RETAIN_INFINITE)
			return misuse(
			    "--at takes a date such as 2031-01-02, or 2031-01-02T03:04:05Z");
		return EXIT_OK;
	case OPT_CRL:
		c->crl = true;
		return EXIT_OK;
	case OPT_JSON:
		c->json = true;
		return EXIT_OK;
	default:
		return opener_take(&c->source.opener, option);
	}
}

static int tell(struct calendar *c, struct cof_diag *diag)
{
	if (c->json)
		return as_json(c) < 0 ? cof_fail(diag, -ENOMEM, "out of memory") : 0;
	say_months(c);
	say_cas(c);
	say_space(&c->space);
	return 0;
}

static void calendar_free(struct calendar **c)
{
	source_close(&(*c)->source);
	cas_done(&(*c)->cas);
	free(*c);
}

static int run(const struct verb *self, int argc, char **argv)
{
	struct calendar *c COF_CLEANUP(calendar_free) = calloc(1, sizeof(*c));
	struct cof_diag diag = {""};
	int code;

	if (!c) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	c->source = (struct source)SOURCE_INIT;
	c->now = cof_now(CLOCK_REALTIME);
	c->months = 24;
	code = options_take(self, argc, argv, take_option, c, 1);
	if (code >= 0)
		return code;
	if (*opener_conflict(&c->source.opener))
		return misuse("%s", opener_conflict(&c->source.opener));
	if (gather(c, argv[optind], &diag) < 0 || tell(c, &diag) < 0)
		return failure(&diag);
	return is_late(c) ? EXIT_OVERDUE : EXIT_OK;
}

const struct verb verb_calendar = {
    .name = "calendar",
    .args = "STORE",
    .summary = "what expires when, rekey dates, how long space lasts",
    .text = "Prints by month how many files expire and certificates end, and how much the log "
	    "grew; for each CA whose "
	    "certificates are archived until when it has to have a new key, by the policy's "
	    "rekey_root, rekey_sub, "
	    "key_life_root and key_life_sub; and for how many days the disk lasts at the rate of "
	    "the last 90 days. Holds "
	    "are not looked at: what they cover stays longer. A mounted archive is asked through "
	    "its daemon (root only); "
	    "one that is not mounted is opened with its key, and stays as it is.\n"
	    "\n"
	    "Example: the next ten years, and CRLs\n"
	    "  coffer calendar STORE --months 120 --crl\n"
	    "\n"
	    "Exit code: 0 nothing is overdue, 3 a new key is, or with --crl a CRL; 1 failed, 2 "
	    "wrong usage.",
    .options = options,
    .more = opener_options,
    .run = run,
    .takes_files = true,
};
