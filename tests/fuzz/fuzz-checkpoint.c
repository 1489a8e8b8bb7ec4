/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of checkpoints and verifier keys: what is accepted is the one text for what it says. */
#include "fuzz.h"

#include "crypto/note.h"

const unsigned fuzz_runs = 150000;

static void init(void)
{
	static bool done;

	if (!done)
		fuzz_check(cof_crypto_init(1 << 20, NULL) == 0);
	done = true;
}

/* One text for one tree head, one text for one key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf text = {0}, copy = {0};
	struct cof_checkpoint cp;
	struct cof_vkey key;
	char out[COF_VKEY_MAX];

	init();
	if (cof_checkpoint_parse((const char *)data, n, &cp) == 0 &&
	    cof_checkpoint_text(&cp, &text) == 0)
		fuzz_check(text.len == n && !memcmp(text.data, data, n));
	cof_buf_add(&copy, data, n);
	cof_buf_add(&copy, "", 1);
	if (!copy.failed && cof_vkey_parse((char *)copy.data, &key) == 0) {
		cof_vkey_text(&key, out);
		fuzz_check(!strcmp(out, (char *)copy.data));
	}
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("coffer.example/log1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n");
	fuzz_seed_text("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
	fuzz_seed_text(
	    "\xc3\xbc\n9223372036854775807\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n");
	fuzz_seed_text("coffer.example/log1+ee681436+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");
	fuzz_seed_text("witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X");
}
