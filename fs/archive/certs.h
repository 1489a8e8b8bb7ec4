/* SPDX-License-Identifier: Apache-2.0 */
/* Private to fs/archive: certificates on shelves that keep them, and what is kept as long as they last. */
#ifndef COF_ARCHIVE_CERTS_H
#define COF_ARCHIVE_CERTS_H

#include "crypto/cert.h"
#include "fs/archive/apply.h"

/* ---- one certificate, CRL or request as bytes: field 160 of docs/format.md ---- */

void cof_cert_put(struct cof_buf *ret, const struct cof_cert *c);
int cof_cert_get(const void *p, size_t n, struct cof_cert *ret); /* -EUCLEAN */
/* kind, serial, subject, issuer, not_before, not_after ("none"), fingerprint, ca, self_issued, no_end: what it has. */
void cof_cert_json(const struct cof_cert *c, struct cof_json *into);
#define COF_CERT_TERM_FINGERPRINT 1 /* terms in the index */
#define COF_CERT_TERM_SERIAL 2	    /* without leading zeros */

/* ---- at the commit (certs.c) ---- */

struct cof_certs { /* what a COMMIT frame has of it */
	struct cof_buf found; /* fields of the private part */
	struct cof_buf told;  /* of the public part: what it says, and that it follows */
	int64_t least;	      /* kept at least until then; COF_RETAIN_NONE: nothing asks for that */
	uint64_t n;	      /* certificates, CRLs and requests found */
	struct cof_diag why;  /* "": all of it could be read */
};
void cof_certs_done(struct cof_certs *c);
#define cof_autocerts COF_CLEANUP(cof_certs_done)

/* Reads a file that is about to be committed, where its shelf keeps certificates, and looks how long the
 * certificates of the archive last, where its shelf follows them. o is held. Fails only where the commit must
 * not go on without: -ENOMEM, -COF_EINDEX. */
int cof_certs_look(struct cof_archive *a, struct cof_obj *o, struct cof_certs *ret);
/* An EVENT where something was not read. o is held, the commit comes behind it. */
void cof_certs_tell(struct cof_archive *a, struct cof_obj *o, const struct cof_who *who,
		    const struct cof_certs *c);

/* ---- what they mean for others (certs-apply.c) ---- */

/* COMMIT: certificates into the index, how long all of them last, and whether the file follows that. */
int cof_apply_certs(const struct cof_parts *p, struct cof_node *n);
/* How long what follows is kept, by what is known now; COF_RETAIN_NONE: nothing is asked. */
int64_t cof_certs_follow(struct cof_archive *a, const struct cof_obj *o);
int cof_certs_load(struct cof_archive *a); /* once the index is filled */

#endif
