/* SPDX-License-Identifier: Apache-2.0 */
/* INI text: whatever is in it, keys come in the order of their lines, and an error names a line. */
#include "fuzz.h"

#include "base/base.h"

const unsigned fuzz_runs = 60000;

struct seen {
	int line, calls;
	size_t n;
};

static int note(void *user, const char *section, const char *key, const char *value, int line)
{
	struct seen *s = user;

	fuzz_check(line >= s->line && line > 0);
	fuzz_check(strlen(section) + strlen(key) + strlen(value) <= s->n);
	s->line = line;
	return ++s->calls > 50 ? -EDOM : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_diag d = {""};
	struct seen s = {.n = n};
	int err = cof_ini_parse((const char *)data, n, note, &s, &d);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -ENOMEM ||
		   (err == -EDOM && s.calls == 51));
	fuzz_check(err != -EUCLEAN || d.text[0]);
	fuzz_check(memchr(d.text, 0, sizeof(d.text)));
	return 0;
}

void fuzz_seeds(void)
{
	char line[4200];

	fuzz_seed_text("format = 1\nid = 00112233445566778899aabbccddeeff\norigin = a/b\n");
	fuzz_seed_text(
	    "# remark\n[section]\nkey = value ; no remark\n\n; remark\n  indented = x\n");
	fuzz_seed_text("[a]\r\nk=\r\nk = v = w\r\n");
	fuzz_seed_text("\xef\xbb\xbfwith = mark\n");
	memset(line, 'x', sizeof(line));
	memcpy(line, "long = ", 7);
	fuzz_seed(line, 4096);
	fuzz_seed(line, sizeof(line));
}
