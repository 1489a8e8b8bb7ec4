/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/archive: frames as JSON for people and programs. An open archive (show.c) and a store without
 * a daemon (store.c) differ in where names, actors and salts come from, and share the rest.
 */
#ifndef COF_ARCHIVE_SHOW_H
#define COF_ARCHIVE_SHOW_H

#include "fs/archive/internal.h"

#define COF_SHOW_ACTORS 64

struct cof_show_actor { /* the private part of an ACTOR frame */
	uint32_t mount, ordinal;
	struct cof_buf fields;
};

struct cof_show { /* one thread's */
	struct cof_reader *reader;
	const struct cof_conf *conf;
	struct cof_ring *ring; /* NULL: without keys, what is private stays opaque */
	/* Where an ACTOR frame lies, and what an inode was called at a tree size; -ENOENT: not known. */
	int (*actor)(void *user, uint32_t mount, uint32_t ordinal, uint64_t *ret_address);
	int (*path)(void *user, uint64_t at, uint64_t ino, struct cof_buf *ret);
	void *user;
	struct cof_show_actor actors[COF_SHOW_ACTORS];
};
void cof_show_done(struct cof_show *s);
struct cof_show *cof_show_new(struct cof_archive *a); /* of an open one; NULL: out of memory */
void cof_show_freep(struct cof_show **s);

/* Sets the fields of a part of a frame, each by its name; those of a tag not known are left out. (show-fields.c) */
void cof_show_fields(struct cof_json *o, const uint8_t *p, size_t n);
/* The private part of an EVENT frame; of what a person signed, what the form says that they signed, "malformed" where it says
 * another thing, or nobody's signature is there. (show-signed.c) */
int cof_show_event(struct cof_json *o, const struct cof_frame *f, const struct cof_buf *in_clear, const struct cof_buf *plain);
/* The entry for a frame. What cannot be opened is "opaque", what is damaged "damaged" besides. Fails with
 * -ENOMEM and -COF_EINDEX only. */
int cof_show_frame(struct cof_show *s, uint64_t address, const struct cof_frame *f,
		   struct cof_json **ret);
/* Sets uid, gid, pid, login_uid (absent: none), command and unit; nothing where the actor is not known. */
int cof_show_actor_fields(struct cof_show *s, uint32_t mount, uint32_t ordinal,
			  struct cof_json *into);
/* "audit/a.log" from the nodes of an index, as it was at a tree size. */
int cof_show_index_path(struct cof_index *ix, uint64_t at, uint64_t ino, struct cof_buf *ret);
/* The address behind a frame, past the unused end of its segment. */
int cof_show_next(struct cof_reader *reader, const struct cof_conf *conf, uint64_t address,
		  const struct cof_frame *f, uint64_t *ret_address);

/* Identity and openers, for both kinds of status. */
void cof_status_identity(const struct cof_conf *conf, struct cof_json *into);
int cof_status_openers(struct cof_io *io, struct cof_json *into);
int cof_status_faults(struct cof_io *io, struct cof_json *into); /* fault.c */
void cof_status_checkpoint(const struct cof_conf *conf, const void *note, size_t n,
			   struct cof_json *into);

#endif
