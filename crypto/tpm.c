/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to a TPM, rounds over it, and what its codes mean for people. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_sys.h>
#include <tss2/tss2_tctildr.h>

#include "crypto/tpm-private.h"

/* ---- connecting ---- */

static bool where_ok(const char *where)
{
	return !strncmp(where, "device:/", 8) || !strncmp(where, "swtpm:", 6) || *where == '/';
}

static bool by_socket(const struct cof_tpm *t)
{
	return strncmp(t->where, "device:", 7) != 0;
}

static void disconnect(struct cof_tpm *t)
{
	if (t->esys)
		Esys_Finalize(&t->esys);
	if (t->tcti && by_socket(t))
		cof_tpm_socket_free(t->tcti);
	else if (t->tcti)
		Tss2_TctiLdr_Finalize(&t->tcti);
	t->esys = NULL;
	t->tcti = NULL;
	t->n_held = 0;
}

static int too_late(struct cof_tpm *t, struct cof_diag *diag)
{
	return cof_tpm_because(t, COF_TPM_GONE, diag,
			       "the TPM at %s does not answer, or not within %d s: see whether it hangs or "
			       "another program uses it, and try again",
			       t->where, (atomic_load(t->patience) + 999) / 1000);
}

static int gone(struct cof_tpm *t, TSS2_RC rc, struct cof_diag *diag)
{
	static const char device[] = "see that it is switched on in the firmware and that the device is there",
			  soft[] = "see that swtpm runs and listens there";
	const char *look = by_socket(t) ? soft : device;

	if (t->late)
		return too_late(t, diag);
	return cof_tpm_because(t, COF_TPM_GONE, diag,
			       "no TPM answers at %s (%s): %s, or name another (--tpm, -o tpm=); if the archive's is "
			       "gone for good: coffer recover STORE",
			       t->where, Tss2_RC_Decode(rc), look);
}

/* The kernel's resource manager gives back what a broken connection held. A software TPM that is
 * reached directly has three slots and no such manager: what was left there goes when we come back. */
static void flush_left(struct cof_tpm *t, uint32_t first)
{
	TPMS_CAPABILITY_DATA *data = NULL;
	TSS2_SYS_CONTEXT *sys = NULL;
	TPMI_YES_NO more = 0;

	if (Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
			       8, &more, &data) != TSS2_RC_SUCCESS)
		return; /* the command that comes next says why */
	if (Esys_GetSysContext(t->esys, &sys) == TSS2_RC_SUCCESS)
		for (uint32_t i = 0; i < data->data.handles.count; i++)
			(void)Tss2_Sys_FlushContext(sys, data->data.handles.handle[i]);
	Esys_Free(data);
}

static int connect_to(struct cof_tpm *t, struct cof_diag *diag)
{
	TSS2_RC rc;

	if (t->esys)
		return 0;
	rc = by_socket(t) ? cof_tpm_socket_new(t->where, t->patience, &t->late, &t->tcti)
			  : Tss2_TctiLdr_Initialize(t->where, &t->tcti);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Initialize(&t->esys, t->tcti, NULL);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Startup(t->esys, TPM2_SU_CLEAR);
	if (rc == TSS2_RC_SUCCESS || cof_tpm_is(rc, TPM2_RC_INITIALIZE)) {
		if (t->broke && by_socket(t)) {
			/* tss2's name for it shifts into the sign */
			flush_left(t, (TPM2_HC)TPM2_HT_TRANSIENT << TPM2_HR_SHIFT);
			flush_left(t, TPM2_LOADED_SESSION_FIRST);
		}
		t->broke = false;
		return 0;
	}
	disconnect(t);
	return gone(t, rc, diag);
}

/* A broken socket is an error code here, not the end of the process. */
static int quietly(struct cof_tpm *t, cof_tpm_fn fn, void *arg, struct cof_diag *diag)
{
	struct timespec none = {0};
	sigset_t pipes, old, pending;
	bool before;
	int r;

	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	sigpending(&pending);
	before = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipes, &old);
	r = connect_to(t, diag);
	if (r == 0)
		r = fn(t, arg, diag);
	while (t->n_held) /* newest first; a broken connection gives all back by itself */
		cof_tpm_release(t, t->held[t->n_held - 1].tr);
	t->broke |= t->late || t->cause == COF_TPM_DROPPED || t->cause == COF_TPM_RESET;
	if (t->broke)
		disconnect(t);
	if (!before)
		while (sigtimedwait(&pipes, NULL, &none) > 0)
			;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

int cof_tpm_round(struct cof_tpm *t, cof_tpm_fn fn, void *arg, bool again, struct cof_diag *diag)
{
	int r;

	t->cause = COF_TPM_OK;
	t->late = false;
	r = quietly(t, fn, arg, diag);
	if (again && (t->cause == COF_TPM_DROPPED || t->cause == COF_TPM_RESET)) {
		t->cause = COF_TPM_OK;
		r = quietly(t, fn, arg, diag);
	}
	return r;
}

static int nothing(struct cof_tpm *t COF_UNUSED, void *arg COF_UNUSED,
		   struct cof_diag *diag COF_UNUSED)
{
	return 0;
}

int cof_tpm_open(const char *where, struct cof_tpm **ret, struct cof_diag *diag)
{
	static const atomic_int patience = 60000; /* making a key takes seconds */

	return cof_tpm_open_within(where, &patience, ret, diag);
}

int cof_tpm_open_within(const char *where, const atomic_int *patience_ms, struct cof_tpm **ret,
			struct cof_diag *diag)
{
	cof_autotpm struct cof_tpm *t = NULL;
	int r;

	where = where ? where : COF_TPM_DEVICE;
	if (!where_ok(where) || strlen(where) >= sizeof(t->where))
		return cof_fail(diag, -EINVAL,
				"'%.100s' names no TPM: device:/dev/tpmrm0, swtpm:host=…,port=… or the "
				"path of a socket is wanted",
				where);
	t = calloc(1, sizeof(*t));
	if (!t)
		return cof_fail(diag, -ENOMEM, "out of memory");
	t->patience = patience_ms;
	setenv("TSS2_LOG", "all+none", 0);
	snprintf(t->where, sizeof(t->where), "%s", where);
	r = cof_tpm_round(t, nothing, NULL, false, diag);
	if (r < 0)
		return r;
	*ret = t;
	t = NULL;
	return 0;
}

void cof_tpm_free(struct cof_tpm *t)
{
	if (!t)
		return;
	disconnect(t);
	free(t);
}

void cof_tpm_freep(struct cof_tpm **t)
{
	cof_tpm_free(*t);
}

enum cof_tpm_cause cof_tpm_cause(const struct cof_tpm *t)
{
	return t->cause;
}

uint32_t cof_tpm_changed(const struct cof_tpm *t)
{
	return t->changed;
}

/* ---- handles ---- */

void cof_tpm_hold(struct cof_tpm *t, ESYS_TR tr, bool flush)
{
	if (t->n_held == COF_TPM_HELD) /* a round holds at most five */
		abort();
	t->held[t->n_held].tr = tr;
	t->held[t->n_held++].flush = flush;
}

void cof_tpm_release(struct cof_tpm *t, ESYS_TR tr)
{
	for (unsigned i = 0; i < t->n_held; i++) {
		if (t->held[i].tr != tr)
			continue;
		if (t->esys && !t->late && t->cause != COF_TPM_DROPPED && t->cause != COF_TPM_RESET) {
			/* a failure means that a reset took it already, or that the line broke: then
			 * the connection is of no more use, but what was asked for was done */
			if (t->held[i].flush)
				t->broke |= Esys_FlushContext(t->esys, tr) != TSS2_RC_SUCCESS;
			else
				(void)Esys_TR_Close(t->esys, &tr);
		}
		memmove(t->held + i, t->held + i + 1, (t->n_held - i - 1) * sizeof(t->held[0]));
		t->n_held--;
		return;
	}
}

/* ---- what tss2 leaves behind ---- */

static void scrub_block(void *block, const void *secret, size_t n)
{
	size_t size = block ? malloc_usable_size(block) : 0;
	uint8_t *at = block, *hit;

	if (!block)
		return;
	while (size >= n && (hit = memmem(at, size, secret, n)) != NULL) {
		explicit_bzero(hit, n);
		size -= (size_t)(hit + n - at);
		at = hit + n;
	}
}

static __attribute__((noinline)) void scrub_stack(void)
{
	uint8_t below[16384];

	explicit_bzero(below, sizeof(below));
}

void cof_tpm_scrub(struct cof_tpm *t, const void *secret, size_t n)
{
	TSS2_SYS_CONTEXT *sys = NULL;

	scrub_stack();
	if (!t->esys)
		return;
	scrub_block(t->esys, secret, n);
	if (Esys_GetSysContext(t->esys, &sys) == TSS2_RC_SUCCESS)
		scrub_block(sys, secret, n);
}

/* ---- codes ---- */

bool cof_tpm_is(TSS2_RC rc, TPM2_RC code)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return false;
	rc &= 0xfff;
	if (rc & TPM2_RC_FMT1) /* bits 8 to 11 and 6 name a handle, session or parameter */
		rc &= 0xbf;
	return rc == code;
}

static enum cof_tpm_cause cause_of(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;

	if (layer == TSS2_TCTI_RC_LAYER || layer == TSS2_RESMGR_RC_LAYER)
		return COF_TPM_DROPPED;
	if (rc == TSS2_ESYS_RC_BAD_SEQUENCE) /* a handle could not be given back: the line broke then */
		return COF_TPM_DROPPED;
	if (rc == TSS2_ESYS_RC_RSP_AUTH_FAILED || rc == TSS2_ESYS_RC_MALFORMED_RESPONSE ||
	    cof_tpm_is(rc, TPM2_RC_INTEGRITY))
		return COF_TPM_ALTERED;
	if (rc == TSS2_SYS_RC_MALFORMED_RESPONSE || rc == TSS2_SYS_RC_INSUFFICIENT_RESPONSE)
		return COF_TPM_DROPPED;
	for (unsigned i = 0; i < 7; i++)
		if (cof_tpm_is(rc, TPM2_RC_REFERENCE_H0 + i) ||
		    cof_tpm_is(rc, TPM2_RC_REFERENCE_S0 + i))
			return COF_TPM_RESET;
	if (cof_tpm_is(rc, TPM2_RC_INITIALIZE))
		return COF_TPM_RESET;
	if (cof_tpm_is(rc, TPM2_RC_LOCKOUT))
		return COF_TPM_LOCKED;
	if (cof_tpm_is(rc, TPM2_RC_NV_SPACE) || cof_tpm_is(rc, TPM2_RC_OBJECT_MEMORY) ||
	    cof_tpm_is(rc, TPM2_RC_SESSION_MEMORY) || cof_tpm_is(rc, TPM2_RC_MEMORY))
		return COF_TPM_FULL;
	if (cof_tpm_is(rc, TPM2_RC_HANDLE))
		return COF_TPM_NO_INDEX;
	return COF_TPM_OTHER;
}

static int errno_of(enum cof_tpm_cause cause)
{
	static const int table[] = {
	    [COF_TPM_OK] = 0,
	    [COF_TPM_GONE] = -ENODEV,
	    [COF_TPM_DROPPED] = -EPIPE,
	    [COF_TPM_RESET] = -EAGAIN,
	    [COF_TPM_LOCKED] = -EACCES,
	    [COF_TPM_CLEARED] = -ENOKEY,
	    [COF_TPM_EXCHANGED] = -EXDEV,
	    [COF_TPM_CHANGED] = -EKEYREJECTED,
	    [COF_TPM_PIN] = -EKEYREJECTED,
	    [COF_TPM_COUNTER] = -ESTALE,
	    [COF_TPM_NO_INDEX] = -ENOENT,
	    [COF_TPM_FOREIGN] = -EUCLEAN,
	    [COF_TPM_OWNER] = -EPERM,
	    [COF_TPM_FULL] = -ENOBUFS, /* ENOSPC is the disk's */
	    [COF_TPM_ALTERED] = -EBADMSG,
	    [COF_TPM_OTHER] = -EIO,
	};

	return table[cause];
}

int cof_tpm_because(struct cof_tpm *t, enum cof_tpm_cause cause, struct cof_diag *diag,
		    const char *fmt, ...)
{
	char text[sizeof(diag->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	t->cause = cause;
	return cof_fail(diag, errno_of(cause), "%s", text);
}

static const char *advice(enum cof_tpm_cause cause)
{
	switch (cause) {
	case COF_TPM_DROPPED:
		return "the connection to it broke; the next command connects anew: try again";
	case COF_TPM_RESET:
		return "it was reset in the middle; try again";
	case COF_TPM_LOCKED:
		return "it is locked out after wrong PINs: wait (coffer seal show STORE says how "
		       "long), or let its owner reset the lockout: tpm2_dictionarylockout -c";
	case COF_TPM_FULL:
		return "it has no room left: list what is there with tpm2_getcap handles-nv-index and "
		       "handles-transient, and remove what nobody needs";
	case COF_TPM_ALTERED:
		return "what was sealed was altered, or something between this program and the TPM "
		       "alters its answers: restore seal/ from a copy, or: coffer recover STORE";
	case COF_TPM_NO_INDEX:
		return "it was removed, or the TPM was cleared; if nobody can say why, treat the host "
		       "as compromised: coffer recover STORE";
	case COF_TPM_OTHER:
		return "see what tpm2_getcap properties-variable says of it";
	default:
		return "coffer seal show STORE tells more";
	}
}

int cof_tpm_rc(struct cof_tpm *t, TSS2_RC rc, const char *what, struct cof_diag *diag)
{
	enum cof_tpm_cause cause;

	if (rc == TSS2_RC_SUCCESS)
		return 0;
	if (t->late)
		return too_late(t, diag);
	cause = cause_of(rc);
	return cof_tpm_because(t, cause, diag, "the TPM at %s: %s (%s, 0x%x): %s", t->where, what,
			       Tss2_RC_Decode(rc), rc, advice(cause));
}
