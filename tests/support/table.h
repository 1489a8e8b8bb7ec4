/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict table driven through a mount: what its parts share. table.c tells how it is used. */
#ifndef COF_TEST_TABLE_H
#define COF_TEST_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OWNER 7001 /* has a group of his own */
#define OTHER 8001
#define CONTENT 100 /* bytes of a file with content, as fs/rules' table has it */
#define DAY 86400

/* One line of the table, as rules-table prints it. */
struct cell {
	char key[32], state[16], who[8], error[16], effect[16], by[8], recorded[12], rule[32],
	    operation[16], reason[256];
	int error_number;
	unsigned done; /* ways that were tried */
};

/* Where one attempt is made. Below a directory of its own, so that nothing else can change there. */
struct place {
	char dir[160];	  /* anybody may write here */
	char object[192]; /* what the attempt is made on */
	char target[224]; /* the other name, of renames and links, or of what is made in a directory */
	int fd, fd_append; /* the object opened for reading and writing, and for appending; or -1 */
	uint64_t ino, size;
	bool alone; /* a directory that all attempts on this state share */
};

enum end { END_NONE, END_LATER, END_ABOVE, END_BELOW, END_PAST, END_EARLIER, END_INFINITE };
int64_t end_seconds(enum end end); /* wall clock; INT64_MAX: infinite */
void end_text(enum end end, char out[32]);

/* ---- ways to make an attempt (table-acts.c), all that a row is tried with (table-ways.c) ---- */

struct way {
	const char *key; /* of the row */
	const char *call;
	int (*act)(const struct place *p, const struct way *w); /* 0 or -errno */
	int64_t a, b; /* flags, mode, length … */
	const char *name; /* of an attribute, a flag's text */
	enum end end;
	const char *states, *people; /* words; NULL: all that the row has */
	const char *operation; /* in the event, where the kernel passes on another one */
	bool other_words;  /* the event gives the reason of that operation, not the row's */
	bool may_be_old;   /* EOPNOTSUPP, EINVAL or ENOSYS: this kernel has no such call */
	const char *tail;  /* what is written; NULL: nothing */
	unsigned changes;  /* fields that differ when it is allowed, beside the effect's own */
	const char *value; /* what the last of them is then */
};
extern const struct way ways[];
extern const unsigned ways_count;

/* Cells that cannot be tried through a mount, with the reason. */
struct unreachable {
	const char *key, *state, *people, *why;
};
extern const struct unreachable unreachable[];
extern const unsigned unreachable_count;

int act_write(const struct place *p, const struct way *w);
int act_append(const struct place *p, const struct way *w);
int act_seek_write(const struct place *p, const struct way *w);
int act_writev(const struct place *p, const struct way *w);
int act_writev2(const struct place *p, const struct way *w);
int act_sendfile(const struct place *p, const struct way *w);
int act_copy_range(const struct place *p, const struct way *w);
int act_ftruncate(const struct place *p, const struct way *w);
int act_truncate(const struct place *p, const struct way *w);
int act_fallocate(const struct place *p, const struct way *w);
int act_mmap(const struct place *p, const struct way *w);
int act_clone(const struct place *p, const struct way *w);
int act_clone_range(const struct place *p, const struct way *w);
int act_open(const struct place *p, const struct way *w);
int act_tmpfile(const struct place *p, const struct way *w);
int act_chmod(const struct place *p, const struct way *w);
int act_fchmod(const struct place *p, const struct way *w);
int act_chmod_link(const struct place *p, const struct way *w);
int act_chown(const struct place *p, const struct way *w);
int act_fchown(const struct place *p, const struct way *w);
int act_setflags(const struct place *p, const struct way *w);
int act_fssetxattr(const struct place *p, const struct way *w);
int act_utimens(const struct place *p, const struct way *w);
int act_futimens(const struct place *p, const struct way *w);
int act_touch(const struct place *p, const struct way *w);
int act_setxattr(const struct place *p, const struct way *w);
int act_fsetxattr(const struct place *p, const struct way *w);
int act_set_acl(const struct place *p, const struct way *w);
int act_removexattr(const struct place *p, const struct way *w);
int act_unlink(const struct place *p, const struct way *w);
int act_rmdir(const struct place *p, const struct way *w);
int act_rename(const struct place *p, const struct way *w);
int act_link(const struct place *p, const struct way *w);
int act_create(const struct place *p, const struct way *w);
int act_mkdir(const struct place *p, const struct way *w);
int act_symlink(const struct place *p, const struct way *w);
int act_mknod(const struct place *p, const struct way *w);
int act_bind(const struct place *p, const struct way *w);
int act_verb(const struct place *p, const struct way *w); /* over the daemon's socket */

/* ---- objects in a state (table-object.c) ---- */

void die(const char *what, const char *path); /* what no test may go on after */
void put_file(const char *path, unsigned size);
/* As root, whatever the row needs. first: before expired files are over. */
void make_place(const char *mount, const struct cell *c, const struct way *w, unsigned number,
		struct place *p);
/* A directory that is shared is as it was before. */
void reset_place(const struct cell *c, const struct place *p);
int ask_daemon(const char *verb, uint64_t ino, const char *key, const char *value,
	       const char *name);
extern uint8_t archive_id[16];
int attr_of(const char *path, const char *name, char out[128]); /* user.coffer.NAME; "" none */

/* ---- what is compared (table-snap.c) ---- */

enum field {
	F_INODE, F_MODE, F_OWNER, F_GROUP, F_SIZE, F_BYTES, F_MTIME, F_CTIME, F_ATIME, F_LINKS,
	F_STATE, F_UNTIL, F_ASKED, F_LEAF, F_DIGEST, F_FLAGS, F_NAMES, FIELDS
};
struct snap {
	char *field[FIELDS]; /* NULL: there is none */
};
extern const char *const field_names[FIELDS];
void snap_take(const char *path, struct snap *ret);
void snap_done(struct snap *s);
unsigned snap_differ(const struct snap *a, const struct snap *b); /* bits of fields */

/* NULL: as the ruling says. Otherwise what is wrong, for people. */
const char *judge_change(const struct cell *c, const struct way *w, const struct place *p,
			 const struct snap *before, const struct snap *after,
			 const struct snap *target_before, const struct snap *target_after);

#endif
