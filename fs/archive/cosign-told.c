/* SPDX-License-Identifier: Apache-2.0 */
/* What whoever syncs and restores has to say of vaults goes on record as an event, durable when it returns. */
#include "fs/archive/note.h"

static const char *const types[] = {"vault-mended", "vault-alarm", "vault-unreachable", "restore-drill", "restore-drill-failed"};

int cof_archive_vault_told(struct cof_archive *a, const struct cof_who *who, const char *type, const char *vault, const char *detail,
			   struct cof_diag *diag)
{
	struct cof_event e = {.who = who, .path = vault, .detail = detail};
	uint64_t sequence = 0;
	int r = -EINVAL;

	for (size_t i = 0; i < COF_COUNT(types); i++)
		if (!strcmp(type, types[i]))
			e.type = types[i];
	if (!e.type || strlen(vault) > 64 || strlen(detail) > 1000)
		return cof_fail(diag, -EINVAL, "nothing of vaults is told as '%.40s'", type);
	if (!a->log || atomic_load(&a->failed) || !a->mount)
		return cof_fail(diag, -EROFS, "nothing can be recorded in this archive as it is");
	cof_gate_enter(a);
	r = cof_event_emit(a, &e, &sequence);
	cof_gate_leave(a);
	if (r == 0)
		r = cof_log_sync(a->log, sequence);
	return r < 0 ? cof_fail(diag, r, "the event cannot be recorded: %s", strerror(-r)) : 0;
}
