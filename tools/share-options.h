/* SPDX-License-Identifier: Apache-2.0 */
/* Where a quorum's shares come from, as the options of coffer escrow say it: of drill, rotate and recover. */
#ifndef COFFER_SHARE_OPTIONS_H
#define COFFER_SHARE_OPTIONS_H

#include "tools/share-gather.h"
#include "tools/share-read.h"

struct share_sources {
	int fds[COF_CUSTODIANS_MAX], passphrase_fd;
	unsigned n_fds, idle;
};
#define SHARE_SOURCES_INIT                                                                         \
	{                                                                                          \
		.passphrase_fd = -1, .idle = SHARE_IDLE                                            \
	}
/* Three options of a verb, from `at` on; when: before their help, whose: passphrase. */
enum share_option { SHARES_FD, SHARES_PASSPHRASE_FD, SHARES_IDLE, SHARES_COUNT };
#define SHARE_OPTIONS(at, when, whose)                                                             \
	[(at) + SHARES_FD] =                                                                       \
	    {"share-fd", "N",                                                                      \
	     when "reads a share's words from descriptor N instead of the terminal; several"},     \
	[(at) + SHARES_PASSPHRASE_FD] =                                                            \
	    {"epoch-passphrase-fd", "N",                                                           \
	     when whose " passphrase, where it has one, from descriptor N"},                       \
	[(at) + SHARES_IDLE] = {                                                                   \
	    "idle", "SECONDS",                                                                     \
	    "ends when nobody typed on the terminal for so long; 0: never (900)"}
static inline bool share_is_option(int option, int at)
{
	return option >= at && option < at + SHARES_COUNT;
}
int share_take_option(struct share_sources *s, enum share_option option); /* optarg: EXIT_OK, or what misuse gives */
/* Of a struct share_gathering. */
#define SHARES_OF(s) .fds = (s)->fds, .n_fds = (s)->n_fds, .passphrase_fd = (s)->passphrase_fd, .idle = (s)->idle

#endif
