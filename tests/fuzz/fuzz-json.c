/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: what parses can be walked, written and parsed again, and is then the same text. */
#include "fuzz.h"

#include "base/json.h"

const unsigned fuzz_runs = 40000;

static void walk(const struct cof_json *j, int depth)
{
	static const char *const keys[] = {"verb", "a", "", "from"};
	int64_t v;
	int r;

	fuzz_check(depth <= 20);
	for (size_t i = 0; i < COF_COUNT(keys); i++) {
		const char *s = cof_json_str(j, keys[i]);

		fuzz_check(!s || cof_json_get(j, keys[i]));
		(void)cof_json_bool(j, keys[i]);
		r = cof_json_int(j, keys[i], &v);
		fuzz_check(r == 0 ? cof_json_get(j, keys[i]) != NULL : r == -ENOENT);
	}
	for (size_t i = 0; i < cof_json_count(j) && i < 30; i++)
		walk(cof_json_at(j, i), depth + 1);
	fuzz_check(!cof_json_at(j, cof_json_count(j)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autojson struct cof_json *j = NULL, *back = NULL;
	const char *text, *again;
	int err = cof_json_parse((const char *)data, n, &j);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -ENOMEM);
	fuzz_check(!err || !j);
	if (err)
		return 0;
	walk(j, 0);
	text = cof_json_text(j, false);
	if (!text)
		return 0;
	fuzz_check(!strchr(text, '\n')); /* a line of the control protocol is a line */
	fuzz_check(cof_json_parse(text, strlen(text), &back) == 0);
	again = cof_json_text(back, false);
	fuzz_check(again && !strcmp(text, again));
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("{\"verb\":\"status\"}");
	fuzz_seed_text("{\"verb\": \"log\", \"from\": 18446744073709551615, \"follow\": true}");
	fuzz_seed_text("[1,-2,3.5e10,null,true,false,\"\\u00e9\\ud83d\\ude00\\n\",{\"a\":{}},[]]");
	fuzz_seed_text("{\"a\":[[[[[[[[[[[[[[1]]]]]]]]]]]]]]}");
	fuzz_seed_text("  \"text \xc3\xa9 \\\\ \\\" \\/\"  ");
	fuzz_seed_text("-9223372036854775808");
}
