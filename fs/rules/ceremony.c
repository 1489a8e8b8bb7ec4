/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transcript of a ceremony: read, and added to. One function decides of each line whether it may stand where it
 * does; what is written goes through it too, so that nothing is written that is not read again.
 */
#include "fs/rules/ceremony-private.h"

#include "crypto/crypto.h"

#include <stdio.h>

void cof_ceremony_done(struct cof_ceremony *c)
{
	for (size_t i = 0; i < c->n_lines; i++)
		cof_json_free(c->line[i].o);
	free(c->line);
	c->line = NULL;
	c->n_lines = 0;
}

const char *cof_ceremony_purpose(const struct cof_ceremony *c)
{
	return c->rehearsal ? COF_SIGN_REHEARSAL : COF_SIGN_CEREMONY;
}

static const uint8_t *digest_before(const struct cof_ceremony *c)
{
	static const uint8_t nothing[32];

	return c->n_lines ? c->line[c->n_lines - 1].digest : nothing;
}

/* The line that signatures are about now. */
static const struct cof_ceremony_line *asked(const struct cof_ceremony *c)
{
	for (size_t i = c->n_lines; i-- > 0;)
		if (c->line[i].what == COF_CER_OPENED || c->line[i].what == COF_CER_TOLD || c->line[i].what == COF_CER_CLOSING)
			return &c->line[i];
	return NULL;
}

/* ---- where it is ---- */

static int step_now(const struct cof_ceremony *c)
{
	return cof_ceremony_step(c->kind, c->steps_done);
}

static unsigned count(const bool *flags, unsigned n)
{
	unsigned have = 0;

	for (unsigned i = 0; i < n; i++)
		have += flags[i];
	return have;
}

static void next_step(struct cof_ceremony *c)
{
	c->steps_done++;
	c->told = c->open = false;
	c->attempt = c->n_agreed = 0;
	memset(c->agreed, 0, sizeof(c->agreed));
	memset(c->holder, 0, sizeof(c->holder));
}

/* Two have confirmed, and the step is this one. */
static bool may(const struct cof_ceremony *c, enum cof_ceremony_step step)
{
	return c->told && c->n_agreed >= 2 && step_now(c) == (int)step;
}

/* ---- one line ---- */

static int take_opened(struct cof_ceremony *c, const struct cof_json *o, struct cof_diag *diag)
{
	const char *archive = cof_json_str(o, "archive"), *key = cof_json_str(o, "epoch_key");
	const struct cof_json *roll = cof_json_get(o, "roll"), *which = cof_json_get(o, "which");
	int64_t number = 0;
	uint64_t last = 0;

	c->kind = (enum cof_ceremony_kind)cof_ceremony_kind_find(cof_json_str(o, "kind"));
	c->rehearsal = cof_json_bool(o, "rehearsal");
	c->has_archive = cof_unhex(archive, strlen(archive) == 32 ? 32 : 0, c->archive) == 0 && strlen(archive) == 32;
	if (!c->has_archive && c->kind != COF_CEREMONY_CREATION)
		return ceremony_bad(diag, "only a creation may be for no archive that there is");
	(void)cof_unhex(cof_json_str(o, "people"), 64, c->people);
	(void)cof_unhex(cof_json_str(o, "sheet"), 64, c->sheet);
	if (key)
		(void)cof_unhex(key, 64, c->epoch_key);
	(void)cof_json_int(o, "epoch", &number);
	c->epoch = (uint32_t)number;
	number = 0;
	(void)cof_json_int(o, "holders", &number);
	if (number > COF_CEREMONY_HOLDERS)
		return ceremony_bad(diag, "it has more holders than any scheme");
	c->holders = (unsigned)number;
	if (which && cof_json_value_uint(cof_json_at(which, cof_json_count(which) - 1), &last) == 0 && last >= c->holders)
		return ceremony_bad(diag, "it names a holder that the epoch does not have");
	c->n_roll = (unsigned)cof_json_count(roll);
	for (unsigned i = 0; i < c->n_roll; i++)
		snprintf(c->roll[i], sizeof(c->roll[i]), "%s", cof_json_value_str(cof_json_at(roll, i)));
	return 0;
}

/* A signature: by one of the roll, once for the same. */
static int take_signature(struct cof_ceremony *c, struct cof_ceremony_line *l, struct cof_diag *diag)
{
	const char *by = cof_json_str(l->o, "by");
	const struct cof_ceremony_line *about = asked(c);
	bool *flags = l->what == COF_CER_PRESENT ? c->present : l->what == COF_CER_AGREED ? c->agreed : c->has_signed;

	for (l->person = 0; l->person < c->n_roll && strcmp(c->roll[l->person], by) != 0; l->person++)
		;
	if (l->person == c->n_roll || !about)
		return ceremony_bad(diag, "somebody signed who is not on the roll");
	if (l->what != COF_CER_PRESENT && !c->present[l->person])
		return ceremony_bad(diag, "somebody signed who did not answer the roll call");
	if (flags[l->person])
		return ceremony_bad(diag, "somebody signed the same twice");
	if (l->what == COF_CER_PRESENT ? c->told || c->steps_done || c->closing : l->what == COF_CER_AGREED ? !c->told || c->attempt : !c->closing)
		return ceremony_bad(diag, "a signature stands where nothing asks for it");
	memcpy(l->head, about->digest, sizeof(l->head));
	flags[l->person] = true;
	c->n_agreed += l->what == COF_CER_AGREED;
	if (l->what == COF_CER_SIGNED)
		c->complete = count(c->has_signed, c->n_roll) == count(c->present, c->n_roll);
	return 0;
}

static int take_told(struct cof_ceremony *c, const struct cof_json *o, struct cof_diag *diag)
{
	/* Nothing is done in the plan: that two confirmed it is all. */
	if (c->told && step_now(c) == COF_STEP_PLAN && c->n_agreed >= 2)
		next_step(c);
	if (c->told || step_now(c) < 0 || strcmp(cof_json_str(o, "step"), cof_ceremony_step_name((enum cof_ceremony_step)step_now(c))) != 0)
		return ceremony_bad(diag, "another step is next");
	if (!c->steps_done && count(c->present, c->n_roll) < 3)
		return ceremony_bad(diag, "fewer than three answered the roll call");
	c->told = true;
	return 0;
}

static int take_begun(struct cof_ceremony *c, const struct cof_json *o, struct cof_diag *diag)
{
	int64_t number = 0;

	(void)cof_json_int(o, "attempt", &number);
	if (!may(c, COF_STEP_MAKE) && !may(c, COF_STEP_DELIVER))
		return ceremony_bad(diag, "a step was begun that two have not confirmed, or that is another one");
	if (number != c->attempt + 1)
		return ceremony_bad(diag, "the attempts are not counted one by one");
	c->attempt++;
	c->open = true;
	return 0;
}

static int take_done(struct cof_ceremony *c, const struct cof_ceremony_line *l, struct cof_diag *diag)
{
	enum cof_ceremony_step step = l->what == COF_CER_MADE ? COF_STEP_MAKE : COF_STEP_DELIVER;
	const char *key = cof_json_str(l->o, "epoch_key");
	uint8_t made[32];

	if (!may(c, step) || !c->open)
		return ceremony_bad(diag, "something was done that was not begun");
	if (key) {
		(void)cof_unhex(key, 64, made);
		if (c->kind == COF_CEREMONY_RESHARING && memcmp(made, c->epoch_key, sizeof(made)) != 0)
			return ceremony_bad(diag, "the new shares are of another secret");
		memcpy(c->epoch_key, made, sizeof(made));
	}
	next_step(c);
	return 0;
}

static bool is_wanted(const struct cof_ceremony *c, uint64_t holder)
{
	const struct cof_json *which = cof_json_get(c->line[0].o, "which");
	uint64_t v;

	for (size_t i = 0; i < cof_json_count(which); i++)
		if (cof_json_value_uint(cof_json_at(which, i), &v) == 0 && v == holder)
			return true;
	return !which;
}

static unsigned wanted(const struct cof_ceremony *c)
{
	const struct cof_json *which = cof_json_get(c->line[0].o, "which");

	return which ? (unsigned)cof_json_count(which) : c->holders;
}

static int take_holder(struct cof_ceremony *c, struct cof_ceremony_line *l, struct cof_diag *diag)
{
	int64_t holder = 0;

	(void)cof_json_int(l->o, "holder", &holder);
	if (!may(c, l->what == COF_CER_CONFIRMED ? COF_STEP_CONFIRM : COF_STEP_DESTROY))
		return ceremony_bad(diag, "a share is told of in a step that two have not confirmed, or that is another one");
	if (holder >= c->holders || !is_wanted(c, (uint64_t)holder) || c->holder[holder])
		return ceremony_bad(diag, "a share is told of twice, or one that it is not about");
	l->number = (unsigned)holder;
	c->holder[holder] = true;
	if (l->what == COF_CER_DESTROYED && count(c->holder, c->holders) == wanted(c))
		next_step(c);
	return 0;
}

static int take_valid(struct cof_ceremony *c, struct cof_diag *diag)
{
	if (!may(c, COF_STEP_CONFIRM) || count(c->holder, c->holders) != c->holders)
		return ceremony_bad(diag, "an epoch is called valid that not every custodian has confirmed");
	next_step(c);
	return 0;
}

static int take_closing(struct cof_ceremony *c, const struct cof_json *o, struct cof_diag *diag)
{
	c->abandoned = !strcmp(cof_json_str(o, "outcome"), "abandoned");
	if (c->closing || (!c->told && !c->steps_done) || (!c->abandoned && step_now(c) >= 0))
		return ceremony_bad(diag, "it closes before its steps are done");
	c->closing = true;
	c->told = c->open = false;
	return 0;
}

static int take(struct cof_ceremony *c, struct cof_ceremony_line *l, struct cof_diag *diag)
{
	int step = step_now(c);

	l->step = step < 0 ? COF_STEP_PLAN : (enum cof_ceremony_step)step;
	l->number = c->attempt;
	if ((l->what == COF_CER_OPENED) != (c->n_lines == 0) || (c->closing && l->what != COF_CER_SIGNED))
		return ceremony_bad(diag, "such a line cannot stand here");
	switch (l->what) {
	case COF_CER_OPENED:
		return take_opened(c, l->o, diag);
	case COF_CER_PRESENT:
	case COF_CER_AGREED:
	case COF_CER_SIGNED:
		return take_signature(c, l, diag);
	case COF_CER_TOLD:
		return take_told(c, l->o, diag);
	case COF_CER_BEGUN:
		return take_begun(c, l->o, diag);
	case COF_CER_FAILED:
		if (!c->open)
			return ceremony_bad(diag, "something failed that was not begun");
		c->open = false;
		return 0;
	case COF_CER_MADE:
	case COF_CER_DELIVERED:
		return take_done(c, l, diag);
	case COF_CER_CONFIRMED:
	case COF_CER_DESTROYED:
		return take_holder(c, l, diag);
	case COF_CER_VALID:
		return take_valid(c, diag);
	case COF_CER_CLOSING:
		return take_closing(c, l->o, diag);
	default:
		return -EUCLEAN;
	}
}

/* ---- the chain ---- */

static int room(struct cof_ceremony *c)
{
	struct cof_ceremony_line *more;

	if (c->n_lines & (c->n_lines - 1)) /* it grows at powers of two */
		return 0;
	more = realloc(c->line, (c->n_lines ? 2 * c->n_lines : 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->line = more;
	return 0;
}

static int check_place(const struct cof_ceremony *c, const struct cof_json *o, struct cof_ceremony_line *l, struct cof_diag *diag)
{
	const char *previous = cof_json_str(o, "previous"), *time = cof_json_str(o, "time");
	char hex[65], written[32];
	int64_t n;

	cof_hex(digest_before(c), 32, hex);
	if (cof_json_int(o, "n", &n) < 0 || n != (int64_t)c->n_lines || !previous || strcmp(previous, hex) != 0)
		return ceremony_bad(diag, "it does not follow the line before: a line was altered, left out or put in");
	if (time && cof_time_parse(time, &l->time) == 0)
		cof_time_text(l->time, written);
	else
		*written = 0;
	if (!time || strcmp(time, written) != 0 || (c->n_lines && l->time < c->line[c->n_lines - 1].time))
		return ceremony_bad(diag, "its time is none, or lies before the line before");
	return 0;
}

/* text: with its newline. The state is as before where it fails. */
static int take_line(struct cof_ceremony *c, const char *text, size_t n, struct cof_diag *diag)
{
	cof_autobuf struct cof_buf again = {0};
	struct cof_ceremony_line l = {.o = NULL};
	struct cof_ceremony before = *c;
	int what, r = c->n_lines < COF_CEREMONY_LINES ? cof_json_parse(text, n, &l.o) : -E2BIG;

	if (r == 0)
		r = cof_json_canonical(l.o, &again);
	if (r == -ENOMEM || again.failed)
		goto failed;
	what = ceremony_what_find(cof_json_str(l.o, "what"));
	if (r < 0 || again.len != n || !again.data || memcmp(again.data, text, n) != 0 || what < 0) {
		r = ceremony_bad(diag, r == -E2BIG ? "there are too many lines" : "it is no line of a transcript in canonical form");
		goto failed;
	}
	l.what = (enum cof_ceremony_what)what;
	cof_sha256(text, n, l.digest);
	r = ceremony_keys(l.o, l.what, diag);
	if (r == 0)
		r = check_place(c, l.o, &l, diag);
	if (r == 0)
		r = take(c, &l, diag);
	if (r == 0)
		r = room(c);
	if (r < 0)
		goto failed;
	if (!c->n_lines)
		memcpy(c->id, l.digest, sizeof(c->id));
	c->line[c->n_lines++] = l;
	return 0;
failed:
	cof_json_free(l.o);
	before.line = c->line;
	*c = before;
	return r < 0 ? r : -ENOMEM;
}

int cof_ceremony_parse(const void *text, size_t n, struct cof_ceremony *ret, struct cof_diag *diag)
{
	const char *p = text, *end = p + n;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	if (!n || n > COF_CEREMONY_MAX)
		return ceremony_bad(diag, n ? "a transcript is not so long" : "the transcript is empty");
	while (r == 0 && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t len = newline ? (size_t)(newline - p) + 1 : 0;
		struct cof_diag why = {""};

		r = newline ? take_line(ret, p, len, &why) : ceremony_bad(&why, "it has no end: it was cut off");
		if (r < 0)
			return cof_fail(diag, r, "line %zu: %s", ret->n_lines + 1, *why.text ? why.text : strerror(-r));
		p += len;
	}
	return r;
}

int cof_ceremony_add(struct cof_ceremony *c, enum cof_ceremony_what what, struct cof_json *own, int64_t time, struct cof_buf *ret,
		     struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = own;
	char hex[65];
	int r;

	if (c->n_lines)
		time = COF_MAX(time, c->line[c->n_lines - 1].time);
	cof_hex(digest_before(c), 32, hex);
	cof_json_set_uint(o, "n", c->n_lines);
	cof_json_set_str(o, "previous", hex);
	cof_json_set_time(o, "time", time);
	cof_json_set_str(o, "what", cof_ceremony_what_name(what));
	r = cof_json_canonical(o, ret);
	if (r == 0 && ret->failed)
		r = -ENOMEM;
	return r == 0 ? take_line(c, (const char *)ret->data, ret->len, diag) : r;
}

/* ---- what is signed ---- */

int cof_ceremony_statement(const struct cof_ceremony *c, enum cof_ceremony_what does, const char *by, struct cof_buf *ret)
{
	const struct cof_ceremony_line *about = asked(c);
	cof_autojson struct cof_json *o = cof_json_object();
	char hex[65];
	int r;

	if (!about || about->what != (does == COF_CER_PRESENT ? COF_CER_OPENED : does == COF_CER_AGREED ? COF_CER_TOLD : COF_CER_CLOSING))
		return -EUCLEAN;
	cof_json_set_str(o, "by", by);
	cof_hex(c->id, 32, hex);
	cof_json_set_str(o, "ceremony", hex);
	cof_json_set_str(o, "does", cof_ceremony_what_name(does));
	cof_json_set_str(o, "format", "coffer-ceremony-statement/1");
	cof_hex(about->digest, 32, hex);
	cof_json_set_str(o, "head", hex);
	cof_json_set_str(o, "kind", cof_ceremony_kind_name(c->kind));
	cof_json_set_bool(o, "rehearsal", c->rehearsal);
	if (does == COF_CER_AGREED)
		cof_json_set_str(o, "step", cof_json_str(about->o, "step"));
	if (does == COF_CER_SIGNED)
		cof_json_set_str(o, "outcome", cof_json_str(about->o, "outcome"));
	r = cof_json_canonical(o, ret);
	return r == 0 && ret->failed ? -ENOMEM : r;
}

const char *cof_ceremony_made(const struct cof_ceremony *c)
{
	for (size_t i = c->n_lines; i-- > 0 && !c->abandoned;)
		if (c->line[i].what == COF_CER_VALID)
			return cof_json_str(c->line[i].o, "document");
	return NULL;
}

void cof_ceremony_missing(const struct cof_ceremony *c, struct cof_buf *ret)
{
	const char *gap = "";
	int step = step_now(c);

	if (c->complete)
		return;
	if (!c->closing) {
		cof_buf_printf(ret, step < 0	  ? "it was not closed"
				    : c->told ? "the step %s is not done"
					      : "the step %s was not told", step < 0 ? "" : cof_ceremony_step_name((enum cof_ceremony_step)step));
		return;
	}
	for (unsigned i = 0; i < c->n_roll; i++)
		if (c->present[i] && !c->has_signed[i]) {
			cof_buf_printf(ret, "%s%s has not signed the end", gap, c->roll[i]);
			gap = "; ";
		}
}

int cof_ceremony_fields(const struct cof_ceremony *c, const void *text, size_t n, struct cof_buf *ret)
{
	cof_field_put(ret, COF_T_CEREMONY, text, n);
	cof_field_put(ret, COF_T_CEREMONY_ID, c->id, sizeof(c->id));
	cof_field_put_u8(ret, COF_T_CEREMONY_KIND, (uint8_t)c->kind);
	cof_field_put_u8(ret, COF_T_CEREMONY_FLAGS,
			 (uint8_t)((c->rehearsal ? COF_CEREMONY_REHEARSAL : 0) | (c->abandoned ? COF_CEREMONY_ABANDONED : 0)));
	return ret->failed ? -ENOMEM : 0;
}
