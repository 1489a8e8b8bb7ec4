/* SPDX-License-Identifier: Apache-2.0 */
/* PCRs of the SHA-256 bank: named in text, read, put into a policy. */
#include <stdio.h>

#include "crypto/tpm-private.h"

#define RESETTABLE (1u << 16 | 1u << 23) /* by any program: they measure nothing */

static int bad_list(const char *text, struct cof_diag *diag)
{
	return cof_fail(diag, -EINVAL,
			"'%.80s' is no list of PCRs: numbers from 0 to 23 with commas, such as "
			"0,2,4,7; 4-7 stands for 4,5,6,7",
			text);
}

static int number(const char **at)
{
	int n = 0, digits = 0;

	for (; **at >= '0' && **at <= '9' && digits < 3; (*at)++, digits++)
		n = 10 * n + (**at - '0');
	return digits && n < COF_TPM_PCRS ? n : -1;
}

int cof_tpm_pcrs_parse(const char *text, uint32_t *ret_mask, struct cof_diag *diag)
{
	const char *at = text;
	uint32_t mask = 0;

	for (;;) {
		int from = number(&at), to = from;

		if (from >= 0 && *at == '-') {
			at++;
			to = number(&at);
		}
		if (from < 0 || to < from)
			return bad_list(text, diag);
		for (int i = from; i <= to; i++)
			mask |= 1u << i;
		if (!*at)
			break;
		if (*at++ != ',')
			return bad_list(text, diag);
	}
	if (mask & RESETTABLE)
		return cof_fail(diag, -EINVAL,
				"PCRs 16 and 23 can be reset by any program and guard nothing: leave "
				"them out");
	*ret_mask = mask;
	return 0;
}

void cof_tpm_pcrs_text(uint32_t mask, char out[80])
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < COF_TPM_PCRS; i++)
		if (mask & 1u << i)
			n += (size_t)snprintf(out + n, 80 - n, "%s%d", n ? "," : "", i);
}

void cof_tpm_pcrs_select(uint32_t mask, TPML_PCR_SELECTION *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->count = 1;
	ret->pcrSelections[0].hash = TPM2_ALG_SHA256;
	ret->pcrSelections[0].sizeofSelect = 3;
	for (int i = 0; i < 3; i++)
		ret->pcrSelections[0].pcrSelect[i] = (uint8_t)(mask >> 8 * i);
}

void cof_tpm_pcrs_digest(const struct cof_tpm_pcrs *p, TPM2B_DIGEST *ret)
{
	struct iovec iov[COF_TPM_PCRS];
	int n = 0;

	for (int i = 0; i < COF_TPM_PCRS; i++)
		if (p->mask & 1u << i)
			iov[n++] = (struct iovec){(void *)p->value[i], COF_HASH};
	ret->size = COF_HASH;
	cof_sha256v(iov, n, ret->buffer);
}

int cof_tpm_pcrs_get(struct cof_tpm *t, uint32_t mask, struct cof_tpm_pcrs *ret,
		     struct cof_diag *diag)
{
	struct cof_tpm_pcrs p = {.mask = mask};
	uint32_t left = mask;

	while (left) { /* it gives at most eight at once */
		TPML_PCR_SELECTION want, *got = NULL;
		TPML_DIGEST *values = NULL;
		uint32_t now = 0, used = 0;
		TSS2_RC rc;

		cof_tpm_pcrs_select(left, &want);
		rc = Esys_PCR_Read(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &want, NULL,
				   &got, &values);
		if (rc != TSS2_RC_SUCCESS)
			return cof_tpm_rc(t, rc, "its PCRs cannot be read", diag);
		for (int i = 0; got->count && i < 3; i++)
			now |= (uint32_t)got->pcrSelections[0].pcrSelect[i] << 8 * i;
		now &= left;
		for (int i = 0; i < COF_TPM_PCRS; i++) {
			if (!(now & 1u << i) || used == values->count)
				continue;
			if (values->digests[used].size == COF_HASH) {
				memcpy(p.value[i], values->digests[used].buffer, COF_HASH);
				left &= ~(1u << i);
			}
			used++;
		}
		Esys_Free(got);
		Esys_Free(values);
		if (!used)
			return cof_tpm_because(
			    t, COF_TPM_OTHER, diag,
			    "the TPM at %s keeps no SHA-256 PCRs: switch that bank on in the "
			    "firmware (tpm2_pcrallocate), then reboot",
			    t->where);
	}
	*ret = p;
	return 0;
}

struct read_args {
	uint32_t mask;
	struct cof_tpm_pcrs *ret;
};

static int read_round(struct cof_tpm *t, void *arg, struct cof_diag *diag)
{
	struct read_args *a = arg;

	return cof_tpm_pcrs_get(t, a->mask, a->ret, diag);
}

int cof_tpm_pcrs_read(struct cof_tpm *t, uint32_t mask, struct cof_tpm_pcrs *ret,
		      struct cof_diag *diag)
{
	struct read_args a = {mask, ret};

	if (!mask || mask >> COF_TPM_PCRS || mask & RESETTABLE)
		return cof_fail(diag, -EINVAL, "these PCRs cannot be used");
	return cof_tpm_round(t, read_round, &a, true, diag);
}
