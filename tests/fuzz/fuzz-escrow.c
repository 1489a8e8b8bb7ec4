/* SPDX-License-Identifier: Apache-2.0 */
/* A record of escrow as JSON, from whoever may ask the daemon: its fields, and what is shown of them. */
#include "fuzz.h"

#include "fs/archive/escrow.h"

const unsigned fuzz_runs = 30000;

static void show(const struct cof_buf *part, struct cof_json *o)
{
	struct cof_field f;
	size_t off = 0;
	int more;

	while ((more = cof_field_next(part->data, part->len, &off, &f)) > 0)
		if (cof_escrow_tag(f.tag))
			fuzz_check(cof_escrow_show(o, &f)); /* what was taken has the size of its field */
	fuzz_check(more == 0);
}

/* Any bytes as fields: shown or passed over, and never more than they are. */
static void as_fields(const uint8_t *data, size_t n)
{
	cof_autojson struct cof_json *o = cof_json_object();
	struct cof_escrow_facts facts;
	struct cof_field f;
	size_t off = 0;

	while (cof_field_next(data, n, &off, &f) > 0)
		if (cof_escrow_tag(f.tag))
			(void)cof_escrow_show(o, &f);
	cof_escrow_facts(data, n, &facts);
	fuzz_check(!facts.has_key || n >= sizeof(facts.key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf public_part = {0}, private_part = {0}, public_again = {0}, private_again = {0};
	cof_autojson struct cof_json *record = NULL, *shown = NULL;
	struct cof_diag d = {""};
	int r;

	as_fields(data, n);
	if (cof_json_parse((const char *)data, n, &record) < 0)
		return 0;
	r = cof_escrow_fields(record, &public_part, &private_part, &d);
	fuzz_check(r == 0 || (r == -EINVAL && d.text[0] && memchr(d.text, 0, sizeof(d.text))));
	if (r < 0)
		return 0;
	shown = cof_json_object();
	show(&public_part, shown);
	show(&private_part, shown);
	fuzz_check(cof_escrow_fields(shown, &public_again, &private_again, &d) == 0); /* what is shown is a record, and the same */
	fuzz_check(public_again.len == public_part.len && !memcmp(public_again.data, public_part.data, public_part.len));
	fuzz_check(private_again.len == private_part.len &&
		   (!private_part.len || !memcmp(private_again.data, private_part.data, private_part.len)));
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("{\"what\":\"drill\",\"shelf\":2,\"epoch\":1,\"epoch_key\":"
		       "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\",\"name\":\"alice\","
		       "\"challenge\":\"drill-aaaa-bbbb-cccc-dddd-eeee-ffff\",\"rehearsal\":true}");
	fuzz_seed_text("{\"what\":\"drill\",\"of\":7,\"outcome\":\"failure\",\"reason\":\"stale\",\"took_ns\":9,\"promised_ns\":8}");
	fuzz_seed_text("{\"what\":\"key\",\"key\":\"00112233445566778899aabbccddeeff\",\"owner\":\"ca\",\"purpose\":\"backup\",\"usage\":\"sign\","
		       "\"level\":4,\"bits\":65535,\"persons\":255,\"usage_decided\":true,\"wrapped\":true,\"detail\":\"{}\"}");
	fuzz_seed_text("{\"what\":\"proposed\",\"proposes\":\"custodian\",\"name\":\"eve\",\"detail\":\"person = Eve\\n\"}");
	fuzz_seed_text("{\"what\":\"release\",\"to\":\"age1\",\"certificate\":\"\"}");
	fuzz_seed_text("{\"what\":\"medium\",\"epoch\":2147483648}");
	fuzz_seed_text("{\"what\":\"token\",\"level\":5}");
	fuzz_seed_text("{\"what\":\"key\",\"level\":0,\"bits\":0,\"wrapped\":false}");
	fuzz_seed_text("{\"nothing\":1}");
}
