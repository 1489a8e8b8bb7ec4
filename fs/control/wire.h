/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to fs/control: lines of JSON over a socket, and what a request may say.
 *
 * A request is one line of at most COF_CONTROL_REQUEST_MAX bytes, the newline not counted. Whoever
 * reads has a fixed buffer; whoever writes has a time in which a whole line must have gone out.
 */
#ifndef COF_CONTROL_WIRE_H
#define COF_CONTROL_WIRE_H

#include "base/json.h"
#include "fs/archive/archive.h"

#define COF_CONTROL_REQUEST_MAX 262144 /* a request document, its sheet and signature in base64 */
#define COF_CONTROL_ANSWER_MAX (16u << 20) /* a line that a client takes */
#define COF_CONTROL_PATH 108		   /* sun_path's size */

enum cof_control_verb {
	COF_VERB_STATUS, COF_VERB_LOG, COF_VERB_BLAME, COF_VERB_CHECKPOINT, COF_VERB_STOP,
	COF_VERB_COMMIT, COF_VERB_RETAIN, COF_VERB_EXPLAIN, COF_VERB_SHELF_ADD, COF_VERB_SHELF_SET,
	COF_VERB_SHELVES, COF_VERB_LS, COF_VERB_ACKNOWLEDGE, COF_VERB_CLOCK, COF_VERB_STAMP_QUERY,
	COF_VERB_STAMP, COF_VERB_PEOPLE, COF_VERB_HOLD_BEGIN, COF_VERB_HOLDS, COF_VERB_HOLD_END, COF_VERB_RETAIN_EVENT,
	COF_VERB_EVENTS,
	COF_VERB_CERTIFICATES, COF_VERB_IMPORT, COF_VERB_IMPORT_STATE, COF_VERB_COSIGN, COF_VERB_VAULT_TOLD, COF_VERB_VAULT_NEWER, COF_VERB_VAULT_RECORD, COF_VERB_NOTE,
};

struct cof_control_request {
	enum cof_control_verb verb;
	uint64_t from; /* log */
	bool follow;   /* log */
	uint64_t ino;  /* blame */
	struct cof_op op;   /* commit, retain, explain, shelf-add, shelf-set; ls: ino */
	struct cof_who who; /* explain: about whom */
	bool at_end;	    /* explain: no offset was given */
	const char *path;   /* instead of op.ino: in the archive */
	bool recursive, digest; /* ls */
	const char *state;	/* ls: only files in it */
	const char *people;	/* of the verbs about people: which */
	const char *token, *ca; /* stamp: base64; PEM or NULL */
	const char *vault, *note; /* cosign; vault-told: note: what to record */
	const char *type;	  /* vault-told: of the event */
	int64_t began;		  /* cosign: boot time, ns; INT64_MIN: not said */
	const char *hold_case, *reason; /* hold-begin, hold-end */
	const struct cof_json *paths; /* hold-begin: array of strings */
	struct cof_events_query events;
	bool all;		/* holds: those that ended too */
	struct cof_json *json;	/* what the strings lie in, or NULL */
};
void cof_control_request_done(struct cof_control_request *r);

/* One line, without its newline. -EUCLEAN: no JSON object · -EOPNOTSUPP: no such verb · -EINVAL: an
 * argument is missing or impossible; diag has the sentence for the client. */
const char *cof_control_verb_name(enum cof_control_verb verb); /* "log", …; static */
int cof_control_parse(const char *line, size_t n, struct cof_control_request *ret,
		      struct cof_diag *diag);

/* Reads up to and with the first newline; *ret_n is the line without it. fd is non-blocking.
 * -EMSGSIZE: no newline in cap bytes · -ENODATA: the peer ended first · -ETIMEDOUT */
int cof_control_read_line(int fd, char *buf, size_t cap, int timeout_ms, size_t *ret_n);

/* Sends one value and a newline. -ETIMEDOUT: the peer did not take the whole line in time. */
int cof_control_send(int fd, struct cof_json *line, int timeout_ms);
/* The same in two parts: values added to a text, each with its newline; and that sent. -ENOMEM */
int cof_control_add_line(struct cof_buf *lines, struct cof_json *line);
int cof_control_send_lines(int fd, const struct cof_buf *lines, int timeout_ms);
/* The last line: err 0 or -errno with its sentence. */
int cof_control_send_end(int fd, int err, const char *sentence, int timeout_ms);

/* cof_control_ask with a limit for the daemon's silence; 0: none. */
int cof_control_ask_within(const uint8_t archive_id[16], int silence_ms, struct cof_json *request,
			   int (*fn)(void *user, struct cof_json *entry), void *user,
			   struct cof_diag *diag);

/* The directory of sockets: COFFER_RUN_DIR (for tests: a path, no secret), else /run/coffer. */
const char *cof_control_dir(void);

#endif
