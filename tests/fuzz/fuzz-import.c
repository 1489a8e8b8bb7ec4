/* SPDX-License-Identifier: Apache-2.0 */
/* The first line break divides a source from a line: whatever both are, texts stay within their bounds. */
#include "fuzz.h"

#include "tools/import/import.h"

const unsigned fuzz_runs = 40000;

static void check(const char *text)
{
	fuzz_check(strlen(text) <= IMPORT_TEXT_MAX);
	for (const char *c = text; *c; c++)
		fuzz_check((uint8_t)*c >= 0x20 && *c != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char rest[] = "[source]\nname = x\n[a]\nmatch = (?<w>\\S+)=(?<v>.*)\noutcome = {v}\n"
				   "actor = {w}{type}{host}{pid}{program}{time}\n[b]\nmatch = ^\noutcome = no\n";
	static const char *const formats[] = {"plain", "syslog", "audit", "log4j", "json", "logfmt"};
	struct import_source *s = NULL;
	struct cof_diag d = {""};
	struct import_event e;
	uint64_t costly = 0;
	cof_autobuf struct cof_buf text = {0};
	int err;

	if (!n)
		return 0;
	if (data[0] & 0x80) { /* a source of its own */
		err = import_source_parse((const char *)data + 1, n - 1, NULL, &s, &d);
		fuzz_check(err == 0 || err == -EUCLEAN || err == -ENOMEM);
		fuzz_check(err == 0 || d.text[0]);
		import_source_free(s);
		return 0;
	}
	cof_buf_printf(&text, "%.17s\nformat = %s\n%s", rest, formats[data[0] % COF_COUNT(formats)], rest + 18);
	fuzz_check(import_source_parse((const char *)text.data, text.len, NULL, &s, &d) == 0);
	if (import_match(s, (const char *)data + 1, n - 1, 1795600000 * COF_NSEC, &e, &costly) == IMPORT_EVENT) {
		check(e.type);
		check(e.actor);
		check(e.detail);
	}
	import_source_free(s);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("\x80[source]\nname = x\nformat = audit\n[a]\nmatch = (?<a>x)\nfield.b = y\noutcome = {a}\n");
	fuzz_seed_text("\x01<38>1 2026-11-25T01:02:03.5Z h p 7 ID [a b=\"]\\\"\"] a=b");
	fuzz_seed_text("\x01Nov 25 04:46:12 h sudo:     root : PWD=/ ; USER=root ; COMMAND=/bin/true");
	fuzz_seed_text("\x02type=ADD_USER msg=audit(1795581894.451:33): pid=1 msg='op=adding user id=1 res=success'");
	fuzz_seed_text("\x03" "2026-11-25 01:02:03,125 INFO a=b");
	fuzz_seed_text("\x04{\"time\":\"2026-11-25T01:02:03Z\",\"a\":\"b=c\",\"n\":1.5}");
	fuzz_seed_text("\x05time=\"2026-11-25T01:02:03Z\" path=/sign status=201 error=\"a \\\"b\"");
}
