/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tools/import: lines of other programs' logs become events. A source is a readable INI (one of
 * sources/, or an operator's own): how its lines begin, and rules, the first of which that fits says what
 * kind of event a line is. docs/sources.md describes the format.
 *
 * Pure but for the local time zone, which RFC 3164 and log4j leave out of their times. Not thread-safe:
 * one thread for each source. pcre2.h is included in this folder only.
 */
#ifndef COFFER_IMPORT_H
#define COFFER_IMPORT_H

#include "base/base.h"

#define IMPORT_LINE_MAX 8192  /* of a line so many bytes are looked at */
#define IMPORT_TEXT_MAX 1024  /* of each text of an event; what is longer is cut at a character */
#define IMPORT_RULES_MAX 256  /* of a source */
#define IMPORT_FIELDS_MAX 64  /* of a line; further ones are not seen */

enum import_format {
	IMPORT_PLAIN,  /* the whole line is the message; no time */
	IMPORT_SYSLOG, /* RFC 3164, RFC 5424, or an ISO time, host, tag: as rsyslog and journald write files */
	IMPORT_AUDIT,  /* auditd: type=T msg=audit(seconds.ms:serial): key=value … */
	IMPORT_LOG4J,  /* 2026-01-02 03:04:05,678 and the message */
	IMPORT_JSON,   /* an object; its texts and numbers are fields, time from "time" or "ts" */
	IMPORT_LOGFMT, /* key=value …, time from "time" or "ts" */
};

/* A piece of a line; not terminated. */
struct import_piece {
	const char *text;
	size_t len;
};

struct import_field {
	struct import_piece key, value;
};

/* A line taken apart. All pieces lie in the line, or in `own`. */
struct import_line {
	int64_t time; /* ns; INT64_MIN: it has none */
	struct import_piece host, program, pid, message;
	struct import_field fields[IMPORT_FIELDS_MAX];
	size_t n_fields;
	struct cof_buf own;
};

/* text: n bytes without a line end. now: what a time without a year is near to. False: it does not begin as
 * this format does; ret->message is the whole line then. ret: import_line_done afterwards, also when false. */
bool import_line_read(enum import_format format, const char *text, size_t n, int64_t now,
		      struct import_line *ret);
void import_line_done(struct import_line *line);

/* ---- sources ---- */

struct import_source;

/* Whether there is an event of this catalogue id. */
typedef bool (*import_known_fn)(const char *catalogue);

/* -EUCLEAN with line and reason. known may be NULL: each is. */
int import_source_parse(const char *text, size_t n, import_known_fn known, struct import_source **ret,
			struct cof_diag *diag);
void import_source_free(struct import_source *s); /* NULL is fine */
const char *import_source_name(const struct import_source *s);
const char *import_source_about(const struct import_source *s);
/* Span in ns after which a source without a line counts as silent; 0: none given. */
int64_t import_source_silence(const struct import_source *s);
/* Calls fn with each catalogue id that a rule of it leads to; an id may come several times. */
void import_source_kinds(const struct import_source *s, void (*fn)(void *user, const char *catalogue),
			 void *user);

struct import_event { /* terminated texts, valid until the next import_match of this source; "" where nothing is */
	const char *type;      /* "login-failed": the rule's name */
	const char *catalogue; /* "A.14.7", or "" */
	const char *outcome;   /* "success", "failure" or "attempt" */
	const char *severity;  /* RFC 5424's names */
	const char *actor, *place, *object, *detail;
	int64_t time; /* as the line claims; INT64_MIN: not at all */
};

enum import_verdict {
	IMPORT_EVENT,	/* *ret is filled */
	IMPORT_IGNORED, /* a rule says that it is of no interest */
	IMPORT_NO_RULE, /* no rule fits */
	IMPORT_OTHER,	/* another program's line (key `program`) */
};
/* A rule that costs too much on a line (backtracking) does not fit it; *ret_costly then counts it. */
enum import_verdict import_match(struct import_source *s, const char *text, size_t n, int64_t now,
				 struct import_event *ret, uint64_t *ret_costly);

/* ---- files that grow and are rotated (file.c, place.c) ---- */

#define IMPORT_DIGEST_BYTES 8192 /* the last of a line that its digest covers */

struct import_place { /* behind a line */
	uint64_t end;	    /* offset behind its newline */
	uint64_t line;	    /* its number in its file, from 1 */
	uint8_t digest[32]; /* SHA-256 of the line without it, of the last bytes of a long one */
};

enum import_found { /* where reading goes on */
	IMPORT_FROM_START,  /* nothing was read before */
	IMPORT_GOES_ON,	    /* behind the line that was last */
	IMPORT_FROM_OLDER,  /* that line is in a file that was rotated away: its rest comes first */
	IMPORT_LINES_LOST,  /* that line is nowhere: what came between is not known; from the start */
};

struct import_file;

/* after: NULL: nothing was read before. -ENOENT and the like, said in diag. */
int import_file_open(const char *path, const struct import_place *after, struct import_file **ret,
		     enum import_found *ret_found, struct cof_diag *diag);
void import_file_close(struct import_file *f); /* NULL is fine */
/* The next whole line, without its newline, until the next call: 1; 0: none now. Of a line of over 64 KiB the
 * last 64 KiB. ret_place->end counts in the file that the line is in. -EIO and the like. */
int import_file_next(struct import_file *f, const char **ret, size_t *ret_n, struct import_place *ret_place);
/* Waits until there may be more, at most so long (-1: for ever), or until stop (a descriptor, -1: none) is readable.
 * 1: may be; 0: the time is over; -ECANCELED: stop. */
int import_file_wait(struct import_file *f, int timeout_ms, int stop, struct cof_diag *diag);
/* The file that is read was cut off while it was (copytruncate), so often: what was not read by then is lost. */
unsigned import_file_truncations(const struct import_file *f);

#endif
