/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/share-options.h"
#include "tools/coffer.h"
#include "tools/opener.h"

int share_take_option(struct share_sources *s, enum share_option option)
{
	switch (option) {
	case SHARES_FD:
		if (s->n_fds == COF_COUNT(s->fds))
			return misuse("--share-fd: at most %zu", COF_COUNT(s->fds));
		return opener_take_fd("--share-fd", &s->fds[s->n_fds++]);
	case SHARES_PASSPHRASE_FD:
		return opener_take_fd("--epoch-passphrase-fd", &s->passphrase_fd);
	default:
		return share_take_idle(&s->idle);
	}
}
