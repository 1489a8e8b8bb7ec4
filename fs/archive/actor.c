/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who wrote: a request's thread becomes the ordinal of an ACTOR frame.
 *
 * Two bounded caches. Threads: for each thread that asked, an open descriptor of its /proc comm
 * file, read again on each use (0.4 µs). That descriptor means the task, not its number: once the
 * task is gone a read fails with ESRCH, whoever has the number now, and another name means that it
 * may have executed another program; both are looked at anew. Actors: what was observed, and the
 * ordinal it was written under. Forgetting one costs another ACTOR frame with another ordinal, no
 * more.
 *
 * uid, gid and thread id are what the kernel put into the request; all else is observed from /proc
 * and may be missing, when the caller is gone (killed while it waits) or in a process namespace
 * that is not ours.
 */
#include <fcntl.h>
#include <stdio.h>

#include "fs/archive/internal.h"

#define WAYS 16  /* threads of a shard, an open descriptor each */
#define SETS 256 /* of actors, four in each */
#define SET_WAYS 4
#define COMM_MAX 64
#define UNIT_MAX 512
#define NO_LOGIN UINT32_MAX

struct observed {
	uint32_t uid, gid, pid, login_uid; /* pid: of the process; the thread's own when unknown */
	bool seen;                         /* the fields below (and login_uid) are true */
	uint64_t start;
	char command[COMM_MAX], unit[UNIT_MAX];
};

struct thread {
	int fd; /* /proc/TID/comm of the task itself; -1: free */
	uint32_t uid, gid, tid, ordinal;
	uint64_t used;
	char name[COMM_MAX]; /* of the thread, as it was then */
};

struct shard {
	pthread_mutex_t lock;
	uint64_t clock;
	struct thread thread[WAYS];
};

struct actor {
	struct observed who;
	uint32_t ordinal; /* 0: free */
	uint64_t used;
};

struct cof_actors {
	struct shard shard[COF_ACTOR_SHARDS];
	pthread_mutex_t intern; /* guards from here; held while an ACTOR frame is written */
	uint32_t last;
	uint64_t clock;
	struct actor actor[SETS][SET_WAYS];
};

int cof_actors_new(struct cof_actors **ret)
{
	struct cof_actors *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	for (unsigned i = 0; i < COF_ACTOR_SHARDS; i++) {
		pthread_mutex_init(&s->shard[i].lock, NULL);
		for (unsigned k = 0; k < WAYS; k++)
			s->shard[i].thread[k].fd = -1;
	}
	pthread_mutex_init(&s->intern, NULL);
	*ret = s;
	return 0;
}

void cof_actors_free(struct cof_actors *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < COF_ACTOR_SHARDS; i++) {
		for (unsigned k = 0; k < WAYS; k++)
			if (s->shard[i].thread[k].fd >= 0)
				close(s->shard[i].thread[k].fd);
		pthread_mutex_destroy(&s->shard[i].lock);
	}
	pthread_mutex_destroy(&s->intern);
	free(s);
}

/* ---- /proc ---- */

static int open_process(uint32_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The beginning of a small file, with a NUL behind it; its length or -errno. */
static ssize_t read_file(int dir, const char *name, char *buf, size_t cap)
{
	cof_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, buf, cap - 1, 0);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return n;
}

static bool parse_number(const char *s, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, 10);
	if (errno || v > max || (*end && *end != ' ' && *end != '\n' && *end != '\t'))
		return false;
	*ret = v;
	return true;
}

/* Field 22 of stat. The command stands in parentheses and may hold spaces and parentheses itself.
 */
static int read_start(int dir, uint64_t *ret)
{
	char buf[1024], *at;
	ssize_t n = read_file(dir, "stat", buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	at = strrchr(buf, ')');
	for (int i = 0; at && i < 20; i++)
		at = strchr(at + 1, ' ');
	return at && parse_number(at + 1, UINT64_MAX, ret) ? 0 : -EUCLEAN;
}

static int read_tgid(int dir, uint32_t *ret)
{
	char buf[2048], *at;
	ssize_t n = read_file(dir, "status", buf, sizeof(buf));
	uint64_t v;

	if (n < 0)
		return (int)n;
	at = strstr(buf, "\nTgid:\t");
	if (!at || !parse_number(at + 7, UINT32_MAX, &v) || !v)
		return -EUCLEAN;
	*ret = (uint32_t)v;
	return 0;
}

static ssize_t trim(char *buf, ssize_t n)
{
	while (n > 0 && buf[n - 1] == '\n')
		buf[--n] = 0;
	return n;
}

/* The unified hierarchy's path, else that of systemd's own hierarchy. */
static void read_unit(int dir, char ret[UNIT_MAX])
{
	char buf[8192], *save = NULL;

	ret[0] = 0;
	if (read_file(dir, "cgroup", buf, sizeof(buf)) < 0)
		return;
	for (char *line = strtok_r(buf, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *path = strchr(line, ':');
		char *rest = path ? strchr(path + 1, ':') : NULL;
		bool unified = !strncmp(line, "0::", 3);

		if (rest && (unified || !strncmp(path, ":name=systemd:", 14)))
			snprintf(ret, UNIT_MAX, "%s", rest + 1);
		if (unified && ret[1])
			return;
	}
}

int cof_actor_process(uint32_t tid, uint32_t *ret_tgid, uint64_t *ret_start)
{
	cof_autoclose int thread = tid ? open_process(tid) : -ESRCH;
	cof_autoclose int process = -1;
	uint64_t start;
	uint32_t tgid;
	char alive[COMM_MAX];

	if (thread < 0 || read_tgid(thread, &tgid) < 0)
		return -ESRCH;
	process = open_process(tgid);
	/* As long as the thread lives its process has kept its number. */
	if (process < 0 || read_start(process, &start) < 0 ||
	    read_file(thread, "comm", alive, sizeof(alive)) < 0)
		return -ESRCH;
	*ret_tgid = tgid;
	*ret_start = start;
	return 0;
}

/* Fills o but for uid and gid, and name; the descriptor of the task's comm file, or -errno. */
static int observe(uint32_t tid, struct observed *o, char name[COMM_MAX])
{
	cof_autoclose int thread = tid ? open_process(tid) : -ESRCH;
	cof_autoclose int process = -1;
	cof_autoclose int fd = -1;
	char text[32];
	uint64_t login;
	int keep;

	if (thread < 0 || read_tgid(thread, &o->pid) < 0)
		return -ESRCH;
	process = open_process(o->pid);
	fd = openat(thread, "comm", O_RDONLY | O_CLOEXEC);
	if (process < 0 || fd < 0)
		return -ESRCH;
	if (read_start(process, &o->start) < 0)
		return -ESRCH;
	if (trim(o->command, read_file(process, "comm", o->command, COMM_MAX)) < 0)
		o->command[0] = 0;
	if (read_file(process, "loginuid", text, sizeof(text)) > 0 &&
	    parse_number(text, UINT32_MAX, &login))
		o->login_uid = (uint32_t)login;
	read_unit(process, o->unit);
	/* Still there, so all of this was about it. */
	if (trim(name, read_file(thread, "comm", name, COMM_MAX)) < 0)
		return -ESRCH;
	o->seen = true;
	keep = fd;
	fd = -1;
	return keep;
}

/* ---- ordinals ---- */

static bool same(const struct observed *a, const struct observed *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->pid == b->pid && a->seen == b->seen &&
	       a->start == b->start && a->login_uid == b->login_uid &&
	       !strcmp(a->command, b->command) && !strcmp(a->unit, b->unit);
}

static void put_fields(const struct observed *o, struct cof_buf *fields)
{
	cof_field_put_u32(fields, COF_T_UID, o->uid);
	cof_field_put_u32(fields, COF_T_GID, o->gid);
	cof_field_put_u32(fields, COF_T_PID, o->pid);
	if (!o->seen)
		return;
	cof_field_put_u32(fields, COF_T_LOGIN_UID, o->login_uid);
	cof_field_put_str(fields, COF_T_COMMAND, o->command);
	cof_field_put_str(fields, COF_T_UNIT, o->unit);
	cof_field_put_u64(fields, COF_T_START_TIME, o->start);
}

void cof_actor_fields(const struct cof_who *who, struct cof_buf *fields)
{
	const struct cof_who own = {.uid = getuid(), .gid = getgid(), .pid = (uint32_t)getpid()};
	char name[COMM_MAX];
	int fd;

	who = who ? who : &own;
	struct observed o = {.uid = who->uid, .gid = who->gid, .pid = who->pid, .login_uid = NO_LOGIN};

	fd = observe(who->pid, &o, name);
	if (fd >= 0)
		close(fd);
	else
		o.pid = who->pid;
	put_fields(&o, fields);
}

static int put_actor(struct cof_archive *a, const struct observed *o, uint32_t ordinal, bool system)
{
	static const struct cof_applied nothing;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_draft d = {.type = COF_ACTOR, .position = ordinal, .system = system};

	put_fields(o, &fields);
	d.plain = fields.data;
	d.length = (uint32_t)fields.len;
	return fields.failed ? -ENOMEM : cof_archive_put(a, &d, &nothing, NULL);
}

/* One frame at a time, and nobody uses an ordinal before its frame is there. write: make a new one.
 */
static int intern(struct cof_archive *a, const struct observed *o, bool system, bool write,
		  uint32_t *ret)
{
	struct cof_actors *s = a->actors;
	uint32_t hash = (o->pid * 2654435761u) ^ (o->uid * 40503u);
	struct actor *set = s->actor[(hash >> 8) % SETS], *oldest = set;
	int r = -ENOENT;

	pthread_mutex_lock(&s->intern);
	for (unsigned i = 0; i < SET_WAYS; i++) {
		if (set[i].ordinal && same(&set[i].who, o)) {
			set[i].used = ++s->clock;
			*ret = set[i].ordinal;
			r = 0;
			break;
		}
		if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	if (r < 0 && write) {
		r = s->last == UINT32_MAX ? -EOVERFLOW : put_actor(a, o, s->last + 1, system);
		if (r == 0) {
			oldest->who = *o;
			oldest->ordinal = ++s->last;
			oldest->used = ++s->clock;
			*ret = s->last;
		}
	}
	pthread_mutex_unlock(&s->intern);
	return r;
}

/* ---- threads ---- */

static struct shard *shard_of(struct cof_archive *a, uint32_t tid)
{
	return &a->actors->shard[(tid * 2654435761u >> 16) % COF_ACTOR_SHARDS];
}

static bool is(const struct thread *t, const struct cof_who *who)
{
	return t->fd >= 0 && t->tid == who->pid && t->uid == who->uid && t->gid == who->gid;
}

/* The task behind the kept descriptor is alive and has the name it had. */
static bool unchanged(const struct thread *t)
{
	char name[COMM_MAX];
	ssize_t n = pread(t->fd, name, sizeof(name) - 1, 0);

	if (n < 0)
		return false;
	name[n] = 0;
	trim(name, n);
	return !strcmp(name, t->name);
}

static bool known_thread(struct cof_archive *a, const struct cof_who *who, uint32_t *ret)
{
	struct shard *s = shard_of(a, who->pid);
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < WAYS && !found; i++) {
		struct thread *t = &s->thread[i];

		if (!is(t, who))
			continue;
		if (unchanged(t)) {
			t->used = ++s->clock;
			*ret = t->ordinal;
			found = true;
		} else {
			close(t->fd);
			t->fd = -1;
			t->used = 0;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* Takes fd. Threads of a shard that were used longest ago make room. */
static void remember(struct cof_archive *a, const struct cof_who *who, int fd, uint32_t ordinal,
		     const char *name)
{
	struct shard *s = shard_of(a, who->pid);
	struct thread *place = &s->thread[0];

	pthread_mutex_lock(&s->lock);
	for (unsigned i = 0; i < WAYS; i++) {
		struct thread *t = &s->thread[i];

		if (is(t, who)) { /* another worker was quicker, or it changed its name meanwhile */
			place = t;
			break;
		}
		if (t->used < place->used)
			place = t;
	}
	if (place->fd >= 0)
		close(place->fd);
	*place = (struct thread){.fd = fd,
				 .uid = who->uid,
				 .gid = who->gid,
				 .tid = who->pid,
				 .ordinal = ordinal,
				 .used = ++s->clock};
	snprintf(place->name, sizeof(place->name), "%s", name);
	pthread_mutex_unlock(&s->lock);
}

static int use(struct cof_archive *a, const struct cof_who *who, bool system, bool write,
	       uint32_t *ret)
{
	struct observed o = {
	    .uid = who->uid, .gid = who->gid, .pid = who->pid, .login_uid = NO_LOGIN};
	uint32_t ordinal = 0;
	char name[COMM_MAX];
	int fd, r;

	if (who->daemon) {
		*ret = 0;
		return 0;
	}
	if (known_thread(a, who, ret))
		return 0;
	fd = observe(who->pid, &o, name);
	if (fd < 0)
		o = (struct observed){
		    .uid = who->uid, .gid = who->gid, .pid = who->pid, .login_uid = NO_LOGIN};
	r = intern(a, &o, system, write, &ordinal);
	if (r == 0 && fd >= 0)
		remember(a, who, fd, ordinal, name);
	else if (fd >= 0)
		close(fd);
	if (r == 0)
		*ret = ordinal;
	return r;
}

int cof_actor_use(struct cof_archive *a, const struct cof_who *who, bool system, uint32_t *ret)
{
	return use(a, who, system, true, ret);
}

/* What the ACTOR frame of another mount says. Text that does not fit is cut, as it was when it was observed. */
static int read_observed(struct cof_archive *a, uint32_t mount, uint32_t ordinal, struct observed *o)
{
	cof_autobuf struct cof_buf fields = {0};
	struct cof_frame f;
	struct cof_field text;
	uint64_t address;
	int r = cof_index_get_actor(a->ix, mount, ordinal, &address);

	if (r == 0)
		r = cof_reader_header(a->reader, address, &f, NULL, NULL);
	if (r == 0 && (f.type != COF_ACTOR || f.mount != mount || f.position != ordinal))
		r = -EUCLEAN;
	if (r == 0)
		r = cof_frame_read(a->reader, a->ring, a->conf.id, address, &f, NULL, &fields);
	if (r == 0)
		r = cof_field_u32(fields.data, fields.len, COF_T_UID, &o->uid);
	if (r == 0)
		r = cof_field_u32(fields.data, fields.len, COF_T_GID, &o->gid);
	if (r == 0)
		r = cof_field_u32(fields.data, fields.len, COF_T_PID, &o->pid);
	if (r < 0)
		return r;
	o->seen = cof_field_u64(fields.data, fields.len, COF_T_START_TIME, &o->start) == 0;
	if (cof_field_u32(fields.data, fields.len, COF_T_LOGIN_UID, &o->login_uid) < 0)
		o->login_uid = NO_LOGIN;
	if (cof_field_find(fields.data, fields.len, COF_T_COMMAND, &text) == 0)
		memcpy(o->command, text.value, COF_MIN(text.len, COMM_MAX - 1));
	if (cof_field_find(fields.data, fields.len, COF_T_UNIT, &text) == 0)
		memcpy(o->unit, text.value, COF_MIN(text.len, UNIT_MAX - 1));
	return 0;
}

int cof_actor_adopt(struct cof_archive *a, uint32_t mount, uint32_t ordinal, uint32_t *ret)
{
	struct observed o = {0};
	int r = read_observed(a, mount, ordinal, &o);

	return r < 0 ? r : intern(a, &o, true, true, ret);
}

int cof_actor_known(struct cof_archive *a, const struct cof_who *who, uint32_t *ret)
{
	return use(a, who, true, false, ret);
}
