/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a vault says of the rules: the same judge as the archive's, over the public parts that it verified, with this
 * vault's own clock. It keeps everything that comes. A head under which something ends that nobody ended is not signed:
 * the one before stays what this vault says of the archive, until its operator has heard why and says that it goes on.
 */
#include <stdio.h>
#include <time.h>

#include "fs/sshsig/sshsig.h"
#include "tools/vault/internal.h"

#define FILE_NAME "judged"
#define PLACES "places"
#define PLACES_MAX (48u << 20)
#define PLACES_HEAD (8 + COF_HASH) /* the head up to which they go: size, root */
#define FOLLOWED "followed"
#define UNJUDGED "unjudged"
#define AHEAD (60 * COF_NSEC)

struct judging {
	struct vault_judged *ret;
	uint64_t followed; /* findings before this frame are known */
	uint64_t from;	   /* those before this one were signed */
	struct vault_ending *ending; /* what is destroyed, from the frame `all` on, under `coming`; NULL: not asked */
	uint64_t all;
	size_t kept; /* of `ending`, from before */
	const struct cof_checkpoint *coming;
	bool partly; /* frames that rules are about were not read */
};

static const struct {
	unsigned type;
	const char *name;
} weakening[] = {{COF_EXTEND, "extend"}, {COF_REMOVE, "remove"}, {COF_DESTROY, "destroy"}, {COF_HOLD, "hold"},   {COF_SHELF, "shelf"},
		 {COF_POLICY, "policy"}, {COF_PEOPLE, "people"}, {COF_CLOCK, "clock"}};

bool vault_may_weaken(unsigned type)
{
	for (size_t i = 0; i < COF_COUNT(weakening); i++)
		if (weakening[i].type == type)
			return true;
	return false;
}

static bool weakens(const char *type)
{
	for (size_t i = 0; i < COF_COUNT(weakening); i++)
		if (!strcmp(weakening[i].name, type))
			return true;
	return false;
}

static void found(void *user, uint64_t sequence, const char *type, const char *rule, const char *reason)
{
	struct judging *g = user;
	struct vault_judged *j = g->ret;

	if (!strcmp(type, "request") || !strcmp(type, "approval") || !strcmp(type, "receipt")) /* without effect; nothing was done by it */
		return;
	if (sequence < g->followed)
		return;
	j->end = sequence + 1;
	if (!j->not_permitted++ || (weakens(type) && sequence >= g->from && !j->refused))
		snprintf(j->first, sizeof(j->first), "%s frame %llu does what nobody permitted (%s): %.300s", type,
			 (unsigned long long)sequence, rule, reason);
	j->refused += weakens(type) && sequence >= g->from;
}

static int end_one(void *user, uint64_t inode, uint64_t sequence, const uint8_t request[32])
{
	struct judging *g = user;
	struct vault_ended one = {.size = g->coming->size, .sequence = sequence, .inode = inode};

	if (sequence < g->all)
		return 0;
	memcpy(one.root, g->coming->root, COF_HASH);
	memcpy(one.request, request, sizeof(one.request));
	return vault_ending_add(g->ending, &one);
}

/* What counts by the judge of this vault, at its time: nothing else is ever carried out here. */
static int behind(void *user, struct cof_judge *j)
{
	struct judging *g = user;

	return g->ending ? cof_judge_destroyed(j, end_one, g) : 0;
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

/* A hold or an extension that is among them would have kept what is destroyed. */
static void look_at_damage(struct judging *g, const struct cof_judged *seen, struct vault_judged *j)
{
	size_t n = strlen(j->first);

	g->partly = seen->unreadable || seen->end < g->coming->size;
	if (!g->partly)
		return;
	j->not_permitted++;
	snprintf(j->first + n, sizeof(j->first) - n, "%sframes cannot be read, and nothing is destroyed here until they can: coffer-vault scrub",
		 n ? "; " : "");
}

static uint64_t followed(struct cof_io *io)
{
	cof_autofree uint8_t *text = NULL;
	cof_autojson struct cof_json *o = NULL;
	int64_t to = 0;
	size_t n = 0;

	if (cof_io_load(io, FOLLOWED, 8192, &text, &n) < 0 || cof_json_parse((const char *)text, n, &o) < 0 ||
	    cof_json_int(o, "to", &to) < 0 || to < 0)
		return 0;
	return (uint64_t)to;
}

static int save(struct cof_io *io, const struct vault_judged *j, uint64_t frames, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *text;
	int r;

	cof_json_set_time(o, "time", j->time);
	cof_json_set_uint(o, "frames", frames);
	cof_json_set_uint(o, "not_permitted", j->not_permitted);
	cof_json_set_uint(o, "refused", j->refused);
	cof_json_set_uint(o, "end", j->end);
	cof_json_set_str(o, "first", j->first);
	text = cof_json_text(o, false);
	r = text ? cof_io_replace(io, FILE_NAME, text, strlen(text)) : -ENOMEM;
	return r < 0 ? cof_fail(diag, r, "%s/" FILE_NAME " cannot be written: %s", cof_io_where(io), strerror(-r)) : 0;
}

static int judge_from(struct cof_io *io, const struct cof_judge_places *places, struct judging *with, struct vault_judged *ret,
		      struct cof_diag *diag)
{
	struct vault_judged j = {.time = cof_now(CLOCK_REALTIME)};
	struct cof_judge_store p = {.places = places, .verify = cof_sshsig_verify, .now = j.time, .finding = found, .user = with, .behind = behind};
	struct cof_judged seen = {.last_retention = INT64_MIN};
	struct cof_conf conf;
	int r = cof_conf_load(io, &conf, diag);

	with->ret = &j;
	with->followed = followed(io);
	if (r == 0 && (conf.flags & COF_ARCHIVE_TEST_CLOCK)) /* its time is none */
		p.now = 0;
	if (r == 0)
		r = cof_store_judge(io, &p, &seen, diag);
	if (r < 0)
		return r;
	look_at_clock(&conf, &seen, j.time, &j);
	if (with->ending)
		look_at_damage(with, &seen, &j);
	*ret = j;
	return save(io, &j, seen.frames, diag);
}

int vault_judge(struct cof_io *io, const struct cof_judge_places *places, struct vault_judged *ret, struct cof_diag *diag)
{
	struct judging with = {.from = 0};

	return judge_from(io, places, &with, ret, diag);
}

/* ---- at the end of a session ---- */

/* Kept for a head that came to be signed, or did not: then they are of another log. */
static bool of_this_log(struct cof_io *io, const uint8_t *raw, const struct cof_checkpoint *head)
{
	struct vault_source *source = NULL;
	uint8_t root[COF_HASH];
	uint64_t size = cof_get_le64(raw);
	bool same = size == head->size && cof_equal(raw + 8, head->root, COF_HASH);

	if (same || !size || size > head->size || vault_source_open(io, &source, NULL) < 0)
		return same;
	same = vault_source_root(source, size, root, NULL) == 0 && cof_equal(raw + 8, root, COF_HASH);
	vault_source_free(source);
	return same;
}

static int load_places(struct cof_io *io, const struct cof_checkpoint *head, struct cof_judge_places **ret)
{
	cof_autofree uint8_t *raw = NULL;
	size_t n = 0;

	if (head->size && cof_io_load(io, PLACES, PLACES_MAX, &raw, &n) == 0 && n >= PLACES_HEAD &&
	    of_this_log(io, raw, head) &&
	    cof_judge_places_unpack(raw + PLACES_HEAD, n - PLACES_HEAD, ret) == 0)
		return 0;
	return cof_judge_places_new(ret);
}

static int save_places(struct cof_io *io, const struct cof_checkpoint *head, const struct cof_judge_places *p)
{
	cof_autobuf struct cof_buf b = {0};
	uint8_t size[8];

	cof_put_le64(size, head->size);
	cof_buf_add(&b, size, sizeof(size));
	cof_buf_add(&b, head->root, COF_HASH);
	if (cof_judge_places_pack(p, &b) < 0)
		return -ENOMEM;
	return cof_io_replace(io, PLACES, b.data, b.len);
}

/* Frames from that one on were not all read when they were judged. */
static int unjudged_load(struct cof_io *io, uint64_t *all)
{
	cof_autofree uint8_t *text = NULL;
	size_t n = 0;
	int r = cof_io_load(io, UNJUDGED, 64, &text, &n);

	if (r == 0)
		*all = COF_MIN(*all, (uint64_t)strtoull((const char *)text, NULL, 10));
	return r == -ENOENT ? 0 : r;
}

static int unjudged_save(struct cof_io *io, uint64_t from)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)from);
	return cof_io_replace(io, UNJUDGED, text, strlen(text));
}

bool vault_unjudged(struct cof_io *io)
{
	return cof_io_exists(io, UNJUDGED) != 0; /* where that cannot be told it is judged */
}

/* What was permitted under a head that is signed and is not done yet stays; the rest is judged anew. Where nothing was ever
 * carried out, whatever the log destroyed until now is. */
static int begin_ending(struct cof_io *io, const struct vault_copy_state *s, struct judging *with)
{
	size_t n = 0;
	int r = vault_ending_load(io, with->ending);

	with->coming = &s->coming;
	with->all = vault_destroyed_any(io) ? s->head.size : 0;
	if (r == 0)
		r = unjudged_load(io, &with->all);
	for (size_t i = 0; i < with->ending->n; i++)
		if (with->ending->at[i].sequence < with->all)
			with->ending->at[n++] = with->ending->at[i];
	with->ending->n = with->kept = n;
	return r;
}

/*
 * Heads go on being signed while frames cannot be read: a signature says what came, and all of it is judged anew once they can. What
 * is destroyed cannot be taken back, so that nothing is noted then, and from which frame on that is, durable before the head.
 */
static int end_ending(struct cof_io *io, struct judging *with)
{
	int r;

	if (with->partly) {
		with->ending->n = with->kept;
		r = unjudged_save(io, with->all);
		return r < 0 ? r : vault_ending_save(io, with->ending);
	}
	r = vault_ending_save(io, with->ending);
	if (r == 0)
		r = cof_io_unlink(io, UNJUDGED);
	return r == -ENOENT ? 0 : r;
}

int vault_judge_coming(struct cof_io *io, const struct vault_copy_state *s, struct vault_judged *ret, struct cof_diag *diag)
{
	struct vault_ending ending = {.n = 0};
	struct judging with = {.from = s->head.size, .ending = &ending};
	struct cof_judge_places *places = NULL;
	int r = load_places(io, &s->head, &places);

	if (r == 0)
		r = cof_judge_places_follow(io, places, diag);
	if (r == 0)
		r = begin_ending(io, s, &with);
	if (r == 0)
		r = judge_from(io, places, &with, ret, diag);
	if (r == 0)
		r = end_ending(io, &with);
	if (r == 0)
		r = save_places(io, &s->coming, places);
	cof_judge_places_free(places);
	vault_ending_done(&ending);
	return r < 0 && (!diag || !*diag->text) ? cof_fail(diag, r, "the rules cannot be judged: %s", strerror(-r)) : r;
}

/* ---- what was found last ---- */

int vault_judged_follow(struct cof_io *io, struct vault_judged *ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *o = cof_json_object();
	const char *text;
	int r = vault_judged_load(io, ret);

	if (r == -ENOENT || (r == 0 && !ret->end))
		return cof_fail(diag, -ENOENT, "this vault found no frame that does what nobody permitted");
	cof_json_set_time(o, "time", cof_now(CLOCK_REALTIME));
	cof_json_set_uint(o, "to", ret->end);
	cof_json_set_str(o, "first", ret->first);
	text = cof_json_text(o, false);
	if (r == 0)
		r = text ? cof_io_replace(io, FOLLOWED, text, strlen(text)) : -ENOMEM;
	if (r < 0)
		return cof_fail(diag, r, "%s/" FOLLOWED " cannot be written: %s", cof_io_where(io), strerror(-r));
	return save(io, &(struct vault_judged){.time = ret->time}, 0, diag);
}

static uint64_t number(const struct cof_json *o, const char *key)
{
	int64_t v = 0;

	return cof_json_int(o, key, &v) == 0 && v > 0 ? (uint64_t)v : 0;
}

int vault_judged_load(struct cof_io *io, struct vault_judged *ret)
{
	cof_autojson struct cof_json *o = NULL;
	cof_autofree uint8_t *text = NULL;
	const char *time, *first;
	size_t n = 0;
	int r = cof_io_load(io, FILE_NAME, 8192, &text, &n);

	*ret = (struct vault_judged){.time = INT64_MIN};
	if (r == 0)
		r = cof_json_parse((const char *)text, n, &o);
	if (r < 0)
		return r;
	time = cof_json_str(o, "time");
	first = cof_json_str(o, "first");
	ret->not_permitted = number(o, "not_permitted");
	ret->refused = number(o, "refused");
	ret->end = number(o, "end");
	if (!time || cof_time_parse(time, &ret->time) < 0)
		ret->time = INT64_MIN;
	snprintf(ret->first, sizeof(ret->first), "%s", first ? first : "");
	return 0;
}
