/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tss2 loads what speaks to a device when it connects. Who gives up the right to map code before
 * that (fs/guard) has it loaded first; tss2 then finds it under the same name. For a socket nothing is
 * loaded (tpm-socket.c).
 */
#include <dlfcn.h>

#include "crypto/tpm.h"

int cof_tpm_load(const char *where, struct cof_diag *diag)
{
	static const char name[] = "libtss2-tcti-device.so.0";

	/* Never closed: RTLD_NODELETE. */
	if (!strncmp(where, "device:", 7) && !dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
		return cof_fail(diag, -ENOENT, "%s, by which a TPM is reached, cannot be loaded: %s", name,
				dlerror());
	return 0;
}
