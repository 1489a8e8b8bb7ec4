/* SPDX-License-Identifier: Apache-2.0 */
/* Private to tools/import: a source and its rules. */
#ifndef COFFER_IMPORT_INTERNAL_H
#define COFFER_IMPORT_INTERNAL_H

#include "tools/import/import.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define RULE_CONDITIONS 8

enum rule_text {
	TEXT_CATALOGUE, TEXT_OUTCOME, TEXT_SEVERITY, TEXT_ACTOR, TEXT_PLACE, TEXT_OBJECT, TEXT_DETAIL, TEXT_COUNT
};
extern const char *const import_texts[TEXT_COUNT]; /* their keys */

struct condition { /* on one field of a line */
	char *key;
	pcre2_code *re;
};

struct rule {
	char *name;
	pcre2_code *re; /* on the message; NULL: any */
	struct condition conditions[RULE_CONDITIONS];
	size_t n_conditions;
	char *texts[TEXT_COUNT]; /* with {captures} and {fields}; NULL: not given */
	bool ignore;
};

struct import_source {
	char *name, *about, *program;
	enum import_format format;
	int64_t silence;
	struct rule rules[IMPORT_RULES_MAX];
	size_t n_rules;
	/* of the match under way */
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct cof_buf out; /* the texts of the event, each terminated */
};

int import_match_prepare(struct import_source *s, struct cof_diag *diag);
void import_match_done(struct import_source *s);

#endif
