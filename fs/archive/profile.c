/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of the whole archive. */
#include "fs/archive/internal.h"

int cof_archive_policy(struct cof_archive *a COF_UNUSED, struct cof_profile *ret)
{
	cof_profile_default(ret);
	return 0;
}
