/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CAs whose certificates and CRLs an archive keeps: when each has to have a new key, and when its next CRL is
 * due. One entry a name, by its newest certificate or CRL: a rekey is done when a newer one is archived.
 */
#ifndef COFFER_CAS_H
#define COFFER_CAS_H

#include "tools/source.h"

struct ca {
	uint8_t digest[32]; /* of the name */
	char name[256];	    /* cut where it is longer */
	char fingerprint[65]; /* SHA-256 of the certificate or CRL, hexadecimal */
	bool root;	    /* self-issued */
	int64_t from, to;   /* valid; of a CRL: its own time, and the next one's by itself (INT64_MIN: it does not say) */
	int64_t ahead;	    /* of a CRL: the policy's span */
	int64_t due;	    /* INT64_MAX: never */
};
#define CAS_MAX 1024 /* of each kind; of more it is only told that there are */

struct ca_list {
	struct ca *ca;
	size_t n;
};
struct cas {
	struct ca_list keys, crls;
	uint64_t left_out; /* certificates and CRLs of CAs beyond CAS_MAX */
};

/* One object of cof_archive_certs, or of a COMMIT frame's. What is no CA's and no CRL is passed over. */
int cas_take(struct cas *c, const struct cof_json *certificate);
/* Fills due by the policy's keys (rekey_root, key_life_root, …, crl), in order of dates. */
void cas_judge(struct cas *c, const struct cof_profile *p);
/* Overdue, and not over: a CA whose certificate has ended owes nothing. */
bool ca_overdue(const struct ca *c, int64_t now);
/* The CA of that name had no certificate any more at this time. */
bool crl_ended(const struct cas *c, const struct ca *crl, int64_t at);
bool crl_overdue(const struct cas *c, const struct ca *crl, int64_t now);
int cas_gather(struct source *s, struct cas *ret, struct cof_diag *diag);
void cas_done(struct cas *c);

#endif
