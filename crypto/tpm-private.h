/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files tpm*.c: a round with the TPM, its handles, and tss2's codes made ours. */
#ifndef COF_TPM_PRIVATE_H
#define COF_TPM_PRIVATE_H

#include <stdatomic.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#include "crypto/tpm.h"

#define COF_TPM_HELD 8
#define COF_TPM_SRK 0x81000001u

struct cof_tpm {
	char where[256];
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys; /* NULL: not connected, or the connection broke */
	bool broke;
	const atomic_int *patience; /* ms that an answer may take */
	bool late;		    /* an answer took longer: nobody is asked again in this round */
	struct {
		ESYS_TR tr;
		bool flush; /* transient: it takes a slot in the TPM */
	} held[COF_TPM_HELD];
	unsigned n_held;
	enum cof_tpm_cause cause;
	uint32_t changed;
};

/* One command: fn runs with a connection; whatever it holds is given back when it returns. A round
 * that broke is repeated once if again says that this does no harm. */
typedef int (*cof_tpm_fn)(struct cof_tpm *t, void *arg, struct cof_diag *diag);
int cof_tpm_round(struct cof_tpm *t, cof_tpm_fn fn, void *arg, bool again, struct cof_diag *diag);

/* rc of tss2 to -errno, cause and sentence; what: "the counter could not be read". 0 for success. */
int cof_tpm_rc(struct cof_tpm *t, TSS2_RC rc, const char *what, struct cof_diag *diag);
int cof_tpm_because(struct cof_tpm *t, enum cof_tpm_cause cause, struct cof_diag *diag,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
bool cof_tpm_is(TSS2_RC rc, TPM2_RC code); /* this code, whatever parameter or session it names */

void cof_tpm_hold(struct cof_tpm *t, ESYS_TR tr, bool flush);
void cof_tpm_release(struct cof_tpm *t, ESYS_TR tr); /* now rather than at the end of the round */
/* Overwrites every copy of these bytes in tss2's buffers, and the stack below. */
void cof_tpm_scrub(struct cof_tpm *t, const void *secret, size_t n);

/* ---- tpm-socket.c ---- */

/* where: "/path", "swtpm:path=/path", "swtpm:host=H,port=P". patience and late outlive it; late is set once an
 * answer took longer than the patience, and after that or a failure every command fails at once. */
TSS2_RC cof_tpm_socket_new(const char *where, const atomic_int *patience, bool *late, TSS2_TCTI_CONTEXT **ret);
void cof_tpm_socket_free(TSS2_TCTI_CONTEXT *tcti);

/* ---- tpm-parent.c ---- */

struct cof_tpm_parent {
	ESYS_TR tr;
	uint32_t handle; /* persistent, or 0 */
	uint8_t name[COF_TPM_NAME];
};
/* The storage key. expected: one that was seen before, which it must be (else cleared or exchanged);
 * NULL: whichever is there. */
int cof_tpm_parent_get(struct cof_tpm *t, const struct cof_tpm_sealed *expected,
		       struct cof_tpm_parent *ret, struct cof_diag *diag);
int cof_tpm_identity(struct cof_tpm *t, uint8_t ret[COF_TPM_NAME], struct cof_diag *diag);
/* Salted with the parent, AES-128-CFB. type: TPM2_SE_HMAC, TPM2_SE_POLICY, TPM2_SE_TRIAL */
int cof_tpm_session(struct cof_tpm *t, const struct cof_tpm_parent *parent, TPM2_SE type,
		    ESYS_TR *ret, struct cof_diag *diag);
/* Whether the session's next command has its first parameter encrypted there and back. */
int cof_tpm_session_crypt(struct cof_tpm *t, ESYS_TR session, bool there, bool back,
			  struct cof_diag *diag);

/* ---- tpm-nv.c ---- */

/* A counter's handle with its public area checked; *ret_value what it says. Within a round. */
int cof_tpm_counter_get(struct cof_tpm *t, ESYS_TR session, uint32_t index,
			enum cof_tpm_counter_kind kind, ESYS_TR *ret, uint64_t *ret_value,
			struct cof_diag *diag);

/* ---- tpm-seal.c: within a round ---- */

/* A sealed object under this policy, with auth or NULL, into s's areas. */
int cof_tpm_object_make(struct cof_tpm *t, const struct cof_tpm_parent *parent, ESYS_TR hmac,
			const uint8_t *auth, const uint8_t *secret, const TPM2B_DIGEST *policy,
			struct cof_tpm_sealed *s, struct cof_diag *diag);
int cof_tpm_object_use(struct cof_tpm *t, const struct cof_tpm_parent *parent, ESYS_TR hmac,
		       const struct cof_tpm_sealed *s, ESYS_TR *ret, struct cof_diag *diag);
/* PolicyNV: the counter has this value. */
int cof_tpm_policy_counter(struct cof_tpm *t, ESYS_TR session, ESYS_TR hmac, ESYS_TR nv,
			   uint64_t value, struct cof_diag *diag);

/* ---- tpm-info.c ---- */

int cof_tpm_lockout_get(struct cof_tpm *t, struct cof_tpm_lockout *ret, struct cof_diag *diag);

/* ---- tpm-pcr.c ---- */

int cof_tpm_pcrs_get(struct cof_tpm *t, uint32_t mask, struct cof_tpm_pcrs *ret,
		     struct cof_diag *diag);
void cof_tpm_pcrs_select(uint32_t mask, TPML_PCR_SELECTION *ret);
void cof_tpm_pcrs_digest(const struct cof_tpm_pcrs *p, TPM2B_DIGEST *ret);

#endif
