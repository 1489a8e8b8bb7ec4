/* SPDX-License-Identifier: Apache-2.0 */
/* The naive model: drawing frames, replaying them, asking the index about all of it. */
#include "model.h"

#include <stdio.h>

#define FAR 1000 /* addresses lie so far apart */

/* ---- drawing ---- */

static void push(struct model *m, const struct frame *f)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->f = realloc(m->f, m->cap * sizeof(*m->f));
		SURE(m->f);
	}
	m->f[m->n++] = *f;
}

void model_done(struct model *m)
{
	free(m->f);
}

static uint64_t file(struct dice *d)
{
	return DIRS + 1 + roll(d, INODES - DIRS);
}

static void burst(struct model *m, struct dice *d)
{
	struct frame f = {.what = BYTES, .ino = file(d)};
	uint64_t n = roll(d, 20) ? 1 + roll(d, 3) : roll(d, 700);
	while (n--) {
		f.number = 1 + roll(d, roll(d, 8) ? 500 : 1u << 30);
		f.hole = !roll(d, 9);
		push(m, &f);
	}
}

void model_grow(struct model *m, struct dice *d)
{
	struct frame f = {.dir = 1 + (unsigned)roll(d, DIRS), .name = (unsigned)roll(d, NAMES)};
	if (!m->n) {
		push(m, &f); /* frame 0 does nothing */
		return;
	}
	f.ino = 1 + roll(d, INODES);
	f.number = 1 + roll(d, 1u << 20);
	f.to_dir = 1 + (unsigned)roll(d, DIRS);
	f.to_name = (unsigned)roll(d, NAMES);
	f.value = (unsigned)roll(d, VALUES);
	f.what = (enum what)(1 + roll(d, ACTOR));
	struct state *s = malloc(sizeof(*s));
	SURE(s);
	model_at(m, m->n, s);
	switch (f.what) {
	case VALUE:
		f.number = roll(d, 4) ? f.number : 0;
		break;
	case RENAME: /* of something that is there, to another place */
		if (!s->name[f.dir][f.name].ino || (f.dir == f.to_dir && f.name == f.to_name))
			f.what = NOTHING;
		break;
	case MOUNT:
		f.ino = roll(d, MOUNTS);
		if (s->mount[f.ino])
			f.what = NOTHING;
		break;
	case ACTOR:
		f.ino = roll(d, MOUNTS);
		f.value = (unsigned)roll(d, ACTORS);
		if (s->actor[f.ino][f.value])
			f.what = NOTHING;
		break;
	default:
		break;
	}
	free(s);
	if (f.what == BYTES)
		burst(m, d);
	else
		push(m, &f);
}

/* ---- what stands ---- */

void model_at(const struct model *m, uint64_t at, struct state *s)
{
	memset(s, 0, sizeof(*s));
	for (uint64_t i = 0; i < m->n && i < at; i++) {
		const struct frame *f = &m->f[i];
		switch (f->what) {
		case NODE:
			s->node[f->ino] = true;
			s->size[f->ino] = f->number;
			break;
		case VALUE:
			s->value[f->ino][f->value] = f->number;
			break;
		case LINK:
			s->name[f->dir][f->name] = (struct entry){f->ino, i};
			break;
		case UNLINK:
			s->name[f->dir][f->name].ino = 0;
			break;
		case RENAME:
			s->name[f->to_dir][f->to_name] =
			    (struct entry){s->name[f->dir][f->name].ino, i};
			s->name[f->dir][f->name].ino = 0;
			break;
		case BYTES:
			s->end[f->ino] += f->number;
			break;
		case MOUNT:
			s->mount[f->ino] = i;
			s->mount_address[f->ino] = i * FAR;
			break;
		case ACTOR:
			s->actor[f->ino][f->value] = i * FAR + 1;
			break;
		case NOTHING:
			break;
		}
	}
}

/* ---- doing ---- */

static size_t name_of(unsigned n, char out[COF_NAME_MAX + 1])
{
	int len = snprintf(out, COF_NAME_MAX + 1, "name %u", n);
	if (n == NAMES - 1) { /* as long as may be */
		memset(out + len, 'x', COF_NAME_MAX - (size_t)len);
		len = COF_NAME_MAX;
	}
	return (size_t)len;
}

static void value_of(uint64_t seed, struct cof_buf *out)
{
	struct dice d = {seed + 1};
	uint64_t n = 1 + roll(&d, seed % 16 ? 40 : 3000);
	while (n--) {
		uint8_t c = (uint8_t)roll(&d, 256);
		cof_buf_add(out, &c, 1);
	}
}

static void node_of(uint64_t ino, uint64_t number, uint64_t sequence, struct cof_node *n)
{
	char name[COF_NAME_MAX + 1];
	*n = (struct cof_node){.ino = ino,
			       .parent = 1,
			       .kind = ino <= DIRS ? COF_KIND_DIR : COF_KIND_FILE,
			       .state = (uint8_t)(number % 5),
			       .mode = 0640,
			       .uid = (uint32_t)number,
			       .gid = 7,
			       .size = number,
			       .created = -(int64_t)number,
			       .mtime = INT64_MAX - (int64_t)number,
			       .ctime = 5,
			       .mtime_claimed = number & 1,
			       .retain_until = INT64_MIN,
			       .created_sequence = sequence,
			       .commit_sequence = number * 3,
			       .shelf = 2};
	n->name_len = (uint16_t)name_of((unsigned)(number % NAMES), name);
	memcpy(n->name, name, n->name_len);
}

static void stretch_of(const struct model *m, uint64_t sequence, struct cof_stretch *s)
{
	const struct frame *f = &m->f[sequence];
	*s = (struct cof_stretch){
	    .length = f->number, .address = sequence * FAR, .sequence = sequence, .hole = f->hole};
	for (uint64_t i = 0; i < sequence; i++)
		if (m->f[i].what == BYTES && m->f[i].ino == f->ino)
			s->position += m->f[i].number;
}

static uint64_t target_of(const struct model *m, uint64_t sequence)
{
	struct state *s = malloc(sizeof(*s));
	SURE(s);
	model_at(m, sequence, s);
	uint64_t ino = s->name[m->f[sequence].dir][m->f[sequence].name].ino;
	free(s);
	return ino;
}

static int put_rename(struct cof_index *ix, const struct model *m, uint64_t q)
{
	const struct frame *f = &m->f[q];
	char from[COF_NAME_MAX + 1], to[COF_NAME_MAX + 1];
	size_t n = name_of(f->name, from), k = name_of(f->to_name, to);
	/* As the archive does it: what stood at the new name goes first. */
	int r = cof_index_unlink(ix, q, f->to_dir, to, k);
	if (!r)
		r = cof_index_unlink(ix, q, f->dir, from, n);
	return r ? r : cof_index_link(ix, q, f->to_dir, to, k, target_of(m, q), COF_KIND_FILE);
}

static int put(struct cof_index *ix, const struct model *m, uint64_t q)
{
	const struct frame *f = &m->f[q];
	char name[COF_NAME_MAX + 1];
	size_t len = name_of(f->name, name);
	struct cof_node node;
	struct cof_stretch s;
	struct cof_index_mount mount = {.sequence = q, .address = q * FAR, .salt = {(uint8_t)q}};
	cof_autobuf struct cof_buf value = {0};
	switch (f->what) {
	case NODE:
		node_of(f->ino, f->number, q, &node);
		return cof_index_put_node(ix, q, &node);
	case VALUE:
		if (f->number)
			value_of(f->number, &value);
		snprintf(name, sizeof(name), "key %u", f->value);
		return cof_index_put_value(ix, q, f->ino, name, value.data, value.len);
	case LINK:
		return cof_index_link(ix, q, f->dir, name, len, f->ino, COF_KIND_FILE);
	case UNLINK:
		return cof_index_unlink(ix, q, f->dir, name, len);
	case RENAME:
		return put_rename(ix, m, q);
	case BYTES:
		stretch_of(m, q, &s);
		return cof_index_add_stretch(ix, f->ino, &s);
	case MOUNT:
		return cof_index_put_mount(ix, (uint32_t)f->ino, &mount);
	case ACTOR:
		return cof_index_put_actor(ix, q, (uint32_t)f->ino, f->value, q * FAR);
	case NOTHING:
		break;
	}
	return 0;
}

int model_put(struct cof_index *ix, const struct model *m, uint64_t sequence)
{
	cof_index_enter(ix);
	int r = put(ix, m, sequence);
	cof_index_leave(ix);
	return r;
}

void model_catch_up(struct cof_index *ix, const struct model *m)
{
	for (uint64_t i = cof_index_fed(ix); i < m->n; i++) {
		int r = model_put(ix, m, i);
		if (r)
			ck_abort_msg("frame %llu, of kind %d, fed again: %d", (unsigned long long)i,
				     m->f[i].what, r);
	}
}

/* ---- asking ---- */

struct ask {
	struct cof_index *ix;
	const struct model *m;
	const struct state *s;
	uint64_t at;
	bool damaged, hurt;
};

/* true: the answer is to be compared. */
static bool answered(struct ask *a, int r, bool there, const char *what, uint64_t of)
{
	if (a->damaged && (r == -EBADMSG || r == -EUCLEAN)) {
		a->hurt = true;
		return false;
	}
	if (r != (there ? 0 : -ENOENT))
		ck_abort_msg("%s of %llu at %llu of %llu: %d, there %d", what,
			     (unsigned long long)of, (unsigned long long)a->at,
			     (unsigned long long)a->m->n, r, there);
	return there;
}

static void ask_node(struct ask *a, uint64_t ino)
{
	struct cof_node got, want;
	char key[16];
	if (answered(a, cof_index_get_node(a->ix, a->at, ino, &got), a->s->node[ino], "node",
		     ino)) {
		node_of(ino, a->s->size[ino], got.created_sequence, &want);
		SURE(got.kind == want.kind);
		SURE(got.state == want.state);
		SURE(got.ino == ino && got.parent == 1 && got.mode == 0640);
		SURE(got.uid == want.uid && got.gid == 7 && got.size == want.size);
		SURE(got.created == want.created && got.mtime == want.mtime);
		SURE(got.ctime == 5 && got.mtime_claimed == want.mtime_claimed);
		SURE(got.retain_until == INT64_MIN && got.shelf == 2);
		SURE(got.commit_sequence == want.commit_sequence);
		SURE(!strcmp(got.name, want.name));
		SURE(got.name_len == want.name_len);
	}
	for (unsigned k = 0; k < VALUES; k++) {
		cof_autobuf struct cof_buf v = {0}, w = {0};
		snprintf(key, sizeof(key), "key %u", k);
		if (answered(a, cof_index_get_value(a->ix, a->at, ino, key, &v),
			     a->s->value[ino][k] != 0, "value", ino)) {
			value_of(a->s->value[ino][k], &w);
			SURE(v.len == w.len);
			SURE(!memcmp(v.data, w.data, w.len));
		}
	}
}

struct listing {
	const struct ask *a;
	unsigned dir, seen;
	uint64_t cookie, stop;
};

static int entry(void *user, uint64_t cookie, const char *name, size_t len, uint64_t ino,
		 uint8_t kind)
{
	struct listing *l = user;
	char want[COF_NAME_MAX + 1];
	unsigned i = 0;
	for (; i < NAMES; i++)
		if (name_of(i, want) == len && !memcmp(want, name, len))
			break;
	SURE(i < NAMES);
	SURE(cookie > l->cookie); /* in the order they came */
	SURE(kind == COF_KIND_FILE);
	SURE(ino == l->a->s->name[l->dir][i].ino);
	SURE(cookie == l->a->s->name[l->dir][i].cookie);
	l->cookie = cookie;
	l->seen++;
	return l->seen == l->stop;
}

static void ask_dir(struct ask *a, unsigned dir)
{
	char name[COF_NAME_MAX + 1];
	uint64_t ino;
	unsigned n = 0;
	for (unsigned i = 0; i < NAMES; i++) {
		const struct entry *e = &a->s->name[dir][i];
		size_t len = name_of(i, name);
		n += e->ino != 0;
		if (answered(a, cof_index_lookup(a->ix, a->at, dir, name, len, &ino), e->ino != 0,
			     "name", i))
			SURE(ino == e->ino);
	}
	/* In two pieces, as the kernel asks. */
	struct listing l = {.a = a, .dir = dir, .stop = 1 + a->at % 3};
	int r = cof_index_readdir(a->ix, a->at, dir, 0, entry, &l);
	l.stop = 0;
	if (answered(a, r, true, "listing", dir) &&
	    answered(a, cof_index_readdir(a->ix, a->at, dir, l.cookie, entry, &l), true, "listing",
		     dir))
		SURE(l.seen == n);
}

/* From somewhere inside the file to its end, some at a time. */
static void ask_bytes(struct ask *a, uint64_t ino)
{
	struct cof_stretch got[64], want;
	uint64_t end, position;
	struct dice d = {ino * 77 + a->at + 1};
	size_t n = 0;
	if (answered(a, cof_index_end(a->ix, a->at, ino, &end), true, "end", ino))
		SURE(end == a->s->end[ino]);
	position = a->s->end[ino] ? roll(&d, a->s->end[ino]) : 0;
	for (;;) {
		int r = cof_index_stretches(a->ix, a->at, ino, position, got, 64, &n);
		if (!answered(a, r, true, "stretches", ino))
			return;
		if (!n)
			break;
		SURE(got[0].position <= position);
		for (size_t i = 0; i < n; i++) {
			SURE(i == 0 || got[i].position == position);
			SURE(got[i].sequence < a->at);
			SURE(a->m->f[got[i].sequence].what == BYTES);
			SURE(a->m->f[got[i].sequence].ino == ino);
			stretch_of(a->m, got[i].sequence, &want);
			SURE(got[i].position == want.position && got[i].length == want.length);
			SURE(got[i].address == want.address && got[i].hole == want.hole);
			position = got[i].position + got[i].length;
		}
	}
	SURE(position == a->s->end[ino]);
}

static void ask_people(struct ask *a)
{
	struct state *now = malloc(sizeof(*now));
	SURE(now);
	model_at(a->m, UINT64_MAX, now);
	for (uint32_t i = 0; i < MOUNTS; i++) {
		struct cof_index_mount m;
		if (answered(a, cof_index_get_mount(a->ix, i, &m), now->mount[i] != 0, "mount",
			     i)) {
			SURE(m.sequence == now->mount[i]);
			SURE(m.address == now->mount_address[i]);
			SURE(m.salt[0] == (uint8_t)m.sequence);
		}
		for (uint32_t k = 0; k < ACTORS; k++) {
			uint64_t address;
			if (answered(a, cof_index_get_actor(a->ix, i, k, &address),
				     now->actor[i][k] != 0, "actor", k))
				SURE(address + 1 == now->actor[i][k]);
		}
	}
	free(now);
}

bool model_check(struct cof_index *ix, const struct model *m, uint64_t at, bool damaged)
{
	struct state *s = malloc(sizeof(*s));
	SURE(s);
	model_at(m, at, s);
	struct ask a = {.ix = ix, .m = m, .s = s, .at = at, .damaged = damaged};
	for (uint64_t ino = 1; ino <= INODES; ino++) {
		ask_node(&a, ino);
		ask_bytes(&a, ino);
	}
	for (unsigned dir = 1; dir <= DIRS; dir++)
		ask_dir(&a, dir);
	ask_people(&a);
	free(s);
	return !a.hurt;
}
