/* SPDX-License-Identifier: Apache-2.0 */
/* archive.conf from any bytes: no crash, and what is accepted is its own one text. */
#include "fuzz.h"

#include "fs/log/log.h"

const unsigned fuzz_runs = 40000;

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

void fuzz_seeds(void)
{
	static const uint64_t sizes[] = {65536, 64u << 20, 1u << 30};
	static const char *const names[] = {"a", "coffer.example/log1", "\xc3\xbc"};
	uint8_t key[32] = {1};

	fuzz_check(cof_crypto_init(1 << 20, NULL) == 0);
	for (size_t i = 0; i < COF_COUNT(sizes); i++) {
		struct cof_buf text COF_CLEANUP(cof_buf_done) = {0};
		struct cof_conf conf = {.id = {(uint8_t)i, 2}, .segment_size = (uint32_t)sizes[i]};

		conf.created = (int64_t)i * 1700000000 * COF_NSEC;
		fuzz_check(cof_vkey_make(names[i], COF_NOTE_ED25519, key, &conf.vkey) == 0);
		fuzz_check(cof_conf_text(&conf, &text) == 0);
		fuzz_seed(text.data, text.len);
	}
}
