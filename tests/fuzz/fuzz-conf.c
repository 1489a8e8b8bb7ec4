/* SPDX-License-Identifier: Apache-2.0 */
/* archive.conf from any bytes: no crash, and what is accepted is its own one text. */
#include "fs/log/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cof_buf again COF_CLEANUP(cof_buf_done) = {0};
	struct cof_conf conf;
	static bool ready;
	struct cof_diag d;

	if (!ready && cof_crypto_init(1 << 20, NULL) < 0)
		return 0;
	ready = true;
	if (cof_conf_parse((const char *)data, size, &conf, &d) < 0)
		return 0;
	if (cof_conf_text(&conf, &again) < 0 || again.len != size ||
	    memcmp(again.data, data, size) != 0)
		__builtin_trap();
	if (conf.segment_size < 65536 || conf.segment_size > 1u << 30 || conf.segment_size % 4096)
		__builtin_trap();
	return 0;
}
