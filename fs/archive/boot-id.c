/* SPDX-License-Identifier: Apache-2.0 */
/* Which boot this is. Apart from the clocks, so that the simulation can boot as often as it likes. */
#include "fs/archive/internal.h"

#include <fcntl.h>

int cof_boot_id(uint8_t ret[16])
{
	cof_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[64], hex[33];
	uint8_t id[16];
	size_t n = 0, digits = 0;
	int r;

	if (fd < 0)
		return -errno;
	r = cof_read_all(fd, text, sizeof(text), &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && digits < 32; i++)
		if (text[i] != '-' && text[i] != '\n')
			hex[digits++] = text[i];
	if (digits != 32)
		return -EUCLEAN;
	r = cof_unhex(hex, 32, id);
	if (r < 0)
		return r;
	memcpy(ret, id, sizeof(id));
	return 0;
}
