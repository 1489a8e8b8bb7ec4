/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries every cell of the rules' own table on a mounted archive, by real system calls of the person
 * that the cell names, and compares errno and what became of the object. Expectations come from the
 * table alone, which rules-table prints from the rules.
 *
 *   table TABLE.tsv MOUNT ARCHIVE-ID POLICY ATTEMPTS
 *       TABLE.tsv is what rules-table --tsv says, POLICY a file with the policy it was made for.
 *       MOUNT has the shelves that table.sh gives it. Into ATTEMPTS comes a line for each attempt,
 *       with who made it and what has to be on record of it.
 *
 * A cell that is tried by nothing fails, unless it is listed as unreachable; that list is printed.
 * Ends with 1 after a line for each check that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "table.h"

#define CELLS 2000
#define ATTEMPTS 8000

struct attempt {
	struct cell *cell;
	const struct way *way;
	struct place place;
	bool made, skipped;
	pid_t pid;
	int result;
};

static struct cell cells[CELLS];
static struct attempt attempts[ATTEMPTS];
static unsigned n_cells, n_attempts, n_failed, n_unreachable;
static const char *mount_point;

static void failed(const struct attempt *t, const char *what)
{
	printf("FAILED %s, %s, by %s (%s): %s\n", t->cell->key, t->cell->state, t->cell->who,
	       t->way->call, what);
	n_failed++;
}

/* ---- the table ---- */

static int error_of(const char *name)
{
	if (!strcmp(name, "0"))
		return 0;
	for (int e = 1; e < 200; e++)
		if (strerrorname_np(e) && !strcmp(strerrorname_np(e), name))
			return e;
	if (!strcmp(name, "EOPNOTSUPP"))
		return EOPNOTSUPP;
	printf("FAILED: the table has an errno \"%s\"\n", name);
	exit(2);
}

static void read_table(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[1024];

	if (!f)
		die("open", path);
	while (fgets(line, sizeof(line), f)) {
		struct cell *c = &cells[n_cells];
		char *at = line;
		struct {
			char *to;
			size_t size;
		} fields[] = {
		    {c->key, sizeof(c->key)},	    {c->state, sizeof(c->state)},
		    {c->who, sizeof(c->who)},	    {c->error, sizeof(c->error)},
		    {c->effect, sizeof(c->effect)}, {c->by, sizeof(c->by)},
		    {c->recorded, sizeof(c->recorded)}, {c->rule, sizeof(c->rule)},
		    {c->operation, sizeof(c->operation)}, {c->reason, sizeof(c->reason)},
		};

		line[strcspn(line, "\n")] = 0;
		for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
			const char *text = at ? strsep(&at, "\t") : NULL;

			if (!text || strlen(text) >= fields[i].size || n_cells == CELLS - 1) {
				printf("FAILED: the table's line %u is not understood\n",
				       n_cells + 1);
				exit(2);
			}
			strcpy(fields[i].to, text);
		}
		c->error_number = error_of(c->error);
		n_cells++;
	}
	fclose(f);
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words; at && (at = strstr(at, word)); at += n)
		if ((at == words || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return !words;
}

static void list_attempts(struct cell *c)
{
	for (unsigned i = 0; i < ways_count; i++) {
		const struct way *w = &ways[i];

		if (strcmp(w->key, c->key) || !has_word(w->states, c->state) ||
		    !has_word(w->people, c->who))
			continue;
		for (unsigned u = 0; u < unreachable_count; u++)
			if (!strcmp(unreachable[u].key, c->key) &&
			    has_word(unreachable[u].state, c->state) &&
			    has_word(unreachable[u].people, c->who))
				goto next;
		if (n_attempts == ATTEMPTS) {
			printf("FAILED: too many attempts\n");
			exit(2);
		}
		attempts[n_attempts++] = (struct attempt){.cell = c, .way = w};
	next:;
	}
}

/* ---- attempts ---- */

struct turn { /* shared with the child */
	int result;
	bool ready;
};

static void become(const char *who)
{
	uid_t id = !strcmp(who, "owner") ? OWNER : !strcmp(who, "other") ? OTHER : 0;

	if (id && (setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 ||
		   setresuid(id, id, id) < 0))
		_exit(3);
}

/* The child: one process makes all attempts on a cell, each when it is told. */
static void child(struct attempt *first, unsigned n, int in, int out, struct turn *turn)
{
	unsigned char i;

	for (unsigned k = 0; k < n; k++)
		if (!strcmp(first->cell->key, "rename-once") &&
		    chmod(first[k].place.object, 0444) < 0)
			_exit(3);
	become(first->cell->who);
	if (write(out, "", 1) != 1)
		_exit(3);
	while (read(in, &i, 1) == 1) {
		turn->result = first[i].way->act(&first[i].place, first[i].way);
		if (write(out, "", 1) != 1)
			_exit(3);
	}
	_exit(0);
}

static void await_child(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	if (poll(&p, 1, 60000) != 1 || read(fd, &c, 1) != 1)
		die("the process that makes the attempts", "it ended, or does not answer");
}

static void compare(struct attempt *t, const struct snap before[2], const struct snap after[2])
{
	const char *change;
	char text[128];

	if (t->way->may_be_old &&
	    (t->result == -EOPNOTSUPP || t->result == -EINVAL || t->result == -ENOSYS)) {
		t->skipped = true;
		return;
	}
	if (t->result != -t->cell->error_number) {
		snprintf(text, sizeof(text), "%s expected, got %s", t->cell->error,
			 t->result ? strerrorname_np(-t->result) : "success");
		failed(t, text);
	}
	change = judge_change(t->cell, t->way, &t->place, &before[0], &after[0], &before[1],
			      &after[1]);
	if (change)
		failed(t, change);
}

static void one(struct attempt *t, unsigned i, int to, int from, const struct turn *turn)
{
	struct snap before[2], after[2];
	unsigned char index = (unsigned char)i;

	reset_place(t->cell, &t->place);
	snap_take(t->place.object, &before[0]);
	snap_take(t->place.target, &before[1]);
	if (write(to, &index, 1) != 1)
		die("pipe", "");
	await_child(from);
	t->result = turn->result;
	snap_take(t->place.object, &after[0]);
	snap_take(t->place.target, &after[1]);
	compare(t, before, after);
	for (int k = 0; k < 2; k++) {
		snap_done(&before[k]);
		snap_done(&after[k]);
	}
}

static void close_places(struct attempt *first, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (first[i].place.fd >= 0)
			close(first[i].place.fd);
		if (first[i].place.fd_append >= 0)
			close(first[i].place.fd_append);
	}
}

static void try_cell(struct attempt *first, unsigned n, struct turn *turn)
{
	int down[2], up[2], status;
	pid_t pid;

	if (pipe2(down, O_CLOEXEC) < 0 || pipe2(up, O_CLOEXEC) < 0)
		die("pipe", "");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork", "");
	if (pid == 0) {
		close(down[1]);
		close(up[0]);
		child(first, n, down[0], up[1], turn);
	}
	close(down[0]);
	close(up[1]);
	await_child(up[0]);
	for (unsigned i = 0; i < n; i++) {
		first[i].pid = pid;
		one(&first[i], i, down[1], up[0], turn);
		first[i].cell->done += !first[i].skipped;
	}
	close(down[1]);
	close(up[0]);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		die("the process that makes the attempts", "it ended badly");
	close_places(first, n);
}

/* ---- all of them ---- */

static void make_attempts(bool early)
{
	for (unsigned i = 0; i < n_attempts; i++) {
		struct attempt *t = &attempts[i];
		bool first = !strcmp(t->cell->state, "expired") ||
			     !strcmp(t->cell->key, "autocommit");

		if (first == early && !t->made) {
			make_place(mount_point, t->cell, t->way, i, &t->place);
			t->made = true;
		}
	}
}

/* All that is made early, by its own clock: the retention is over, the autocommit is due. */
static void await_early(void)
{
	for (unsigned i = 0; i < n_attempts; i++) {
		const char *want = !strcmp(attempts[i].cell->state, "expired") ? "expired"
				   : !strcmp(attempts[i].cell->key, "autocommit") ? "committed"
										  : NULL;
		char state[128] = "";

		for (int tries = 0; want && attempts[i].made && strcmp(state, want); tries++) {
			if (tries == 3000)
				die("waited for what is made early", attempts[i].place.object);
			if (tries)
				poll(NULL, 0, 10);
			attr_of(attempts[i].place.object, "state", state);
		}
	}
}

static void set_policy(const char *path)
{
	char shelf[200], text[1024];
	struct stat st;
	size_t n;
	FILE *f = fopen(path, "re");

	if (!f)
		die("open", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	snprintf(shelf, sizeof(shelf), "%s/main", mount_point);
	if (lstat(shelf, &st) < 0)
		die("lstat", shelf);
	errno = -ask_daemon("shelf-set", st.st_ino, "policy", text, NULL);
	if (errno)
		die("shelf-set", shelf);
}

static void try_all(void)
{
	struct turn *turn = mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (turn == MAP_FAILED)
		die("mmap", "");
	for (unsigned i = 0, n; i < n_attempts; i += n) {
		for (n = 0; i + n < n_attempts && attempts[i + n].cell == attempts[i].cell; n++)
			if (!attempts[i + n].made) {
				make_place(mount_point, attempts[i + n].cell, attempts[i + n].way,
					   i + n, &attempts[i + n].place);
				attempts[i + n].made = true;
			}
		try_cell(&attempts[i], n, turn);
	}
	munmap(turn, sizeof(*turn));
}

/* ---- coverage ---- */

static void check_coverage(void)
{
	for (unsigned i = 0; i < n_cells; i++) {
		const struct unreachable *why = NULL;
		struct cell *c = &cells[i];

		for (unsigned u = 0; u < unreachable_count; u++)
			if (!strcmp(unreachable[u].key, c->key) &&
			    has_word(unreachable[u].state, c->state) &&
			    has_word(unreachable[u].people, c->who))
				why = &unreachable[u];
		if (why)
			printf("not tried: %s, %s, by %s: %s\n", c->key, c->state, c->who, why->why);
		n_unreachable += why != NULL;
		if (!why && !c->done) {
			printf("FAILED %s, %s, by %s: nothing tries this cell\n", c->key, c->state,
			       c->who);
			n_failed++;
		}
	}
	for (unsigned i = 0; i < ways_count; i++) {
		unsigned k = 0;

		while (k < n_attempts && attempts[k].way != &ways[i])
			k++;
		if (k == n_attempts) {
			printf("FAILED %s (%s): the table has no such row\n", ways[i].key,
			       ways[i].call);
			n_failed++;
		}
	}
}

/* ---- what has to be on record ---- */

static const char *below(const char *path)
{
	size_t n = strlen(mount_point);

	return path[n] == '/' ? path + n + 1 : "/";
}

static void write_attempts(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f)
		die("open", path);
	for (unsigned i = 0; i < n_attempts; i++) {
		const struct attempt *t = &attempts[i];
		const struct cell *c = t->cell;
		const char *op = t->way->operation ? t->way->operation : c->operation;
		bool made = !strcmp(op, "create") || !strcmp(op, "mknod") || !strcmp(op, "link");

		if (t->skipped)
			continue;
		fprintf(f, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t", c->key, c->state, c->who,
			t->way->call, t->pid, c->error, c->effect, c->recorded, c->rule, op,
			t->way->other_words ? "" : c->reason);
		if (!strcmp(op, "rename"))
			fprintf(f, "%s -> %s\n", below(t->place.object), below(t->place.target));
		else
			fprintf(f, "%s\n", below(made ? t->place.target : t->place.object));
	}
	if (fclose(f))
		die("write", path);
}

int main(int argc, char **argv)
{
	const struct rlimit files = {16384, 16384};
	unsigned skipped = 0;
	char in[200];

	if (argc != 6 || strlen(argv[3]) != 32 || cof_unhex(argv[3], 32, archive_id) < 0) {
		fprintf(stderr, "usage: table TABLE.tsv MOUNT ARCHIVE-ID POLICY ATTEMPTS\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(0);
	mount_point = argv[2];
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("setrlimit", "");
	read_table(argv[1]);
	for (unsigned i = 0; i < n_cells; i++)
		list_attempts(&cells[i]);
	snprintf(in, sizeof(in), "%s/quota/file", mount_point);
	put_file(in, CONTENT);
	snprintf(in, sizeof(in), "%s/shelf/in", mount_point);
	put_file(in, 0);
	make_attempts(true);
	await_early();
	set_policy(argv[4]);
	try_all();
	check_coverage();
	write_attempts(argv[5]);
	for (unsigned i = 0; i < n_attempts; i++)
		if (attempts[i].skipped) {
			printf("skipped: %s, %s, by %s (%s): this kernel has no such call\n",
			       attempts[i].cell->key, attempts[i].cell->state, attempts[i].cell->who,
			       attempts[i].way->call);
			skipped++;
		}
	printf("%u cells, %u attempts, %u cells not to be reached, %u attempts skipped, %u failed\n",
	       n_cells, n_attempts, n_unreachable, skipped, n_failed);
	return n_failed != 0;
}
