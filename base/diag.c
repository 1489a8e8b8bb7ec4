/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence for people that travels with an error code. */
#include "base/base.h"

#include <stdio.h>

/* Formatted aside first, so that the sentence so far may be one of the arguments. */
int cof_fail(struct cof_diag *diag, int err, const char *fmt, ...)
{
	struct cof_diag aside;
	int saved = errno;
	va_list ap;

	if (!diag)
		return err;
	va_start(ap, fmt);
	if (vsnprintf(aside.text, sizeof(aside.text), fmt, ap) < 0)
		aside.text[0] = '\0';
	va_end(ap);
	memcpy(diag->text, aside.text, strlen(aside.text) + 1);
	errno = saved;
	return err;
}
