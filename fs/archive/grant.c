/* SPDX-License-Identifier: Apache-2.0 */
/* What people may request: the table of actions. */
#include "fs/archive/grant.h"

const struct cof_action *const cof_actions[] = {
    NULL,
};

const struct cof_action *cof_action_find(const char *name)
{
	for (size_t i = 0; name && cof_actions[i]; i++)
		if (!strcmp(cof_actions[i]->name, name))
			return cof_actions[i];
	return NULL;
}
