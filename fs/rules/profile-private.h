/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the files about profiles: the table of keys. */
#ifndef COF_PROFILE_PRIVATE_H
#define COF_PROFILE_PRIVATE_H

#include "fs/rules/profile.h"

enum profile_kind {
	KEY_TEXT,	 /* free text: another one is a weaker one, since nobody can say */
	KEY_LIST_MORE,	 /* more words are stronger */
	KEY_JURISDICTIONS, /* so too, each of ISO 3166: one that nothing matches would forbid nothing */
	KEY_LIST_FEWER,	 /* fewer are, and no word is all of them */
	KEY_RULE,	 /* "N [role...]": more persons, more roles */
	KEY_NUMBER_MORE, /* a higher one is stronger */
	KEY_NUMBER_FEWER,
	KEY_OPTIONAL,	 /* a lower one is, and 0 is none at all */
	KEY_TLS,	 /* 1.2 or 1.3 */
	KEY_YES,	 /* yes is stronger */
	KEY_NO,		 /* no is */
	KEY_SHORTER,	 /* a span: shorter is stronger, 0s is never */
	KEY_LONGER,	 /* a span: longer is */
};

struct profile_key {
	const char *name, *rule; /* rule: "R18" */
	enum profile_kind kind;
	size_t at;		 /* in struct cof_profile */
	size_t size;		 /* of a text */
	uint32_t least, most;	 /* of a number; of a list or span least 1: it may not be empty or 0s */
	const char *words;	 /* of a list: these alone, with blanks; NULL: any */
};

extern const struct profile_key profile_keys[];
extern const size_t profile_n_keys;

/* False: it is no value of this key. */
bool profile_read(const struct profile_key *k, const char *value, struct cof_profile *p);
void profile_write(const struct profile_key *k, const struct cof_profile *p, struct cof_buf *ret); /* may be "" */
bool profile_is_weaker(const struct profile_key *k, const struct cof_profile *old,
		       const struct cof_profile *new_one);
void profile_takes(const struct profile_key *k, struct cof_buf *ret); /* for a person: what a value looks like */

#endif
