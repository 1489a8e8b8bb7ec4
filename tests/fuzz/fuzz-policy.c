/* SPDX-License-Identifier: Apache-2.0 */
/* A shelf's policy: what is accepted has a canonical text that says the same. */
#include "fuzz.h"

#include "fs/rules/rules.h"

const unsigned fuzz_runs = 60000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf text = {0}, again = {0};
	int64_t end = 42;
	struct cof_policy p = {.refuse_rofs = true}, back;
	struct cof_diag d = {""};
	int err = cof_policy_parse((const char *)data, n, &p, &d);

	/* The same bytes as an end. */
	fuzz_check(cof_retain_parse(data, n, &end) == 0 ? end != COF_RETAIN_NONE : end == 42);
	fuzz_check(err == 0 || err == -EUCLEAN || err == -ENOMEM);
	if (err) {
		fuzz_check(p.refuse_rofs && p.durability == 0); /* untouched */
		fuzz_check(d.text[0] && memchr(d.text, 0, sizeof(d.text)));
		return 0;
	}
	fuzz_check(p.durability == COF_DURABLE_ON_SYNC || p.durability == COF_DURABLE_ON_WRITE);
	fuzz_check(!p.retention ||
		   (p.retention_min >= 0 && p.retention_min <= p.retention_default &&
		    p.retention_default <= p.retention_max));
	fuzz_check(p.retention || !p.strict);
	if (cof_policy_text(&p, &text) < 0)
		return 0;
	fuzz_check(cof_policy_parse((char *)text.data, text.len, &back, &d) == 0);
	fuzz_check(back.durability == p.durability && back.refuse_rofs == p.refuse_rofs);
	fuzz_check(back.retention == p.retention && back.strict == p.strict);
	fuzz_check(back.retention_default == p.retention_default);
	fuzz_check(back.retention_min == p.retention_min && back.retention_max == p.retention_max);
	fuzz_check(back.autocommit == p.autocommit && back.staging == p.staging);
	fuzz_check(back.quota_bytes == p.quota_bytes && back.quota_files == p.quota_files);
	fuzz_check(!strcmp(back.record_kind, p.record_kind));
	fuzz_check(!memcmp(back.approve, p.approve, sizeof(p.approve)));
	fuzz_check(!strcmp(back.retain_event, p.retain_event) && back.mode == p.mode);
	fuzz_check(back.silence == p.silence && back.retain_margin == p.retain_margin);
	for (int i = 0; i < COF_APPROVE_COUNT_; i++) {
		unsigned persons = 0, roles;

		fuzz_check(cof_approve_parse(cof_policy_approve(&p, i), &persons, &roles) == 0);
		fuzz_check(persons >= 2);
	}
	/* What the same text says is no weaker than itself. */
	fuzz_check(cof_policy_is_stronger(&p, &back, NULL));
	if (cof_policy_text(&back, &again) == 0)
		fuzz_check(again.len == text.len && !memcmp(again.data, text.data, text.len));
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("");
	fuzz_seed_text("durability = sync\nrefuse = perm\n");
	fuzz_seed_text("durability = write\nrefuse = rofs\n");
	fuzz_seed_text("# why\n\nrefuse=rofs\r\n");
	fuzz_seed_text("[section]\ndurability = write\n");
	fuzz_seed_text("durability = sync\ndurability = write\n");
	fuzz_seed_text("retention = 10y\nretention_min = 30d\nretention_max = 30y\nstrict = yes\n");
	fuzz_seed_text("retention = infinite\nretention_min = infinite\nautocommit = 90min\n");
	fuzz_seed_text("retention = 0s\nretention_max = 292y\n");
	fuzz_seed_text("retention_min = 1w\nretention = 24h\n");
	fuzz_seed_text("quota = 500G\nquota_files = 1000000\nstaging = yes\nrecord_kind = log\n");
	fuzz_seed_text("quota = 9223372036854775807\nrecord_kind = a;b # c\nautocommit = 0s\n");
	fuzz_seed_text("retention = 1y\nmode = governance\ncooling_off = 7d\nretain_event = contract-end\n");
	fuzz_seed_text("retain_follows = certificates\ncertificates = yes\nretain_margin = 1y\nsilence = 1d\n");
	fuzz_seed_text("approve_hold_end = 3 officer\napprove_remove = 2 auditor\nleak_guard = report\n");
	fuzz_seed_text("approve_policy = 16 custodian officer\nremove = rm\nread_events = yes\nrelease_delay = 2d\n");
	fuzz_seed_text("2031-01-02T03:04:05Z");
	fuzz_seed_text("2031-01-02 03:04:05");
	fuzz_seed_text("9999-12-31T23:59:59.999Z\n");
	fuzz_seed_text("infinite");
}
