/* SPDX-License-Identifier: Apache-2.0 */
/* What a vault says of itself, in STATE: docs/vault-protocol.md 2. */
#include <stdio.h>

#include "fs/rules/place.h"
#include "tools/vaults.h"

static int piece(const char **text, char *out, size_t cap)
{
	size_t n = strcspn(*text, "\n");

	if ((*text)[n] != '\n' || n >= cap)
		return -EUCLEAN;
	memcpy(out, *text, n);
	out[n] = 0;
	*text += n + 1;
	return 0;
}

int vault_take_said(struct vault_entry *e, const char *key, const char *value)
{
	if (!strcmp(key, "grade"))
		return vault_grade_read(value, &e->grade) < 0 ? -EUCLEAN : 0;
	if (strcmp(key, "scrubbed"))
		return 0;
	return vault_scrubbed_ok(value) && snprintf(e->scrubbed, sizeof(e->scrubbed), "%s", value) < (int)sizeof(e->scrubbed) ? 0 : -EUCLEAN;
}

/* "key: value"; of a later version's keys nothing is asked. How many there may be, STATE's length says. */
static int about_more(const char **about, struct vault_entry *ret)
{
	char line[256], *value;

	if (piece(about, line, sizeof(line)) < 0)
		return -EUCLEAN;
	value = strstr(line, ": ");
	if (!value)
		return -EUCLEAN;
	*value = 0;
	return vault_take_said(ret, line, value + 2);
}

int vault_about_read(const char *about, struct vault_entry *ret)
{
	char vkey[COF_VKEY_MAX], recipient[256];

	if (piece(&about, vkey, sizeof(vkey)) < 0 || piece(&about, ret->place, sizeof(ret->place)) < 0 ||
	    piece(&about, ret->jurisdiction, sizeof(ret->jurisdiction)) < 0 ||
	    cof_jurisdiction_check(ret->jurisdiction, NULL) < 0 || cof_vkey_parse(vkey, &ret->vkey) < 0 || ret->vkey.algorithm != COF_NOTE_COSIG)
		return -EUCLEAN;
	ret->recipient[0] = 0;
	if (*about && (piece(&about, recipient, sizeof(recipient)) < 0 || vault_recipient_read(recipient, &ret->vkey, ret->recipient) < 0))
		return -EUCLEAN;
	ret->grade = 0;
	ret->scrubbed[0] = 0;
	while (*about)
		if (about_more(&about, ret) < 0)
			return -EUCLEAN;
	return vault_place_check(ret->place, NULL);
}
