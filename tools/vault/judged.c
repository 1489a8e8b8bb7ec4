/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault says of the rules: the same judge as the archive's, over the public parts that it verified, with this
 * vault's own clock. It alters nothing, since a vault keeps everything; it names what nobody permitted, here and to the
 * host, and STORE/judged keeps what was found last.
 */
#include <stdio.h>
#include <time.h>

#include "fs/sshsig/sshsig.h"
#include "tools/vault/internal.h"

#define FILE_NAME "judged"
#define AHEAD (60 * COF_NSEC)

struct judging {
	struct vault_judged *ret;
};

static void found(void *user, uint64_t sequence, const char *type, const char *rule, const char *reason)
{
	struct vault_judged *j = ((struct judging *)user)->ret;

	if (!strcmp(type, "request") || !strcmp(type, "approval")) /* without effect; nothing was done by it */
		return;
	if (!j->not_permitted++)
		snprintf(j->first, sizeof(j->first), "%s frame %llu does what nobody permitted (%s): %.300s", type,
			 (unsigned long long)sequence, rule, reason);
}

/* Retention time that is ahead of this vault's clock: what it ends has not ended. */
static void look_at_clock(const struct cof_conf *conf, const struct cof_judged *seen, int64_t now, struct vault_judged *j)
{
	char text[32];

	if (seen->last_retention == INT64_MIN || seen->last_retention - AHEAD <= now || (conf->flags & COF_ARCHIVE_TEST_CLOCK))
		return;
	cof_time_text(seen->last_retention, text);
	if (!j->not_permitted++)
		snprintf(j->first, sizeof(j->first), "the archive's retention time is %s, ahead of this vault's clock", text);
}

int vault_judge(struct cof_io *io, const struct cof_judge_places *places, struct vault_judged *ret, struct cof_diag *diag)
{
	struct vault_judged j = {.time = cof_now(CLOCK_REALTIME)};
	struct judging user = {.ret = &j};
	struct cof_judge_store p = {
	    .places = places, .verify = cof_sshsig_verify, .now = j.time, .finding = found, .user = &user};
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_judged seen = {.last_retention = INT64_MIN};
	struct cof_conf conf;
	const char *text;
	int r = cof_conf_load(io, &conf, diag);

	if (r == 0)
		r = cof_store_judge(io, &p, &seen, diag);
	if (r < 0)
		return r;
	look_at_clock(&conf, &seen, j.time, &j);
	cof_json_set_time(o, "time", j.time);
	cof_json_set_uint(o, "frames", seen.frames);
	cof_json_set_uint(o, "not_permitted", j.not_permitted);
	cof_json_set_str(o, "first", j.first);
	text = cof_json_text(o, false);
	r = text ? cof_io_replace(io, FILE_NAME, text, strlen(text)) : -ENOMEM;
	*ret = j;
	return r < 0 ? cof_fail(diag, r, "%s/" FILE_NAME " cannot be written: %s", cof_io_where(io), strerror(-r)) : 0;
}

int vault_judged_load(struct cof_io *io, struct vault_judged *ret)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autofree uint8_t *text = NULL;
	const char *time, *first;
	size_t n = 0;
	int64_t count = 0;
	int r = cof_io_load(io, FILE_NAME, 8192, &text, &n);

	*ret = (struct vault_judged){.time = INT64_MIN};
	if (r == 0)
		r = cof_json_parse((const char *)text, n, &o);
	if (r < 0)
		return r;
	time = cof_json_str(o, "time");
	first = cof_json_str(o, "first");
	(void)cof_json_int(o, "not_permitted", &count);
	ret->not_permitted = count > 0 ? (uint64_t)count : 0;
	if (!time || cof_time_parse(time, &ret->time) < 0)
		ret->time = INT64_MIN;
	snprintf(ret->first, sizeof(ret->first), "%s", first ? first : "");
	return 0;
}
