/* SPDX-License-Identifier: Apache-2.0 */
/* Private to coffer init: what is to be made (cmd-init.c) and what is said of it (init-say.c). */
#ifndef COFFER_INIT_H
#define COFFER_INIT_H

#include "fs/archive/archive.h"
#include "tools/opener.h"
#include "tools/recovery.h"

#define SHELVES_MAX 64

struct init {
	struct opener_args opener_args;
	const char *origin, *auditor; /* auditor: the file, or NULL */
	const char *owner;	      /* to whom STORE is given, or NULL */
	struct {
		const char *shelf, *file;
	} policies[2 * SHELVES_MAX];
	size_t n_policies;
	const char *profile_name; /* NULL: none */
	struct cof_profile_file profile;
	struct cof_shelf_spec shelves[SHELVES_MAX];
	size_t n_shelves;
	uint64_t segment_size;
	uint32_t flags;
	bool tpm2, no_recovery;
	struct recovery recovery;

	/* as it goes on */
	char *store; /* absolute */
	bool made_store;
	struct cof_io *io;
	struct opener opener;
	int auditor_fd; /* -1: none */
	bool made_auditor;
	struct cof_auditor *auditor_secret; /* secure memory */
	struct recovery auditors; /* recipients of seal/auditor.age */
};

/* A name for the log when none was given: HOST/STORE, with what a key name cannot hold replaced. */
char *default_origin(const char *host, const char *store);
/* What programs on this host are told so that their records come here. */
void init_say_sources(const struct init *in, const char *point);
void init_say(const struct init *in, const struct cof_conf *conf);

#endif
