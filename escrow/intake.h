/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a key in for escrow or backup: what it is, and whether the rules let it (docs/escrow.md).
 *
 * A private key is read by a process of its own that ends after it: no descriptor but its socket, no rights, no new
 * descriptors, programs or connections (a filter of system calls), locked memory, no core. What comes back is
 * checked, and the key lies in secure memory.
 *
 * Thread-safety: the judge is pure. Reading forks: for programs that may; cof_crypto_init first.
 */
#ifndef COF_INTAKE_H
#define COF_INTAKE_H

#include "crypto/private-key.h"

/* ---- reading ---- */

/* As cof_private_key_read, in a process of its own. p, passphrase and pkcs8 may be secure memory. *ret_n 0 where
 * pkcs8 is NULL. -ETIMEDOUT: it took too long · -EPERM: memory cannot be locked · -EIO: the process died. */
int cof_intake_read(const void *p, size_t n, const char *passphrase, struct cof_private_key *ret, uint8_t *pkcs8,
		    size_t *ret_n, struct cof_diag *diag);

/* ---- the rules ---- */

enum cof_intake_owner { COF_OWNER_CA = 1, COF_OWNER_SUBSCRIBER };
enum cof_intake_material { COF_MATERIAL_KEY = 1, COF_MATERIAL_RAW, COF_MATERIAL_WRAPPED };

struct cof_intake { /* what is to be taken in, and how */
	enum cof_intake_owner owner;
	enum cof_intake_material material;
	unsigned level;	  /* 1 to 4 */
	bool backup;	  /* kept for its owner's own recovery; else escrow */
	unsigned persons; /* the fewest whose shares suffice */
	unsigned decided; /* use that somebody decided on, where nothing says it; 0: nobody did */
	const char *token;  /* WRAPPED: the module's entry in the inventory */
	const char *reason; /* WRAPPED: recovery, rekey or replacement */
	size_t bytes;	    /* RAW */
	const struct cof_private_key *key;   /* KEY */
	const struct cof_public_use *public; /* certificate or request; NULL: none was given */
};
struct cof_intake_ruling {
	const char *rule;   /* NULL: permitted. Static, as clause */
	const char *clause; /* "GPKI 6.2.5 (R20)" */
	char reason[320];   /* a sentence for people */
	unsigned use;	    /* when permitted: what it is kept for */
	bool decided;	    /* by a person, not by a document: to be recorded */
};
void cof_intake_judge(const struct cof_intake *in, struct cof_intake_ruling *ret);

#endif
