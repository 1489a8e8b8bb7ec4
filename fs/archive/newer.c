/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads that this archive's own key signed, and that its log does not have: the store was put back to an older state, or
 * copied, and the log went on elsewhere. What is written then is another history, which no vault takes. A vault that has
 * more shows such a head at a sync, which keeps it as STORE/vaults/NAME.newer and tells the daemon; NAME.note, what the
 * vault signed last, is one too where only the log was put back. Nothing is appended as long as one is there.
 */
#include "fs/archive/people.h"

#include <stdio.h>

#define NEWER ".newer"
#define SIGNED ".note"

enum found { HERE, BEHIND, FORKED };

/* Whether the log of so many frames has this head. Where its stored hashes do not say, its size counts alone. */
static int judge(struct cof_archive *a, const void *note, size_t n, uint64_t frames, struct cof_checkpoint *head, enum found *ret)
{
	uint8_t root[COF_HASH];
	int r = cof_checkpoint_open(note, n, &a->conf.vkey, head);

	if (r < 0)
		return r;
	*ret = head->size > frames ? BEHIND : HERE;
	if (*ret == HERE && cof_tree_head(a->io, head->size, root) == 0 && !cof_equal(root, head->root, COF_HASH))
		*ret = FORKED;
	return 0;
}

static void sentence(struct cof_archive *a, const char *vault, uint64_t size, uint64_t frames, enum found found, struct cof_diag *ret)
{
	if (found == BEHIND)
		cof_fail(ret, 0,
			 "Vault %.48s has %llu frames that this archive signed, and here are %llu: this store was put back to an older state, "
			 "and what is written now is another history. Take what is missing from the vault: coffer restore to a new "
			 "store, then coffer recover (%s/vaults/%.48s" NEWER " is the vault's head)",
			 vault, (unsigned long long)size, (unsigned long long)frames, cof_io_where(a->io), vault);
	else
		cof_fail(ret, 0,
			 "Vault %.48s has %llu frames of another history that this archive signed: this store was copied or put back to an "
			 "older state, and written to. The vault takes nothing of it. Restore the vault's history to a new store; or, "
			 "if this one is to go on, remove %s/vaults/%.48s" NEWER,
			 vault, (unsigned long long)size, cof_io_where(a->io), vault);
}

/* ---- while it is open ---- */

int cof_archive_newer(struct cof_archive *a, const char *vault, const void *note, size_t n, struct cof_diag *diag)
{
	struct cof_checkpoint head;
	struct cof_diag why = {""};
	enum found found = HERE;
	uint64_t frames = cof_archive_frames(a);
	int none = 0, r = n <= COF_NOTE_MAX ? judge(a, note, n, frames, &head, &found) : -EUCLEAN;

	if (r < 0)
		return cof_fail(diag, -EKEYREJECTED, "what vault '%.60s' shows is no head that this archive signed", vault);
	if (found == HERE)
		return cof_fail(diag, -EEXIST, "this log has the head of %llu frames that vault '%.60s' shows", (unsigned long long)head.size,
				vault);
	if (!a->log || atomic_load(&a->failed))
		return 0;
	sentence(a, vault, head.size, frames, found, &why);
	atomic_compare_exchange_strong(&a->failed, &none, -EROFS);
	cof_fault(a, "The archive is read-only from now on. %s", why.text);
	cof_faults_write(a);
	return 0;
}

/* ---- when it is opened ---- */

struct looking {
	struct cof_archive *a;
	uint64_t most; /* frames of the head that tells of most */
	struct cof_diag *why;
};

static int look(void *user, const char *file)
{
	struct looking *l = user;
	struct cof_archive *a = l->a;
	uint64_t frames = a->opened.recovered.size;
	const char *dot = strrchr(file, '.');
	cof_autofree uint8_t *note = NULL;
	struct cof_checkpoint head;
	enum found found = HERE;
	char path[96], vault[64];
	size_t n = 0;

	if (!dot || (strcmp(dot, NEWER) != 0 && strcmp(dot, SIGNED) != 0) || strlen(file) >= sizeof(vault))
		return 0;
	snprintf(path, sizeof(path), "vaults/%.64s", file);
	snprintf(vault, sizeof(vault), "%.*s", (int)(dot - file), file);
	if (cof_io_load(a->io, path, COF_NOTE_MAX, &note, &n) < 0 || judge(a, note, n, frames, &head, &found) < 0)
		return 0; /* of no weight: a session brings it anew */
	if (found == HERE || (found == FORKED && !strcmp(dot, SIGNED)) || head.size <= l->most)
		return 0;
	l->most = head.size;
	sentence(a, vault, head.size, frames, found, l->why);
	return 0;
}

bool cof_newer_found(struct cof_archive *a, struct cof_diag *why)
{
	struct looking l = {.a = a, .why = why};

	(void)cof_io_list(a->io, "vaults", look, &l); /* none: there is no vault */
	return l.most != 0;
}
