/* SPDX-License-Identifier: Apache-2.0 */
/* People files, request documents and signatures: what is taken is canonical and stays within its bounds; the
 * judge takes any bytes as a frame's public part. */
#include "fuzz.h"

#include "fs/rules/approve.h"

#include <stdio.h>

const unsigned fuzz_runs = 40000;

static const char key[] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg";

static void people(const char *text, size_t n)
{
	struct cof_people p;
	struct cof_diag d = {""};
	int r = cof_people_parse(text, n, NULL, 0, NULL, &p, &d);

	fuzz_check(r == 0 || r == -EUCLEAN || r == -ENOMEM);
	if (r)
		return;
	fuzz_check(p.n_persons && p.n_persons <= COF_PERSONS_MAX && p.n_keys >= p.n_persons);
	for (size_t i = 0; i < p.n_persons; i++) {
		fuzz_check(cof_people_find(&p, p.person[i].name) == &p.person[i] && p.person[i].roles);
		fuzz_check(!strpbrk(p.person[i].name, "*?!, \"\n"));
		fuzz_check(!(p.person[i].roles & COF_ROLE_AUDITOR) || !(p.person[i].roles & COF_ROLE_OFFICER));
	}
	cof_people_done(&p);
}

static void request(const void *text, size_t n)
{
	cof_autobuf struct cof_buf again = {0};
	struct cof_request q;
	struct cof_diag d = {""};
	uint64_t first, count;

	if (cof_request_parse(text, n, &q, &d) < 0) {
		fuzz_check(d.text[0] || !n);
		return;
	}
	fuzz_check(cof_json_canonical(q.doc, &again) == 0 && again.len == n && !memcmp(again.data, text, n));
	fuzz_check(q.expires > q.created && q.expires - q.created <= COF_REQUEST_LIFE && q.action[0] && q.author[0]);
	for (size_t i = 0; cof_request_range(q.doc, i, &first, &count) == 0; i++)
		fuzz_check(first && count);
	cof_request_done(&q);
}

static void frame(const uint8_t *data, size_t n)
{
	static const unsigned types[] = {10, 11, 13, 18, 19, 20, 21, 22, 26, 29, 32};
	struct cof_judge_params p = {0};
	struct cof_judge *j;
	struct cof_judgement w;

	if (cof_judge_new(&p, &j) < 0)
		return;
	for (size_t i = 0; i < COF_COUNT(types); i++) {
		struct cof_judge_frame f = {.type = types[i], .sequence = i, .object = 2, .fields = data, .n = n};
		int r;

		(void)cof_judge_watch(j, &f);
		r = cof_judge_take(j, &f, &w);
		fuzz_check(r != -EPERM || (w.rule && w.reason[0]));
	}
	fuzz_check(!cof_judge_people(j)); /* nobody signs by chance */
	cof_judge_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cof_signature_info info;

	people((const char *)data, n);
	request(data, n);
	frame(data, n);
	(void)cof_signature_read((const char *)data, n, &info, NULL);
	return 0;
}

void fuzz_seeds(void)
{
	char line[512];

	snprintf(line, sizeof(line), "alice %s roles=officer,custodian\n", key);
	fuzz_seed_text(line);
	snprintf(line, sizeof(line), "# who\n\nbob cert-authority,valid-before=\"20300101Z\" %s roles=auditor why\n", key);
	fuzz_seed_text(line);
	fuzz_seed_text("{\"action\":\"remove\",\"archive\":\"00000000000000000000000000000000\",\"author\":\"alice\","
		       "\"created\":\"2030-01-01T00:00:00Z\",\"expires\":\"2030-01-02T00:00:00Z\",\"head\":{\"root\":"
		       "\"0000000000000000000000000000000000000000000000000000000000000000\",\"size\":7},\"nonce\":"
		       "\"00000000000000000000000000000000\",\"objects\":[[2,3],[9,1]],\"sheet\":"
		       "\"0000000000000000000000000000000000000000000000000000000000000000\",\"shelves\":[2],\"version\":1}\n");
	fuzz_seed_text("-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg\n-----END SSH SIGNATURE-----\n");
}
