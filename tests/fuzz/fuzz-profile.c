/* SPDX-License-Identifier: Apache-2.0 */
/* A profile: what is accepted has a canonical text that says the same, and is no weaker than itself. */
#include "fuzz.h"

#include "fs/rules/profile.h"

const unsigned fuzz_runs = 20000;

static int no_change(void *user COF_UNUSED, const struct cof_profile_change *change COF_UNUSED)
{
	return -EINVAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cof_autobuf struct cof_buf text = {0}, again = {0};
	struct cof_profile_file f = {.n_shelves = 77}, back;
	struct cof_profile plain;
	struct cof_diag d = {""};
	int err = cof_profile_parse((const char *)data, n, &f, &d);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -ENOMEM);
	if (err) {
		fuzz_check(f.n_shelves == 77 && !f.shelves); /* untouched */
		fuzz_check(d.text[0] && memchr(d.text, 0, sizeof(d.text)));
		return 0;
	}
	cof_profile_default(&plain);
	fuzz_check(f.archive.persons >= 2 && f.archive.deviation > 0 && f.archive.level <= 4);
	fuzz_check(f.n_shelves <= COF_PROFILE_SHELVES);
	fuzz_check(cof_profile_is_stronger(&f.archive, &f.archive, NULL));
	fuzz_check(cof_profile_compare(&f.archive, &f.archive, no_change, NULL) == 0);
	(void)cof_profile_is_stronger(&plain, &f.archive, NULL);
	if (cof_profile_text(&f.archive, &text) == 0) {
		fuzz_check(cof_profile_parse((char *)text.data, text.len, &back, &d) == 0);
		fuzz_check(cof_profile_text(&back.archive, &again) < 0 ||
			   (again.len == text.len && !memcmp(again.data, text.data, text.len)));
		fuzz_check(cof_profile_compare(&f.archive, &back.archive, no_change, NULL) == 0);
		cof_profile_file_done(&back);
	}
	cof_profile_file_done(&f);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("");
	fuzz_seed_text("[archive]\nlevel = 4\nreview = 30d\nopeners = tpm2\n");
	fuzz_seed_text("[archive]\nexclusive = auditor+operator auditor+officer\napprove_redact = 3 auditor\n");
	fuzz_seed_text("# why\n[archive]\npersons=2\n\n[shelf audit]\nretention = 10y\nrecord_kind = log\n");
	fuzz_seed_text("[shelf a]\nretention = 1d\n[shelf b]\nstrict = yes\n");
	fuzz_seed_text("[shelf a]\n[shelf b]\n");
	fuzz_seed_text("[shelf a]\nrefuse = rofs\n[shelf a]\nrefuse = rofs\n");
	fuzz_seed_text("[archive]\nincident_to = a b a\n");
	fuzz_seed_text("[archive]\ntls = 1.3\ncompromise_within = 1h\ncompromise_to = superior-ca\n");
	fuzz_seed_text("level = 1\n");
	fuzz_seed_text("[archive]\nsources = gpki vasp\njurisdictions = TW KR\nincident_within_3 = 1h\n");
}
