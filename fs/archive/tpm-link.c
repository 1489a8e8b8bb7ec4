/* SPDX-License-Identifier: Apache-2.0 */
/* The open archive's connection to its TPM, shared by the seal, the anchor and the clocks. */
#include "fs/archive/tpm-link.h"

#include <pthread.h>

#define PATIENCE 10000 /* commands of a mounted archive take milliseconds */
#define PATIENCE_CLOSING 3000

struct cof_tpm_link {
	char *where; /* NULL: the device */
	atomic_int patience; /* ms */
	atomic_bool closing, given_up;
	pthread_mutex_t use; /* held while the TPM answers */
	struct cof_tpm *tpm; /* under use; NULL: not reached yet */
	pthread_mutex_t told; /* leaf: guards what follows */
	int err;
	struct cof_diag said;
};

int cof_tpm_link_new(const char *where, struct cof_tpm_link **ret)
{
	struct cof_tpm_link *l = calloc(1, sizeof(*l));

	if (l && where)
		l->where = strdup(where);
	if (!l || (where && !l->where)) {
		free(l);
		return -ENOMEM;
	}
	atomic_init(&l->patience, PATIENCE);
	pthread_mutex_init(&l->use, NULL);
	pthread_mutex_init(&l->told, NULL);
	*ret = l;
	return 0;
}

void cof_tpm_link_free(struct cof_tpm_link *l)
{
	if (!l)
		return;
	cof_tpm_free(l->tpm);
	pthread_mutex_destroy(&l->use);
	pthread_mutex_destroy(&l->told);
	free(l->where);
	free(l);
}

const char *cof_tpm_link_where(const struct cof_tpm_link *l)
{
	return l->where ? l->where : COF_TPM_DEVICE;
}

static void tell(struct cof_tpm_link *l, int err, const struct cof_diag *why)
{
	pthread_mutex_lock(&l->told);
	l->err = err;
	l->said = *why;
	pthread_mutex_unlock(&l->told);
}

int cof_tpm_link_use(struct cof_tpm_link *l, cof_tpm_use_fn fn, void *arg,
		     enum cof_tpm_cause *ret_cause, struct cof_diag *diag)
{
	enum cof_tpm_cause cause = COF_TPM_GONE;
	struct cof_diag why = {""};
	int r = 0;

	pthread_mutex_lock(&l->use);
	if (atomic_load(&l->given_up))
		r = cof_fail(&why, -ENODEV, "the TPM at %s did not answer, and the archive is being closed",
			     cof_tpm_link_where(l));
	else if (!l->tpm)
		r = cof_tpm_open_within(l->where, &l->patience, &l->tpm, &why);
	if (r == 0) {
		r = fn(l->tpm, arg, &why);
		cause = cof_tpm_cause(l->tpm);
	}
	/* Without the kernel's resource manager one program at a time is served: make room for the next. */
	if (strncmp(cof_tpm_link_where(l), "device:", 7) != 0 || cause == COF_TPM_GONE ||
	    cause == COF_TPM_DROPPED || cause == COF_TPM_RESET) {
		cof_tpm_free(l->tpm);
		l->tpm = NULL;
	}
	if (r < 0 && cause == COF_TPM_GONE && atomic_load(&l->closing))
		atomic_store(&l->given_up, true);
	pthread_mutex_unlock(&l->use);
	tell(l, r, &why);
	if (ret_cause)
		*ret_cause = cause;
	return r < 0 ? cof_fail(diag, r, "%s", why.text[0] ? why.text : strerror(-r)) : r;
}

void cof_tpm_link_closing(struct cof_tpm_link *l)
{
	if (!l)
		return;
	atomic_store(&l->closing, true);
	atomic_store(&l->patience, PATIENCE_CLOSING);
}

int cof_tpm_link_said(struct cof_tpm_link *l, struct cof_diag *ret)
{
	int err;

	pthread_mutex_lock(&l->told);
	err = l->err;
	*ret = l->said;
	pthread_mutex_unlock(&l->told);
	return err;
}

static int clock_use(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	return cof_tpm_clock_read(t, arg, diag);
}

int cof_tpm_link_clock(struct cof_tpm_link *l, struct cof_tpm_clock *ret, struct cof_diag *diag)
{
	struct cof_tpm_clock clock = {0};
	int r = cof_tpm_link_use(l, clock_use, &clock, NULL, diag);

	if (r == 0)
		*ret = clock;
	return r;
}
