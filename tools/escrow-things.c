/* SPDX-License-Identifier: Apache-2.0 */
/* Media and hardware modules, by their records. */
#include "tools/escrow-things.h"

static bool is_of(const struct cof_json *o, const char *what, const char *name)
{
	return !strcmp(ledger_what(o), what) && !strcmp(ledger_text(o, "name"), name);
}

const struct cof_json *escrow_thing(const struct ledger *l, const char *what, const char *name, struct cof_json **ret_detail)
{
	for (size_t i = l->n_records; i-- > 0;) {
		const struct cof_json *o = l->record[i];

		if (is_of(o, what, name) && cof_json_parse(ledger_text(o, "detail"), strlen(ledger_text(o, "detail")), ret_detail) == 0)
			return o;
	}
	return NULL;
}

/* By the name that the key's record has, which is of before there were records of tokens, too. */
static unsigned keys_of(const struct ledger *l, const char *token)
{
	unsigned n = 0;

	for (size_t i = 0; i < l->n_keys; i++) {
		cof_autojson struct cof_json *detail = NULL;
		const char *text = ledger_text(l->key[i].o, "detail");

		if (cof_json_bool(l->key[i].o, "wrapped") && !l->key[i].revoked && cof_json_parse(text, strlen(text), &detail) == 0)
			n += !strcmp(ledger_text(detail, "token"), token);
	}
	return n;
}

static int add(const struct ledger *l, const char *what, const char *name, struct cof_json *list)
{
	static const char *const keys[] = {"move", "type", "place", "by", "custodian", "fire_rating", "model", "serial", "level", "state"};
	cof_autojson struct cof_json *detail = NULL;
	const struct cof_json *record;
	struct cof_json *o;

	for (size_t i = 0; i < cof_json_count(list); i++)
		if (!strcmp(ledger_text(cof_json_at(list, i), "name"), name))
			return 0;
	record = escrow_thing(l, what, name, &detail);
	if (!record)
		return 0;
	o = cof_json_object();
	if (!o)
		return -ENOMEM;
	for (size_t i = 0; i < COF_COUNT(keys); i++)
		if (cof_json_str(detail, keys[i]))
			cof_json_set_str(o, keys[i], cof_json_str(detail, keys[i]));
	cof_json_set_str(o, "kind", what);
	cof_json_set_str(o, "name", name);
	cof_json_set_str(o, "since", ledger_text(record, "time"));
	if (cof_json_get(record, "epoch"))
		cof_json_set_uint(o, "epoch", (uint64_t)ledger_number(record, "epoch"));
	if (cof_json_str(record, "reason"))
		cof_json_set_str(o, "reason", cof_json_str(record, "reason"));
	if (!strcmp(what, "token"))
		cof_json_set_uint(o, "keys", keys_of(l, name));
	cof_json_append(list, o);
	return 0;
}

int escrow_things(const struct ledger *l, const char *what, struct cof_json *list)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n_records; i++)
		if (!strcmp(ledger_what(l->record[i]), what))
			r = add(l, what, ledger_text(l->record[i], "name"), list);
	return r;
}
