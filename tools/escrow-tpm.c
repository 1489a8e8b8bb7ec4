/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/escrow-tpm.h"

#include <stdio.h>

void escrow_tpm_digest(const uint8_t point[COF_P256_POINT], char ret[2 * COF_HASH + 1])
{
	static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
				       0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
	struct iovec der[2] = {{(void *)(uintptr_t)head, sizeof(head)}, {(void *)(uintptr_t)point, COF_P256_POINT}};
	uint8_t digest[COF_HASH];

	cof_sha256v(der, 2, digest);
	cof_hex(digest, COF_HASH, ret);
}

/* What its detail says is held against what was approved. */
static bool read_point(const struct cof_json *o, uint8_t ret[COF_P256_POINT])
{
	const char *text = ledger_text(o, "detail");
	cof_autojson struct cof_json *detail = NULL;
	char digest[2 * COF_HASH + 1];
	const char *point;

	if (cof_json_parse(text, strlen(text), &detail) < 0)
		return false;
	point = ledger_text(detail, "point");
	if (strlen(point) != 2 * (size_t)COF_P256_POINT || cof_unhex(point, strlen(point), ret) < 0)
		return false;
	escrow_tpm_digest(ret, digest);
	return !strcmp(digest, ledger_text(o, "public_key"));
}

bool escrow_tpm_key(const struct ledger *l, const char *name, uint8_t ret[COF_P256_POINT])
{
	for (size_t i = l->n_records; i-- > 0;) {
		const struct cof_json *o = l->record[i];
		const char *what = ledger_what(o);

		if ((strcmp(what, "tpm-key") != 0 && strcmp(what, "tpm-key-revoked") != 0) || strcmp(ledger_text(o, "name"), name) != 0)
			continue;
		return !strcmp(what, "tpm-key") && read_point(o, ret);
	}
	return false;
}

bool escrow_tpm_counts(const struct ledger *l, const struct cof_quorum_person *p)
{
	uint8_t point[COF_P256_POINT];

	return escrow_tpm_key(l, p->name, point) && !memcmp(point, p->point, sizeof(point));
}

static struct cof_json *listed(const struct cof_json *list, const char *name)
{
	for (size_t i = 0; i < cof_json_count(list); i++)
		if (!strcmp(ledger_text(cof_json_at(list, i), "name"), name))
			return cof_json_at(list, i);
	return NULL;
}

int escrow_tpm_list(const struct ledger *l, struct cof_json *list)
{
	for (size_t i = 0; i < l->n_records; i++) {
		const struct cof_json *o = l->record[i];
		bool enrolled = !strcmp(ledger_what(o), "tpm-key");
		struct cof_json *one;

		if (!enrolled && strcmp(ledger_what(o), "tpm-key-revoked") != 0)
			continue;
		one = listed(list, ledger_text(o, "name"));
		if (!one) {
			one = cof_json_object();
			if (!one)
				return -ENOMEM;
			cof_json_set_str(one, "kind", "tpm-key");
			cof_json_set_str(one, "name", ledger_text(o, "name"));
			cof_json_append(list, one);
		}
		cof_json_set_str(one, "state", enrolled ? "enrolled" : "revoked");
		cof_json_set_str(one, "since", ledger_text(o, "time"));
		cof_json_set_str(one, "public_key", ledger_text(o, "public_key"));
	}
	return 0;
}

const struct cof_json *escrow_tpm_ended(const struct ledger *l, const struct cof_quorum *q)
{
	uint8_t epoch[COF_HASH];
	char hex[2 * COF_HASH + 1];

	cof_quorum_epoch(q, epoch);
	cof_hex(epoch, sizeof(epoch), hex);
	for (size_t i = l->n_records; i-- > 0;)
		if (!strcmp(ledger_what(l->record[i]), "tpm-ended") && !strcmp(ledger_text(l->record[i], "tpm_epoch"), hex))
			return l->record[i];
	return NULL;
}

bool escrow_tpm_raised(const struct ledger *l, const struct cof_json *ended)
{
	for (size_t i = l->n_records; i-- > 0;) {
		const struct cof_json *o = l->record[i];

		if (!strcmp(ledger_what(o), "tpm-raised") && ledger_number(o, "of") == ledger_number(ended, "sequence") &&
		    !strcmp(ledger_text(o, "outcome"), "success"))
			return true;
	}
	return false;
}
