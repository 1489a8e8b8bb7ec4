/* SPDX-License-Identifier: Apache-2.0 */
/* The action people-set: other people, or keys revoked. */
#include "fs/archive/people.h"

#include <stdio.h>

/* R31. It is the host's word: who verifies without keys judges people by the file alone. */
int cof_people_fit(struct cof_archive *a, const char *text, size_t n, struct cof_diag *diag)
{
	struct cof_profile policy;
	struct cof_people p;
	int r = cof_archive_policy(a, &policy);

	if (r < 0 || !policy.hardware_officers)
		return r;
	r = cof_people_parse(text, n, NULL, 0, NULL, &p, diag);
	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	for (size_t i = 0; i < p.n_keys && r == 0; i++) {
		const struct cof_person *person = &p.person[p.key[i].person];

		if ((person->roles & COF_ROLE_OFFICER) && !(p.key[i].hardware && p.key[i].verify_required))
			r = cof_fail(diag, -EPERM, "%s is officer, and has a key that is not in hardware that verifies the person each time "
						   "(ssh-keygen -t ed25519-sk -O verify-required, and verify-required in the file): the archive's "
						   "policy asks for it (hardware_officers)", person->name);
	}
	cof_people_done(&p);
	return r;
}

static int state(struct cof_archive *a, const struct cof_json *doc COF_UNUSED, uint8_t ret[32], struct cof_diag *diag)
{
	const struct cof_people *p = cof_judge_people(cof_people_judge(a));
	struct iovec iov[3];

	if (!p)
		return cof_fail(diag, -ESTALE, "this archive has no people yet");
	iov[0] = (struct iovec){p->text, p->text_len};
	iov[1] = (struct iovec){(void *)(uintptr_t)"", 1};
	iov[2] = (struct iovec){p->revoked, p->revoked_len};
	cof_sha256v(iov, 3, ret);
	return 0;
}

static int fill(struct cof_archive *a, const struct cof_json *args, struct cof_json *doc, struct cof_buf *sheet,
		struct cof_diag *diag)
{
	const struct cof_people *now = cof_judge_people(cof_people_judge(a));
	const char *text = cof_action_word(args, 0), *revoked = cof_action_word(args, 1);
	struct cof_people p;
	uint8_t digest[32];
	char hex[65];
	int r = state(a, doc, digest, diag);

	if (r < 0)
		return r;
	if (!text)
		return cof_fail(diag, -EINVAL, "the new people file is wanted (@FILE), and behind it the revoked keys, if any");
	r = cof_people_parse(text, strlen(text), revoked, revoked ? strlen(revoked) : 0, NULL, &p, diag);
	if (r < 0)
		return r == -EUCLEAN ? -EINVAL : r;
	cof_people_done(&p);
	r = cof_people_fit(a, text, strlen(text), diag);
	if (r < 0)
		return r;
	cof_json_set_str(doc, "people", text);
	if (revoked && *revoked)
		cof_json_set_str(doc, "revoked", revoked);
	cof_hex(digest, sizeof(digest), hex);
	cof_json_set_str(doc, "before", hex);
	cof_buf_printf(sheet, "the people now:\n%s\nthe people then:\n%s", now->text, text);
	if (revoked && *revoked)
		cof_buf_printf(sheet, "\nrevoked then:\n%s", revoked);
	return sheet->failed ? -ENOMEM : 0;
}

static int apply(struct cof_archive *a, const struct cof_json *doc, const struct cof_grant *g, struct cof_diag *diag)
{
	const struct cof_people *now = cof_judge_people(cof_people_judge(a));
	const char *text = cof_json_str(doc, "people"), *revoked = cof_json_str(doc, "revoked");
	size_t n = revoked ? strlen(revoked) : 0;
	cof_autobuf struct cof_buf fields = {0};
	struct cof_judgement w;
	uint64_t sequence;

	if (!text)
		return cof_fail(diag, -EUCLEAN, "the request has no people in it");
	if (now && !strcmp(now->text, text) && now->revoked_len == n && (!n || !memcmp(now->revoked, revoked, n)))
		return 0; /* before a crash */
	cof_field_put(&fields, COF_T_REQUEST, g->request, sizeof(g->request));
	cof_field_put_str(&fields, COF_T_PEOPLE, text);
	if (n)
		cof_field_put(&fields, COF_T_REVOKED, revoked, n);
	return cof_people_put(a, g->who, COF_PEOPLE, &fields, NULL, &w, &sequence, diag);
}

const struct cof_action cof_act_people_set = {.name = "people-set", .fill = fill, .state = state, .apply = apply};
