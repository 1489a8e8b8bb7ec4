/* SPDX-License-Identifier: Apache-2.0 */
/* The judge on EVENT frames that a person signed: the form is of this archive, and the signature its signer's. */
#include "fs/rules/approve-judge.h"

#include "base/json.h"

#include <stdio.h>

#define TAG_SIGNATURE 147
#define TAG_FORM 148

static int judge_form(struct cof_judge *j, const struct cof_judge_frame *f, const struct cof_field *form,
		      const struct cof_field *armored, struct cof_judgement *ret)
{
	struct judge_signature s = {.armored = (const char *)armored->value, .n = armored->len};
	cof_autojson struct cof_json *o = NULL;
	const char *archive, *signer;
	char hex[33];
	int r = cof_json_parse((const char *)form->value, form->len, &o);

	if (r == -ENOMEM)
		return r;
	archive = r == 0 ? cof_json_str(o, "archive") : NULL;
	signer = r == 0 ? cof_json_str(o, "signer") : NULL;
	cof_hex(j->p.archive_id, sizeof(j->p.archive_id), hex);
	if (!signer || strlen(signer) >= sizeof(s.principal))
		return judge_no(ret, "form", "the event's form cannot be read, or names no signer");
	if (!archive || strcmp(archive, hex) != 0)
		return judge_no(ret, "wrong-archive", "the event's form is for another archive");
	if (!j->has_people)
		return judge_no(ret, "no-people", "an event was signed where nobody is enrolled");
	snprintf(s.principal, sizeof(s.principal), "%s", signer);
	return judge_signature(j, f, &j->people, COF_SIGN_EVENT, form->value, form->len, &s, ret);
}

int judge_event(struct cof_judge *j, const struct cof_judge_frame *f, struct cof_judgement *ret)
{
	struct cof_field form = {0}, armored = {0};
	int a = cof_field_find(f->fields, f->n, TAG_FORM, &form), b = cof_field_find(f->fields, f->n, TAG_SIGNATURE, &armored);

	if (a < 0 && b < 0)
		return 0; /* nobody's signature is in it */
	if (a < 0 || b < 0)
		return judge_no(ret, "form", "an event has a form without a signature, or a signature without a form");
	return judge_form(j, f, &form, &armored, ret);
}
