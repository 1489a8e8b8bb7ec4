/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/control: the verbs about files and shelves, each one function of fs/archive. */
#ifndef COF_CONTROL_VERBS_H
#define COF_CONTROL_VERBS_H

#include "fs/archive/archive.h"
#include "fs/control/wire.h"

/* who: the peer. The request is the peer's own; nothing in it says who asks. */
int cof_verb_act(struct cof_archive *a, const struct cof_who *who, struct cof_control_request *r,
		 cof_show_fn fn, void *user, struct cof_diag *diag);
int cof_verb_acknowledge(struct cof_archive *a, const struct cof_who *who, cof_show_fn fn, void *user,
			 struct cof_diag *diag);
/* When it got its form, as far as that is known: "time", "not_before", "not_after" as of cof_archive_info. */
void cof_verb_set_times(struct cof_archive *a, uint64_t ino, struct cof_json *into);
int cof_verb_clock(struct cof_archive *a, cof_show_fn fn, void *user);
int cof_verb_stamp_query(struct cof_archive *a, cof_show_fn fn, void *user, struct cof_diag *diag);
int cof_verb_stamp(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
		   cof_show_fn fn, void *user, struct cof_diag *diag);
int cof_verb_cosign(struct cof_archive *a, const struct cof_control_request *r,
		    cof_show_fn fn, void *user, struct cof_diag *diag);
/* verbs-hold.c */
int cof_verb_hold_begin(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
			cof_show_fn fn, void *user, struct cof_diag *diag);
int cof_verb_hold_end(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
		      struct cof_diag *diag);
/* verbs-import.c */
int cof_verb_import(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r,
		    cof_show_fn fn, void *user, struct cof_diag *diag);
int cof_verb_import_state(struct cof_archive *a, const struct cof_control_request *r, cof_show_fn fn, void *user,
			  struct cof_diag *diag);
int cof_verb_note(struct cof_archive *a, const struct cof_who *who, const struct cof_control_request *r, cof_show_fn fn,
		  void *user, struct cof_diag *diag);
/* What was written up to there survives a power cut. */
int cof_verb_wait_durable(struct cof_archive *a, uint64_t sequence);
int cof_verb_explain(struct cof_archive *a, struct cof_control_request *r, cof_show_fn fn,
		     void *user, struct cof_diag *diag);
int cof_verb_ls(struct cof_archive *a, struct cof_control_request *r, cof_show_fn fn, void *user,
		struct cof_diag *diag);

#endif
