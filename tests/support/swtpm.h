/* SPDX-License-Identifier: Apache-2.0 */
/* A software TPM for tests: in a directory of its own, on a Unix socket, started and ended by the test. */
#ifndef COF_TEST_SWTPM_H
#define COF_TEST_SWTPM_H

#include <check.h>
#include <stdbool.h>
#include <sys/types.h>

struct swtpm {
	char dir[64];	 /* its state */
	char socket[96]; /* what cof_tpm_open takes */
	pid_t pid;
};

bool swtpm_installed(void);
/* Runs a test program's one case, which has its tests by now, and ends it: what main returns. 77, which skips the test by name,
 * where swtpm or tpm2-tools are not installed. */
int swtpm_main(const char *name, TCase *c);
/* Each ends the program with a message when it fails: a test without its TPM shows nothing. */
void swtpm_new(struct swtpm *s);	/* a new one, in a new directory, started */
void swtpm_start(struct swtpm *s);	/* again, with the state that is there */
void swtpm_stop(struct swtpm *s);	/* as a power cut; waits until it has ended */
void swtpm_reset(struct swtpm *s);	/* power off and on while it goes on listening */
void swtpm_remove(struct swtpm *s);	/* stop, and its directory with it */
/* Runs a tool of tpm2-tools on it, as a hostile root would: words after the tool's name. */
void swtpm_tool(struct swtpm *s, const char *command);

#endif
