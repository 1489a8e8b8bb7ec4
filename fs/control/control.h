/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/control: the daemon's socket. A Unix stream socket /run/coffer/<archive id>.sock, mode 0600,
 * root's (SO_PEERCRED is checked). One request: one line of JSON {"verb": …, …}, at most 256 KiB; the answer: lines of
 * JSON, the last one {"end": true} or {"end": true, "error": "sentence", "errno": n}.
 * Verbs: status · acknowledge: {"faults": n}, recorded · log {from, follow} · events {from, follow, since, until, type, catalogue, severity, actor, path, outcome, source} · blame {ino} · checkpoint · stop ·
 *   commit {ino|path, retain?} · retain {ino|path, retain} · shelf-add {name, policy} · shelf-set {ino|path, policy}:
 *     what is known of the object then, durable; retain is text (fs/rules' cof_retain_parse), policy an INI text;
 *   explain {op, ino|path, parent, name, new_parent, new_name, uid, gid, offset, length, mode, flags, kind, data, retain} ·
 *   shelves · ls {ino|path, recursive, digest, state} · clock · stamp-query: {"query": base64} ·
 *   stamp {token: base64 of an answer or a token, ca?: PEM}: what of it was chained ·
 *   cosign {vault, note, began?: CLOCK_BOOTTIME ns}: likewise · vault-told {type, vault, detail}: an event of a vault · vault-newer {vault, note}: a head that is not in this log, which ends writing · vault-record {record}: a VAULT frame ·
 *   people · people-set · people-first · request-make · request · approve · requests · policy · policy-set · event-put · reviews · head: cof_archive_people ·
 *   hold-begin {case, paths, reason?}: lines {"processed": n} on the way, {"failed_path", "why"} for what cannot be
 *     held, and last the hold's number and counts, durable · holds {all?} · hold-end {case}: refused, on record ·
 *   retain-event {ino|path, event}: as retain ·
 *   certificates {serial, fingerprint, subject, issuer, ends_before, ends_from, kind, at, below}: cof_archive_certs ·
 *   note {type, outcome, detail?, form?}: durable; cof_archive_note ·
 *   import {source, path, after, events, counts, lost, report}: durable · import-state {source, path}: cof_archive_import.
 * A slow or hostile client costs one bounded buffer and one thread of at most 8; it cannot stop the daemon.
 */
#ifndef COF_CONTROL_H
#define COF_CONTROL_H

#include "fs/archive/archive.h"

struct cof_control;

/* stop: called for the verb stop (unmounts). The server adds what extra gives to status (mount point …). */
struct cof_control_params {
	struct cof_archive *archive;
	int listener; /* of cof_control_listen; the server's from the call on, also when that fails */
	void (*stop)(void *user);
	void (*extra)(void *user, struct cof_json *status);
	void *user;
};
/* Makes the socket and listens: as the user who may ask. -EADDRINUSE: another daemon does. */
int cof_control_listen(const uint8_t archive_id[16], int *ret, struct cof_diag *diag);
/* Takes its name away: who comes then sees that there is no daemon. Before cof_control_stop. */
void cof_control_unlink(const uint8_t archive_id[16]);
int cof_control_start(const struct cof_control_params *p, struct cof_control **ret,
		      struct cof_diag *diag);
void cof_control_stop(struct cof_control *c); /* closes, joins */

/* ---- client ---- */

void cof_control_path(const uint8_t archive_id[16], char out[108]);
/* How diag begins when nobody listens; an error of the daemon's own may be -ENOENT too. */
#define COF_CONTROL_NOBODY "no daemon answers"
/* Sends one request and calls fn for each line of the answer but the last. -ECONNREFUSED or -ENOENT: no
 * daemon. The daemon's error comes back as -errno with its sentence in diag. request is borrowed. -ETIMEDOUT: it
 * said nothing for 5 seconds (60 while it makes a checkpoint; who follows the log has no limit). */
int cof_control_ask(const uint8_t archive_id[16], struct cof_json *request, cof_show_fn fn,
		    void *user, struct cof_diag *diag);

#endif
