/* SPDX-License-Identifier: Apache-2.0 */
/* A request on the control socket: one line from whoever may connect. */
#include "fuzz.h"

#include "fs/control/wire.h"

const unsigned fuzz_runs = 60000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_control_request r = {.verb = COF_VERB_STOP, .from = 77, .ino = 88}, again;
	struct cof_diag d = {""};
	int err = cof_control_parse((const char *)data, n, &r, &d);

	fuzz_check(err == 0 || err == -EUCLEAN || err == -EOPNOTSUPP || err == -EINVAL);
	if (err) {
		fuzz_check(r.verb == COF_VERB_STOP && r.from == 77 && r.ino == 88); /* untouched */
		fuzz_check(d.text[0] && memchr(d.text, 0, sizeof(d.text)));
		return 0;
	}
	fuzz_check(r.verb <= COF_VERB_LS);
	fuzz_check(r.from <= INT64_MAX && r.ino <= INT64_MAX);
	fuzz_check(r.verb == COF_VERB_LOG || (!r.from && !r.follow));
	fuzz_check((r.verb == COF_VERB_BLAME) == (r.ino != 0));
	fuzz_check(cof_control_parse((const char *)data, n, &again, NULL) == 0);
	fuzz_check(again.verb == r.verb && again.from == r.from && again.ino == r.ino &&
		   again.follow == r.follow);
	fuzz_check(again.op.kind == r.op.kind && again.op.ino == r.op.ino &&
		   again.op.retain == r.op.retain && again.op.length == r.op.length);
	fuzz_check((r.json != NULL) == (r.verb >= COF_VERB_COMMIT));
	if (r.verb == COF_VERB_COMMIT || r.verb == COF_VERB_RETAIN || r.verb == COF_VERB_SHELF_SET)
		fuzz_check(r.op.ino || r.path);
	cof_control_request_done(&r);
	cof_control_request_done(&again);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_text("{\"verb\":\"status\"}");
	fuzz_seed_text("{\"verb\":\"log\",\"from\":18,\"follow\":true}");
	fuzz_seed_text("{\"verb\":\"log\",\"from\":9223372036854775807}");
	fuzz_seed_text("{\"verb\":\"blame\",\"ino\":5}");
	fuzz_seed_text("{\"verb\":\"checkpoint\"}");
	fuzz_seed_text("{\"follow\":false,\"verb\":\"stop\"}");
	fuzz_seed_text("{\"verb\":\"blame\",\"ino\":-1}");
	fuzz_seed_text("{\"verb\":[\"stop\"]}");
	fuzz_seed_text("{\"verb\":\"commit\",\"ino\":9,\"retain\":\"2031-01-02T03:04:05Z\"}");
	fuzz_seed_text("{\"verb\":\"retain\",\"path\":\"audit/a\",\"retain\":\"infinite\"}");
	fuzz_seed_text("{\"verb\":\"shelf-add\",\"name\":\"s\",\"policy\":\"quota = 1M\\n\"}");
	fuzz_seed_text("{\"verb\":\"explain\",\"op\":\"rename\",\"ino\":9,\"new_name\":\"x\",\"new_parent\":2}");
	fuzz_seed_text("{\"verb\":\"ls\",\"recursive\":true,\"state\":\"open\"}");
	fuzz_seed_text("{\"verb\":\"shelves\"}");
}
