/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of events that people are told of at once, a line each, as the table in fs/rules has them. */
#include "fs/rules/catalogue.h"

#include <stdio.h>

int main(void)
{
	const struct cof_event_type *t;
	size_t n = cof_event_types(&t);

	for (size_t i = 0; i < n; i++)
		if (t[i].alarm != COF_ALARM_NEVER)
			puts(t[i].name);
	return 0;
}
