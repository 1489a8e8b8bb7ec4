/* SPDX-License-Identifier: Apache-2.0 */
/* LEB128 of unsigned 64-bit numbers: seven bits a byte, lowest first. One form each: the shortest.
 */
#include "base/base.h"

#define VARINT_MAX 10

size_t cof_varint_put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

int cof_varint_get(const uint8_t *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < COF_MIN(n, (size_t)VARINT_MAX); i++) {
		if (i == VARINT_MAX - 1 && p[i] > 1)
			return -EUCLEAN; /* more than 64 bits */
		v |= (uint64_t)(p[i] & 0x7f) << 7 * i;
		if (p[i] & 0x80)
			continue;
		if (i && !p[i])
			return -EUCLEAN; /* longer than needed */
		*ret = v;
		return (int)i + 1;
	}
	return -EUCLEAN;
}
