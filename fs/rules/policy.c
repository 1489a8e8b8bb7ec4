/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy as text: a readable INI without sections, one key a line. */
#include "fs/rules/internal.h"

#include <stdio.h>

struct reading {
	struct cof_policy policy;
	uint32_t seen; /* bit per key */
	struct cof_diag *diag;
};

static bool word(const char *value, const char *no, const char *yes, bool *ret)
{
	bool is_yes = !strcmp(value, yes);

	if (!is_yes && strcmp(value, no))
		return false;
	*ret = is_yes;
	return true;
}

static bool read_durability(struct cof_policy *p, const char *value)
{
	bool on_write;

	if (!word(value, "sync", "write", &on_write))
		return false;
	p->durability = on_write ? COF_DURABLE_ON_WRITE : COF_DURABLE_ON_SYNC;
	return true;
}

static bool read_refuse(struct cof_policy *p, const char *value)
{
	return word(value, "perm", "rofs", &p->refuse_rofs);
}

static bool read_retention(struct cof_policy *p, const char *value)
{
	p->retention = true;
	return cof_span_parse(value, &p->retention_default) == 0;
}

static bool read_min(struct cof_policy *p, const char *value)
{
	return cof_span_parse(value, &p->retention_min) == 0;
}

static bool read_max(struct cof_policy *p, const char *value)
{
	return cof_span_parse(value, &p->retention_max) == 0;
}

static bool read_strict(struct cof_policy *p, const char *value)
{
	return word(value, "no", "yes", &p->strict);
}

static bool read_autocommit(struct cof_policy *p, const char *value)
{
	return cof_span_parse(value, &p->autocommit) == 0 && p->autocommit != COF_RETAIN_INFINITE;
}

static bool read_quota(struct cof_policy *p, const char *value)
{
	return cof_size_parse(value, &p->quota_bytes) == 0 && p->quota_bytes <= INT64_MAX;
}

static bool read_quota_files(struct cof_policy *p, const char *value)
{
	size_t n = strlen(value);

	/* cof_size_parse takes units as well: here only digits are meant. */
	return n && value[n - 1] >= '0' && value[n - 1] <= '9' &&
	       cof_size_parse(value, &p->quota_files) == 0 && p->quota_files <= INT64_MAX;
}

static bool read_staging(struct cof_policy *p, const char *value)
{
	return word(value, "no", "yes", &p->staging);
}

static bool read_kind(struct cof_policy *p, const char *value)
{
	size_t n = strlen(value);

	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return false;
	if (n >= sizeof(p->record_kind))
		return false;
	memcpy(p->record_kind, value, n + 1);
	return true;
}

/* One of several words, by number. */
static bool choice(const char *value, const char *const *words, unsigned n, unsigned *ret)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(value, words[i])) {
			*ret = i;
			return true;
		}
	return false;
}

static const char *const modes[] = {"compliance", "governance"};
static const char *const guards[] = {"off", "report", "refuse"};

static bool read_mode(struct cof_policy *p, const char *value)
{
	unsigned v;

	if (!choice(value, modes, COF_COUNT(modes), &v))
		return false;
	p->mode = (enum cof_retain_mode)v;
	return true;
}

/* A span that is a number: endless makes no sense for it. */
static bool finite_span(const char *value, int64_t *ret)
{
	return cof_span_parse(value, ret) == 0 && *ret != COF_RETAIN_INFINITE;
}

static bool read_cooling(struct cof_policy *p, const char *value)
{
	return finite_span(value, &p->cooling_off);
}

bool cof_event_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n && n < COF_EVENT_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static bool read_event(struct cof_policy *p, const char *value)
{
	if (!cof_event_name_ok(value))
		return false;
	memcpy(p->retain_event, value, strlen(value) + 1);
	return true;
}

static bool read_follows(struct cof_policy *p, const char *value)
{
	return word(value, "none", "certificates", &p->retain_certificates);
}

static bool read_certificates(struct cof_policy *p, const char *value)
{
	return word(value, "no", "yes", &p->certificates);
}

static bool read_margin(struct cof_policy *p, const char *value)
{
	return finite_span(value, &p->retain_margin);
}

static bool read_reads(struct cof_policy *p, const char *value)
{
	return word(value, "no", "yes", &p->read_events);
}

static bool read_silence(struct cof_policy *p, const char *value)
{
	return finite_span(value, &p->silence);
}

static bool read_guard(struct cof_policy *p, const char *value)
{
	unsigned v;

	if (!choice(value, guards, COF_COUNT(guards), &v))
		return false;
	p->leak_guard = (enum cof_leak_guard)v;
	return true;
}

static bool read_approve_hold(struct cof_policy *p, const char *value)
{
	return rule_approve_read(p, COF_APPROVE_HOLD_END, value);
}

static bool read_approve_remove(struct cof_policy *p, const char *value)
{
	return rule_approve_read(p, COF_APPROVE_REMOVE, value);
}

static bool read_approve_end(struct cof_policy *p, const char *value)
{
	return rule_approve_read(p, COF_APPROVE_RETENTION_END, value);
}

static bool read_approve_policy(struct cof_policy *p, const char *value)
{
	return rule_approve_read(p, COF_APPROVE_POLICY, value);
}

static bool read_approve_escrow(struct cof_policy *p, const char *value)
{
	return rule_approve_read(p, COF_APPROVE_ESCROW, value);
}

static bool read_remove(struct cof_policy *p, const char *value)
{
	return word(value, "request", "rm", &p->remove_by_rm);
}

static bool read_delay(struct cof_policy *p, const char *value)
{
	return finite_span(value, &p->release_delay);
}

#define SPAN_FINITE "a span such as 1d (s, min, h, d, w, y)"
#define RULE "a number of persons, at least 2, and roles, as in \"2 auditor\""
static const struct {
	const char *key;
	bool (*read)(struct cof_policy *p, const char *value);
	const char *takes;
} keys[] = {
    {"durability", read_durability, "sync or write"},
    {"refuse", read_refuse, "perm or rofs"},
    {"retention", read_retention, "a span such as 10y (s, min, h, d, w, y), or infinite"},
    {"retention_min", read_min, "a span such as 10y (s, min, h, d, w, y), or infinite"},
    {"retention_max", read_max, "a span such as 10y (s, min, h, d, w, y), or infinite"},
    {"strict", read_strict, "yes or no"},
    {"autocommit", read_autocommit, "a span such as 1d (s, min, h, d, w, y); 0s is never"},
    {"quota", read_quota, "a size such as 500G (K, M, G, T); 0 is none"},
    {"quota_files", read_quota_files, "a number; 0 is none"},
    {"staging", read_staging, "yes or no"},
    {"record_kind", read_kind, "a text of at most 63 bytes on one line"},
    {"mode", read_mode, "compliance or governance"},
    {"cooling_off", read_cooling, SPAN_FINITE "; 0s is none"},
    {"retain_event", read_event, "a name of at most 31 of a-z, 0-9 and -"},
    {"retain_follows", read_follows, "none or certificates"},
    {"certificates", read_certificates, "yes or no"},
    {"retain_margin", read_margin, SPAN_FINITE},
    {"read_events", read_reads, "yes or no"},
    {"silence", read_silence, SPAN_FINITE "; 0s is none"},
    {"leak_guard", read_guard, "off, report or refuse"},
    {"approve_hold_end", read_approve_hold, RULE},
    {"approve_remove", read_approve_remove, RULE ", the auditor among them"},
    {"approve_retention_end", read_approve_end, RULE},
    {"approve_policy", read_approve_policy, RULE},
    {"approve_escrow", read_approve_escrow, RULE},
    {"remove", read_remove, "request or rm"},
    {"release_delay", read_delay, SPAN_FINITE "; 0s is none"},
};
#define KNOWN                                                                                      \
	"durability, refuse, retention, retention_min, retention_max, strict, autocommit, quota, " \
	"quota_files, staging, record_kind, mode, cooling_off, retain_event, retain_follows, "      \
	"certificates, retain_margin, read_events, silence, leak_guard, approve_hold_end, "        \
	"approve_remove, approve_retention_end, approve_policy, approve_escrow, remove and "         \
	"release_delay"

static bool seen(const struct reading *p, const char *key)
{
	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (!strcmp(keys[i].key, key))
			return p->seen >> i & 1;
	return false;
}

void cof_policy_default(struct cof_policy *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->durability = COF_DURABLE_ON_SYNC;
	ret->retention_max = COF_RETAIN_INFINITE;
}

static int one_key(void *user, const char *section, const char *key, const char *value, int line)
{
	struct reading *p = user;

	if (section && section[0])
		return cof_fail(p->diag, -EUCLEAN, "policy, line %d: sections are not used here",
				line);
	for (size_t i = 0; i < COF_COUNT(keys); i++) {
		if (strcmp(key, keys[i].key))
			continue;
		if (p->seen >> i & 1)
			return cof_fail(p->diag, -EUCLEAN, "policy, line %d: %s is given twice",
					line, key);
		if (!keys[i].read(&p->policy, value))
			return cof_fail(p->diag, -EUCLEAN,
					"policy, line %d: '%s' is no value of %s; it takes %s",
					line, value, key, keys[i].takes);
		p->seen |= 1u << i;
		return 0;
	}
	return cof_fail(p->diag, -EUCLEAN, "policy, line %d: no key '%s'; known are " KNOWN, line,
			key);
}

/* NULL, or what does not fit together. */
static const char *clash(const struct cof_policy *p)
{
	if (!p->retention && p->retain_event[0])
		return "retain_event needs a retention, which counts from the event";
	if (!p->retention)
		return p->strict ? "strict needs a retention" : NULL;
	if (p->retention_min < 0 || p->retention_min > p->retention_default)
		return "retention is shorter than retention_min";
	if (p->retention_default > p->retention_max)
		return "retention is longer than retention_max";
	return NULL;
}

int cof_policy_parse(const char *text, size_t n, struct cof_policy *ret, struct cof_diag *diag)
{
	struct reading p = {.diag = diag};
	const char *wrong = NULL;
	int r;

	cof_policy_default(&p.policy);
	r = cof_ini_parse(text, n, one_key, &p, diag);
	if (r < 0)
		return r;
	/* One appliance's default was 30 years, and people locked disks for ever: it is always
	 * said. */
	if (!p.policy.retention && seen(&p, "retention_min"))
		wrong = "retention_min needs a retention, the default, beside it";
	else if (!p.policy.retention && seen(&p, "retention_max"))
		wrong = "retention_max needs a retention, the default, beside it";
	else
		wrong = clash(&p.policy);
	if (wrong)
		return cof_fail(diag, -EUCLEAN, "policy: %s", wrong);
	*ret = p.policy;
	return 0;
}

static void put_span(struct cof_buf *b, const char *key, int64_t span)
{
	char text[32];

	cof_span_text(span, text);
	cof_buf_printf(b, "%s = %s\n", key, text);
}

static void put_size(struct cof_buf *b, const char *key, uint64_t n)
{
	static const char units[] = "TGMK";

	for (int i = 0; units[i]; i++) {
		int shift = 40 - 10 * i;

		if (n & ((1ull << shift) - 1))
			continue;
		cof_buf_printf(b, "%s = %llu%c\n", key, (unsigned long long)(n >> shift), units[i]);
		return;
	}
	cof_buf_printf(b, "%s = %llu\n", key, (unsigned long long)n);
}

/* Each only where it is not the default, so that older texts stay what they are. */
static void put_later(const struct cof_policy *p, struct cof_buf *ret)
{
	static const char *const approve[] = {"approve_hold_end", "approve_remove",
					      "approve_retention_end", "approve_policy", "approve_escrow"};

	if (p->mode != COF_COMPLIANCE)
		cof_buf_printf(ret, "mode = %s\n", modes[p->mode]);
	if (p->cooling_off)
		put_span(ret, "cooling_off", p->cooling_off);
	if (p->retain_event[0])
		cof_buf_printf(ret, "retain_event = %s\n", p->retain_event);
	if (p->retain_certificates)
		cof_buf_printf(ret, "retain_follows = certificates\n");
	if (p->certificates)
		cof_buf_printf(ret, "certificates = yes\n");
	if (p->retain_margin)
		put_span(ret, "retain_margin", p->retain_margin);
	if (p->read_events)
		cof_buf_printf(ret, "read_events = yes\n");
	if (p->silence)
		put_span(ret, "silence", p->silence);
	if (p->leak_guard != COF_LEAK_OFF)
		cof_buf_printf(ret, "leak_guard = %s\n", guards[p->leak_guard]);
	for (unsigned i = 0; i < COF_APPROVE_COUNT_; i++)
		if (p->approve[i][0])
			cof_buf_printf(ret, "%s = %s\n", approve[i], p->approve[i]);
	if (p->remove_by_rm)
		cof_buf_printf(ret, "remove = rm\n");
	if (p->release_delay)
		put_span(ret, "release_delay", p->release_delay);
}

int cof_policy_text(const struct cof_policy *p, struct cof_buf *ret)
{
	if (clash(p))
		return -EINVAL;
	cof_buf_printf(ret, "durability = %s\nrefuse = %s\n",
		       p->durability == COF_DURABLE_ON_WRITE ? "write" : "sync",
		       p->refuse_rofs ? "rofs" : "perm");
	if (p->retention)
		put_span(ret, "retention", p->retention_default);
	if (p->retention && p->retention_min)
		put_span(ret, "retention_min", p->retention_min);
	if (p->retention && p->retention_max != COF_RETAIN_INFINITE)
		put_span(ret, "retention_max", p->retention_max);
	if (p->strict)
		cof_buf_printf(ret, "strict = yes\n");
	if (p->autocommit)
		put_span(ret, "autocommit", p->autocommit);
	if (p->quota_bytes)
		put_size(ret, "quota", p->quota_bytes);
	if (p->quota_files)
		cof_buf_printf(ret, "quota_files = %llu\n", (unsigned long long)p->quota_files);
	if (p->staging)
		cof_buf_printf(ret, "staging = yes\n");
	if (p->record_kind[0])
		cof_buf_printf(ret, "record_kind = %s\n", p->record_kind);
	put_later(p, ret);
	return ret->failed ? -ENOMEM : 0;
}
