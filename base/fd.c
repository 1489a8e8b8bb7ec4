/* SPDX-License-Identifier: Apache-2.0 */
/* Whole descriptors: everything or an error. */
#include "base/base.h"

int cof_write_all(int fd, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n) {
		ssize_t w = write(fd, b, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		if (!w)
			return -EIO;
		b += w;
		n -= (size_t)w;
	}
	return 0;
}

int cof_read_all(int fd, void *p, size_t cap, size_t *ret_n)
{
	uint8_t *b = p, more;
	size_t n = 0;

	for (;;) {
		/* with the buffer full, one byte more tells the end from too much */
		ssize_t r = n < cap ? read(fd, b + n, cap - n) : read(fd, &more, 1);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			break;
		if (n == cap) {
			explicit_bzero(&more, 1);
			return -EFBIG;
		}
		n += (size_t)r;
	}
	*ret_n = n;
	return 0;
}
