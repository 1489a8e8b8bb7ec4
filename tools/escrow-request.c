/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of escrow. */
#include "tools/escrow-request.h"
#include "tools/file.h"
#include "tools/output.h"

#include <inttypes.h>
#include <stdio.h>

static int submit(struct escrow_shelf *s, const struct escrow_asking *a, const char *path, struct cof_json *made, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object(), *o = NULL;
	cof_autobuf struct cof_buf signature = {0};
	int r = people_sign(path, COF_SIGN_REQUEST, a->key, &signature, diag);

	if (r < 0)
		return r;
	cof_json_set_str(args, "document", cof_json_str(made, "document"));
	cof_json_set_str(args, "sheet", cof_json_str(made, "sheet"));
	people_set_bytes(args, "signature", &signature);
	cof_json_set_str(args, "principal", a->as);
	r = people_ask_one(&s->ask, "request", args, &o, diag);
	if (r == 0)
		people_say_request(o);
	return r;
}

int escrow_request(struct escrow_shelf *s, const struct escrow_asking *a, const char *action, const char *const *words, size_t n,
		   struct cof_json **ret, struct cof_diag *diag)
{
	cof_autojson struct cof_json *args = cof_json_object();
	struct cof_json *list = cof_json_array();
	cof_autofree char *path = NULL;
	int r;

	for (size_t i = 0; i < n; i++)
		cof_json_append(list, cof_json_new_str(words[i]));
	cof_json_set(args, "words", list);
	cof_json_set_str(args, "action", action);
	cof_json_set_str(args, "author", a->as);
	if (a->reason)
		cof_json_set_str(args, "reason", a->reason);
	r = people_ask_one(&s->ask, "request-make", args, ret, diag);
	if (r == 0)
		r = people_save(*ret, a->dir ? a->dir : ".", &path, diag);
	if (r == 0 && a->key)
		r = submit(s, a, path, *ret, diag);
	if (r < 0)
		return r;
	if (!a->key)
		printf("%s is written, with its sheet. Its author signs it: ssh-keygen -Y sign -n " COF_SIGN_REQUEST " -f KEY %s\n"
		       "Then: coffer request submit %s %s\n",
		       path, path, s->ask.store.path, path);
	printf("Others approve it: coffer approve %s %s\n", s->ask.store.path, path);
	return 0;
}

int escrow_propose(struct escrow_shelf *s, const struct escrow_asking *a, struct cof_json *record, struct cof_diag *diag)
{
	cof_autojson struct cof_json *made = NULL;
	uint64_t sequence = 0;
	const char *words[2];
	char number[24];
	int r;

	cof_json_set_str(record, "what", "proposed");
	if (a->reason)
		cof_json_set_str(record, "reason", a->reason);
	r = escrow_record(s, record, &sequence, diag);
	snprintf(number, sizeof(number), "%" PRIu64, sequence);
	words[0] = s->name;
	words[1] = number;
	if (r == 0 && a->as)
		return escrow_request(s, a, "escrow-accept", words, 2, &made, diag);
	if (r == 0)
		printf("It is proposed, as record %s. It counts once it was approved:\n  coffer request escrow-accept %s %s %s --as NAME\n", number,
		       s->ask.store.path, s->name, number);
	return r;
}
