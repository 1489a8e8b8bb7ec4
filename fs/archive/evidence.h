/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: what leaves the archive as evidence, and the record of it (evidence.c, evidence-file.c). */
#ifndef COF_ARCHIVE_EVIDENCE_H
#define COF_ARCHIVE_EVIDENCE_H

#include "fs/archive/note.h"

/*
 * The verbs, for cof_archive_people; without the people lock, since a large file takes a while:
 *   evidence-list     paths [..], case?, incident? (holds of these) → a line for each file: ino, path, size, state, created, committed (sequences; 0: not)
 *   evidence-begin    to, basis, inodes [[first, count] ..], at, case?, incident?, rehearsal? → disclosure: the sequence of its record, durable
 *   evidence-file     disclosure, ino → lines: ino, path, size, state; frames [[sequence, address] ..], ascending, any
 *                     number of lines; keys [{mount, key}], actors [{mount, actor, uid ..}], proof [sequence, address]
 *   evidence-done     disclosure, manifest (hex), files, bytes → sequence, durable
 *   evidence-checked  disclosure, verdict, outcome → sequence, durable
 */
bool cof_evidence_verb(const char *verb);
int cof_evidence_act(struct cof_archive *a, const struct cof_who *who, const char *verb, const struct cof_json *args,
		     cof_show_fn fn, void *user, struct cof_diag *diag);

/* The form of the record with this sequence, which this mount made: else nothing is given away. */
int cof_evidence_record(struct cof_archive *a, const struct cof_json *args, uint64_t *ret_sequence, struct cof_json **ret,
			struct cof_diag *diag);
int cof_evidence_file(struct cof_archive *a, const struct cof_json *args, cof_show_fn fn, void *user, struct cof_diag *diag);

/* proof.c: the newest proof of time chained before a frame, and the first behind it that covers it; sequence 0: none. */
int cof_proof_around(struct cof_archive *a, uint64_t sequence, struct cof_proof *before, struct cof_proof *after);

#endif
