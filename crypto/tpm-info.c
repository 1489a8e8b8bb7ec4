/* SPDX-License-Identifier: Apache-2.0 */
/* What a TPM says of itself: its clock, its lockout. */
#include "crypto/tpm-private.h"

static int clock_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct cof_tpm_clock *ret = arg;
	TPMS_TIME_INFO *info = NULL;
	TSS2_RC rc = Esys_ReadClock(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &info);

	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "its clock cannot be read", diag);
	*ret = (struct cof_tpm_clock){.clock_ms = info->clockInfo.clock,
				      .time_ms = info->time,
				      .resets = info->clockInfo.resetCount,
				      .restarts = info->clockInfo.restartCount,
				      .safe = info->clockInfo.safe == TPM2_YES};
	Esys_Free(info);
	return 0;
}

int cof_tpm_clock_read(struct cof_tpm *t, struct cof_tpm_clock *ret, struct cof_diag *diag)
{
	return cof_tpm_round(t, clock_round, ret, true, diag);
}

int cof_tpm_lockout_get(struct cof_tpm *t, struct cof_tpm_lockout *ret, struct cof_diag *diag)
{
	struct cof_tpm_lockout l = {0};
	TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more = 0;
	TSS2_RC rc = Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					TPM2_CAP_TPM_PROPERTIES, TPM2_PT_PERMANENT, 32, &more, &data);

	if (rc != TSS2_RC_SUCCESS)
		return cof_tpm_rc(t, rc, "its lockout cannot be read", diag);
	for (uint32_t i = 0; i < data->data.tpmProperties.count; i++) {
		const TPMS_TAGGED_PROPERTY *p = &data->data.tpmProperties.tpmProperty[i];

		if (p->property == TPM2_PT_PERMANENT)
			l.locked = p->value & TPMA_PERMANENT_INLOCKOUT;
		else if (p->property == TPM2_PT_LOCKOUT_COUNTER)
			l.failures = p->value;
		else if (p->property == TPM2_PT_MAX_AUTH_FAIL)
			l.max = p->value;
		else if (p->property == TPM2_PT_LOCKOUT_INTERVAL)
			l.interval_s = p->value;
	}
	Esys_Free(data);
	*ret = l;
	return 0;
}

static int lockout_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	return cof_tpm_lockout_get(t, arg, diag);
}

int cof_tpm_lockout_read(struct cof_tpm *t, struct cof_tpm_lockout *ret, struct cof_diag *diag)
{
	return cof_tpm_round(t, lockout_round, ret, true, diag);
}
