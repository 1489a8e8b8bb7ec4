/* SPDX-License-Identifier: Apache-2.0 */
/* Files of schemes: what is accepted can be split, needs two persons, and its report can be made. */
#include "fuzz.h"

#include "crypto/crypto.h"
#include "escrow/scheme.h"

const unsigned fuzz_runs = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_scheme s;
	struct cof_slip39_scheme plain;
	struct cof_diag d = {""};
	cof_autojson struct cof_json *report = NULL;
	bool lost[COF_CUSTODIANS_MAX] = {false};
	unsigned members = 0;
	int r = cof_scheme_parse((const char *)data, n, &s, &d);

	fuzz_check(r == 0 || (r == -EUCLEAN && d.text[0]));
	if (r < 0)
		return 0;
	for (unsigned g = 0; g < s.n_groups; g++)
		members += s.group[g].members;
	fuzz_check(members == s.n_custodians);
	for (unsigned i = 0; i < s.n_custodians; i++)
		fuzz_check(s.custodian[i].group < s.n_groups);
	cof_scheme_slip39(&s, &plain);
	fuzz_check(cof_slip39_scheme_check(&plain, &d) == 0);
	fuzz_check(cof_scheme_suffices(&s, lost));
	fuzz_check(cof_scheme_fewest(&s) >= 2);
	report = cof_json_object();
	fuzz_check(cof_scheme_report(&s, report) == 0);
	cof_scheme_done(&s);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("[scheme]\nname = r\ngroups = 2\n[group x]\nthreshold = 2\nmembers = a b c\n[group y]\nthreshold = 1\nmembers = d\n"
		       "[custodian a]\nperson = A\nplace = p\nmedium = paper\nrecipient = paper\n"
		       "[custodian b]\nperson = B\nplace = q\nmedium = steel\nrecipient = paper\nfire_rating = 60 min\n"
		       "[custodian c]\nperson = C\nplace = q\nmedium = paper\nrecipient = paper\ncontact = c@coffer.example\n"
		       "[custodian d]\nperson = D\norganisation = O\nplace = s\nmedium = paper\nrecipient = paper\n");
	fuzz_seed_text("[scheme]\nname = r\ngroups = 1\n[group x]\nthreshold = 2\nmembers = a, b\n"
		       "[custodian a]\nperson = A\nplace = p\nmedium = paper\nrecipient = paper\n"
		       "[custodian b]\nperson = B\nplace = p\nmedium = paper\nrecipient = paper\n");
	fuzz_seed_text("[scheme]\nname = r\ngroups = 17\n");
}
